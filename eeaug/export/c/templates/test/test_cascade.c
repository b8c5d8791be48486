/* Runs the recorded samples through the cascade and compares with what @{runtime} decided.
 * SAMPLES_RUN: how many samples. STACK_PAINTED: the startup code has filled the free stack, and tells how much of it
 * was used. */
#include <stdio.h>

#include "@{prefix}.h"
#include "samples.h"

#ifndef SAMPLES_RUN
#define SAMPLES_RUN SAMPLES
#endif

#ifdef STACK_PAINTED
unsigned long stack_used(void);
#endif

static const char *const point_names[@{PREFIX}_POINTS] = {
@{point_names}
};

static void run(const @{number} *sample, @{prefix}_point point, @{prefix}_result *result)
{
@{run}
}

int main(void)
{
    long failed = 0;
    const int count = SAMPLES_RUN < SAMPLES ? SAMPLES_RUN : SAMPLES;
#ifdef STACK_PAINTED
    @{prefix}_result first;
    run(samples[0], @{default_point}, &first);
    const unsigned long used = stack_used();
    printf("stack used: %lu bytes\n", used);
#endif
    for (int point = 0; point < @{PREFIX}_POINTS; ++point) {
        long agreed = 0;
        long left[@{PREFIX}_STAGES] = {0};
        for (int i = 0; i < count; ++i) {
            @{prefix}_result result;
            run(samples[i], (@{prefix}_point)point, &result);
            ++left[result.exit];
            if (result.predicted == expected_class[point][i] && result.exit == expected_exit[point][i]) {
                ++agreed;
            } else {
                printf("sample %d: class %ld at exit %ld, not %ld at exit %ld\n", i, (long)result.predicted,
                       (long)result.exit, (long)expected_class[point][i], (long)expected_exit[point][i]);
            }
        }
        printf("%s: %ld of %d samples decided as in @{runtime}; left at exits", point_names[point], agreed, count);
        for (int k = 0; k < @{PREFIX}_STAGES; ++k) {
            printf(" %ld", left[k]);
        }
        printf("\n");
        failed += count - agreed;
    }
    return failed ? 1 : 0;
}
