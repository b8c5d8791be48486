/* Times what @{processor} runs: @{stages_text}. Written by eeaug. */
#include "measure.h"

@{includes}

#ifndef MEASURE_CLOCK_HZ
#define MEASURE_CLOCK_HZ @{clock}
#endif

static const struct {
    int stage, layer; /* layer -1: the whole stage */
    const char *kernel;
    uint32_t slot;
} lines[] = {
@{lines}
};

static union {
    double aligned;
    int64_t whole;
    unsigned char bytes[@{arena}];
} arena;
@{tensors}

void @{function}(void);

void @{function}(void)
{
    const uint32_t clock_hz = (uint32_t)(MEASURE_CLOCK_HZ);
    for (int i = 0; i < @{inputs}; ++i) {
        @{input}[i] = @{value};
    }
    measure_start();
    for (int run = 0; run < MEASURE_RUNS; ++run) {
@{calls}
    }
    measure_header();
    for (uint32_t i = 0; i < sizeof lines / sizeof lines[0]; ++i) {
        measure_line("@{processor}", lines[i].stage, lines[i].layer, lines[i].kernel, lines[i].slot, clock_hz);
    }
    measure_last("@{processor}", (uint32_t)(sizeof lines / sizeof lines[0]), clock_hz);
}
