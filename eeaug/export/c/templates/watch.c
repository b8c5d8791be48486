/* Leave rates against the reference: bets on other rates, which win nothing as long as nothing changes. */
#include "@{prefix}_watch.h"

#include <stddef.h>

#define LIMIT @{limit}
#define BETS @{bets}

/* What a bet gains where a sample goes on and where it leaves, by operating point and exit; rounded down. */
static const int16_t steps[@{PREFIX}_POINTS][@{rows}][BETS][2] = {
@{steps}
};

/* log2 of what is put in before a sample, by the binary digits of its number + 1; of all samples it is 1. */
static const int32_t put_in[31] = {
@{floors}
};

static int32_t least_before(uint32_t number)
{
    int32_t place = -2;
    for (uint32_t rest = number + 1u; rest != 0u; rest >>= 1) {
        ++place;
    }
    return put_in[place];
}

static void bet(@{prefix}_watch *watch, @{prefix}_point point, int32_t exit, int leaves)
{
    const uint32_t number = watch->reached[exit];
    if (number == UINT32_MAX) {
        return;
    }
    const int32_t least = least_before(number);
    for (int32_t k = 0; k < BETS; ++k) {
        int32_t evidence = watch->evidence[exit][k];
        evidence = evidence < least ? least : evidence;
        evidence += steps[point][exit][k][leaves];
        if (evidence >= LIMIT) {
            evidence = LIMIT;
            watch->state = @{PREFIX}_SHIFTED;
        }
        watch->evidence[exit][k] = evidence;
    }
}

static void count(@{prefix}_watch *watch, @{prefix}_point point, int32_t first, int32_t last, @{prefix}_outcome outcome,
                  const @{prefix}_result *result)
{
    if (watch == NULL || result == NULL || outcome < @{PREFIX}_GOES_ON || (unsigned)point >= (unsigned)@{PREFIX}_POINTS) {
        return;
    }
    for (int32_t exit = first; exit <= last; ++exit) {
        const int leaves = outcome == @{PREFIX}_DECIDED && result->exit == exit;
        watch->reached[exit] += watch->reached[exit] != UINT32_MAX ? 1u : 0u;
        watch->left[exit] += leaves && watch->left[exit] != UINT32_MAX ? 1u : 0u;
        if (exit < @{PREFIX}_EXITS) {
            bet(watch, point, exit, leaves);
        }
        if (leaves) {
            return;
        }
    }
}

@{functions}
@{prefix}_state @{prefix}_status(const @{prefix}_watch *watch)
{
    return watch->state;
}

@{prefix}_point @{prefix}_advised(const @{prefix}_watch *watch, @{prefix}_point wanted)
{
    return watch->state == @{PREFIX}_SHIFTED ? @{advised} : wanted;
}
