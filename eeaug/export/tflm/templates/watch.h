/* Leave rates while it runs, against those on the samples that the network was tested with.
 *
 *   static @{prefix}::Watch watch;  (zeros: nothing counted; one for each core)
 *   status = @{prefix}::@{stem}::Run(...);
 *   @{prefix}::@{stem}::Count(&watch, point, status, answer);  (after every call; failures are left out)
 *   if (watch.shifted) ...  the samples are other ones
 *   point = @{prefix}::Advised(watch, @{prefix}::@{default});  (the same, or @{advised} once they are)
 *
 * If samples keep coming, independently, from the distribution of the reference, the probability that there is ever an
 * alarm is at most 1 %, however long it runs. @{source}
 */
#ifndef @{PREFIX}_WATCH_H_
#define @{PREFIX}_WATCH_H_

#include "@{prefix}.h"

namespace @{prefix} {

struct Watch {
  uint32_t reached[kStages];  // samples by classifier; they stop at UINT32_MAX
  uint32_t left[kStages];
  int32_t evidence[@{rows}][@{bets}];  // log2 of what bets on other rates have won, times @{scale}
  bool shifted;  // stays, until all is set to zero
};

Point Advised(const Watch& watch, Point wanted);
@{declared}
}  // namespace @{prefix}

#endif  // @{PREFIX}_WATCH_H_
