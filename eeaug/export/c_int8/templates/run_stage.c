/* Inputs of a stage from stdin; all that it gives to stdout. */
#include <stdio.h>

#include "@{prefix}_stage_@{stage}.h"

static union {
    int64_t aligned[@{arena}];
} arena;
static int8_t input[@{inputs}];
@{sample}static int8_t probabilities[@{outputs}];
@{handover}

int main(void)
{
    while (fread(input, sizeof input, 1, stdin) == 1@{read}) {
        @{prefix}_stage_@{stage}(&arena, input@{besides}, probabilities@{handed});
        if (fwrite(probabilities, 1, sizeof probabilities, stdout)@{written} == 0) {
            return 1;
        }
    }
    return 0;
}
