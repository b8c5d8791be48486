/* Prepared samples, and what @{runtime} decides on them at every operating point. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include "@{prefix}.h"

#define SAMPLES @{count}

extern const @{number} samples[SAMPLES][@{PREFIX}_INPUT];
extern const int32_t expected_exit[@{PREFIX}_POINTS][SAMPLES];
extern const @{predicted_type} expected_class[@{PREFIX}_POINTS][SAMPLES];

#endif
