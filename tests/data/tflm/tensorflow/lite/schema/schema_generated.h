// Stands in for TFLM's header: a model is known by where its bytes are.
#pragma once

namespace tflite {

struct Model {};

inline const Model* GetModel(const void* bytes) { return static_cast<const Model*>(bytes); }

}  // namespace tflite
