// Leave rates against the reference: bets on other rates, which win nothing as long as nothing changes.
#include "@{prefix}_watch.h"

namespace @{prefix} {
namespace {

constexpr int kExits = @{exits};  // classifiers at which a sample may go on
constexpr int kBets = @{bets};
constexpr int32_t kLimit = @{limit};

// What a bet gains where a sample goes on and where it leaves, by operating point and exit; rounded down.
constexpr int16_t kSteps[kPoints][@{rows}][kBets][2] = {
@{steps}
};

// log2 of what is put in before a sample, by the binary digits of its number + 1; of all samples it is 1.
constexpr int32_t kPutIn[31] = {
@{floors}
};

int32_t LeastBefore(uint32_t number) {
  int place = -2;
  for (uint32_t rest = number + 1u; rest != 0u; rest >>= 1) ++place;
  return kPutIn[place];
}

void Bet(Watch* watch, Point point, int exit, bool leaves) {
  const uint32_t number = watch->reached[exit];
  if (number == UINT32_MAX) return;
  const int32_t least = LeastBefore(number);
  for (int k = 0; k < kBets; ++k) {
    int32_t evidence = watch->evidence[exit][k];
    evidence = evidence < least ? least : evidence;
    evidence += kSteps[point][exit][k][leaves ? 1 : 0];
    if (evidence >= kLimit) {
      evidence = kLimit;
      watch->shifted = true;
    }
    watch->evidence[exit][k] = evidence;
  }
}

void CountStages(Watch* watch, Point point, int first, int last, Status status, const Answer& answer) {
  const bool ran = status == Status::kLeft || status == Status::kGoesOn;
  if (!ran || static_cast<unsigned>(point) >= static_cast<unsigned>(kPoints)) return;
  for (int exit = first; exit <= last; ++exit) {
    const bool leaves = status == Status::kLeft && answer.stage == exit;
    if (watch->reached[exit] != UINT32_MAX) ++watch->reached[exit];
    if (leaves && watch->left[exit] != UINT32_MAX) ++watch->left[exit];
    if (exit < kExits) Bet(watch, point, exit, leaves);
    if (leaves) return;
  }
}

}  // namespace

Point Advised(const Watch& watch, Point wanted) { return watch.shifted ? @{advised} : wanted; }
@{functions}
}  // namespace @{prefix}
