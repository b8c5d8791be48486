/* Leave rates while it runs, against those on the samples that the cascade was tested with.
 *
 *     static @{prefix}_watch watch; (zeros: nothing counted; one for each core)
 *     outcome = @{prefix}_@{stem}(...);
 *     @{prefix}_watch_@{stem}(&watch, point, outcome, &result); (after every call; errors are left out)
 *     if (@{prefix}_status(&watch) == @{PREFIX}_SHIFTED) ... the samples are other ones
 *     point = @{prefix}_advised(&watch, @{PREFIX}_DEFAULT); (the same, or @{advised} once they are)
 *
 * If samples keep coming, independently, from the distribution of the reference, the probability that there is ever an
 * alarm is at most 1 %, however long it runs. @{source}
 */
#ifndef @{PREFIX}_WATCH_H
#define @{PREFIX}_WATCH_H

#include "@{prefix}.h"

#ifdef __cplusplus
extern "C" {
#endif

#define @{PREFIX}_EXITS @{exits} /* classifiers at which a sample may go on */

typedef enum {
    @{PREFIX}_STEADY = 0,
    @{PREFIX}_SHIFTED = 1
} @{prefix}_state;

typedef struct {
    uint32_t reached[@{PREFIX}_STAGES]; /* samples by classifier; they stop at UINT32_MAX */
    uint32_t left[@{PREFIX}_STAGES];
    int32_t evidence[@{rows}][@{bets}]; /* log2 of what bets on other rates have won, times @{scale} */
    @{prefix}_state state; /* SHIFTED stays, until all is set to zero */
} @{prefix}_watch;

@{declared}
@{prefix}_state @{prefix}_status(const @{prefix}_watch *watch);
@{prefix}_point @{prefix}_advised(const @{prefix}_watch *watch, @{prefix}_point wanted);

#ifdef __cplusplus
}
#endif

#endif
