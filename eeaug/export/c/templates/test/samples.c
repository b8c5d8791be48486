#include "samples.h"

#ifndef SAMPLES_SECTION
#define SAMPLES_SECTION
#endif

SAMPLES_SECTION const @{number} samples[SAMPLES][@{PREFIX}_INPUT] = {
@{samples}
};

const int32_t expected_exit[@{PREFIX}_POINTS][SAMPLES] = {
@{exits}
};

const @{predicted_type} expected_class[@{PREFIX}_POINTS][SAMPLES] = {
@{classes}
};
