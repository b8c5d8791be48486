#include "samples.h"

#ifndef SAMPLES_SECTION
#define SAMPLES_SECTION
#endif

SAMPLES_SECTION const float samples[SAMPLES][CASCADE_INPUT] = {
@{samples}
};

const int32_t expected_exit[CASCADE_POINTS][SAMPLES] = {
@{exits}
};

const @{predicted_type} expected_class[CASCADE_POINTS][SAMPLES] = {
@{classes}
};
