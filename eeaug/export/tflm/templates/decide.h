// When a sample leaves an early-exit network: decisions on int8 probabilities, where q stands for (q + 128) / 256.
// Written by eeaug; the same for all networks.
#ifndef EEAUG_DECIDE_H_
#define EEAUG_DECIDE_H_

#include <math.h>
#include <stdint.h>

namespace eeaug {

// kSoftmax: one output per class. kBinary: one sigmoid, class 1 at 1/2 or more. kMultilabel: a sigmoid per label.
enum class Kind { kSoftmax, kBinary, kMultilabel };
enum class Measure { kMaxSoftmax, kMargin, kEntropy };

constexpr int16_t kNever = 128;  // a threshold that no confidence reaches

// label: the class; of several labels at once the bits of those that apply.
struct Decision {
  uint64_t label;
  int8_t confidence;
};

namespace internal {

inline float Probability(int8_t q) { return (q + 128) / 256.0f; }

// A probability of 0 may be anything below half a step.
inline float Log(float p) { return logf(p < 1.0f / 512.0f ? 1.0f / 512.0f : p); }

inline float Confidence(const float* p, int count, Measure measure) {
  if (measure == Measure::kEntropy) {
    double sum = 0.0;
    for (int i = 0; i < count; ++i) sum += p[i] > 0.0f ? p[i] * logf(p[i]) : 0.0f;
    const double sure = 1.0 + sum / log(static_cast<double>(count));
    return static_cast<float>(sure < 0.0 ? 0.0 : sure > 1.0 ? 1.0 : sure);
  }
  float first = p[0], second = -1.0f;
  for (int i = 1; i < count; ++i) {
    if (p[i] > first) {
      second = first;
      first = p[i];
    } else if (p[i] > second) {
      second = p[i];
    }
  }
  return measure == Measure::kMargin ? first - second : first;
}

}  // namespace internal

// What the last of these classifiers decides. weights: what each counts; nullptr: the last decides by itself.
template <int kOutputs>
Decision Decide(const int8_t (*said)[kOutputs], int classifiers, const float* weights, Kind kind, Measure measure) {
  using internal::Log;
  using internal::Probability;
  const int8_t* own = said[classifiers - 1];
  float p[kOutputs];
  for (int i = 0; i < kOutputs; ++i) {
    p[i] = Probability(own[i]);
    if (weights == nullptr) continue;
    float on = weights[0] * Log(Probability(said[0][i])), off = weights[0] * Log(1.0f - Probability(said[0][i]));
    for (int k = 1; k < classifiers; ++k) {
      on += weights[k] * Log(Probability(said[k][i]));
      off += weights[k] * Log(1.0f - Probability(said[k][i]));
    }
    if (kind == Kind::kSoftmax) {
      p[i] = on;
    } else {
      const float most = on > off ? on : off;
      p[i] = expf(on - most) / (expf(off - most) + expf(on - most));
    }
  }
  Decision made = {0, 0};
  float sure = 1.0f;
  if (kind == Kind::kSoftmax) {
    for (int i = 1; i < kOutputs; ++i) {
      if (p[i] > p[made.label]) made.label = i;
    }
    if (weights != nullptr) {
      const float most = p[made.label];
      float sum = 0.0f;
      for (int i = 0; i < kOutputs; ++i) sum += p[i] = expf(p[i] - most);
      for (int i = 0; i < kOutputs; ++i) p[i] /= sum;
    }
    sure = internal::Confidence(p, kOutputs, measure);
  } else {
    for (int i = 0; i < kOutputs; ++i) {
      const float pair[2] = {1.0f - p[i], p[i]};
      const float least = internal::Confidence(pair, 2, measure);
      if (least < sure) sure = least;
      if (p[i] >= 0.5f) made.label |= static_cast<uint64_t>(1) << i;
    }
  }
  const int step = static_cast<int>(floorf(sure * 256.0f + 0.5f));
  made.confidence = static_cast<int8_t>((step > 255 ? 255 : step) - 128);
  return made;
}

// The int8 number that stands for x.
inline int8_t Quantised(float x, float scale, int zero_point) {
  const float q = rintf(x / scale) + static_cast<float>(zero_point);
  return static_cast<int8_t>(q < -128.0f ? -128.0f : q > 127.0f ? 127.0f : q);
}

}  // namespace eeaug

#endif  // EEAUG_DECIDE_H_
