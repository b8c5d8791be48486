/* Prepared samples, and what ONNX Runtime decides on them at every operating point. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include "cascade.h"

#define SAMPLES @{count}

extern const float samples[SAMPLES][CASCADE_INPUT];
extern const int32_t expected_exit[CASCADE_POINTS][SAMPLES];
extern const @{predicted_type} expected_class[CASCADE_POINTS][SAMPLES];

#endif
