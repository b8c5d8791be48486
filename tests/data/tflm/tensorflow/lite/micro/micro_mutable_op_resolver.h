// Stands in for TFLM's header: counts what is registered.
#pragma once

#include <cstdlib>

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };

namespace tflite {

class MicroOpResolver {
 public:
  virtual unsigned int room() const = 0;
  unsigned int registered = 0;
};

template <unsigned int tOpCount>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  unsigned int room() const override { return tOpCount; }
  TfLiteStatus AddAdd() { return Count(); }
  TfLiteStatus AddAveragePool2D() { return Count(); }
  TfLiteStatus AddConcatenation() { return Count(); }
  TfLiteStatus AddConv2D() { return Count(); }
  TfLiteStatus AddDepthwiseConv2D() { return Count(); }
  TfLiteStatus AddFullyConnected() { return Count(); }
  TfLiteStatus AddMaxPool2D() { return Count(); }
  TfLiteStatus AddMean() { return Count(); }
  TfLiteStatus AddQuantize() { return Count(); }
  TfLiteStatus AddReshape() { return Count(); }
  TfLiteStatus AddSoftmax() { return Count(); }

 private:
  TfLiteStatus Count() { return ++registered > tOpCount ? kTfLiteError : kTfLiteOk; }
};

}  // namespace tflite
