/* Times the layers of a network by the cycle counter of the core. Written by eeaug.
 *
 * -DMEASURE_PUT=name      sends a character: void name(int character), to a UART; without it putchar does.
 * -DMEASURE_CYCLES=name   counts cycles: uint32_t name(void), for cores without one of the counters known here.
 * -DMEASURE_CLOCK_HZ=...  the frequency of what is counted, as 64000000 or SystemCoreClock.
 * -DMEASURE_RUNS=...      of which the least is taken; 3 without it.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

#define MEASURE_SLOTS @{slots} /* layers and stages */
#ifndef MEASURE_RUNS
#define MEASURE_RUNS 3
#endif

/* The counter is set up, and what measuring itself takes is found out. */
void measure_start(void);

/* A stage begins; a layer of it has ended; the stage has. */
void measure_begin(void);
void measure_layer(uint32_t slot);
void measure_end(uint32_t slot);

/* Lines of CSV: what stands in each, then cycles of a slot, then how many these were. */
void measure_header(void);
void measure_line(const char *processor, int stage, int layer, const char *kernel, uint32_t slot, uint32_t clock_hz);
void measure_last(const char *processor, uint32_t lines, uint32_t clock_hz);

#endif
