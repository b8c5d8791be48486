/* Prepared samples, float32, from stdin; a line for each: where it left, the predicted class, the confidence. */
#include <stdio.h>

#include "@{prefix}.h"

static float sample[@{PREFIX}_INPUT];
@{quantised}

static void run(const @{number} *input, @{prefix}_point point, @{prefix}_result *result)
{
@{run}
}

int main(void)
{
    while (fread(sample, sizeof sample, 1, stdin) == 1) {
        @{prefix}_result result;
@{quantise}        run(@{taken}, @{default_point}, &result);
        printf("%ld %lld %.9g\n", (long)result.exit, (long long)result.predicted, (double)result.confidence);
    }
    return 0;
}
