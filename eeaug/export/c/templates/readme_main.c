@{includes}

#include "@{prefix}.h"

static float sample[@{PREFIX}_INPUT];
@{quantised}@{variables}@{transport}
/* Yours reads a sensor, and prepares what it says as the model was trained. */
static void read_sample(float *x)
{
    for (int i = 0; i < @{PREFIX}_INPUT; ++i) {
        x[i] = (float)(i % 7) / 7.0f;
    }
}

int main(void)
{
    @{prefix}_result result;
    @{prefix}_outcome outcome;
    read_sample(sample);
@{quantise}@{calls}
    if (outcome != @{PREFIX}_DECIDED) {
        printf("error %d\n", (int)outcome);
        return 1;
    }
@{says}
    printf(": left at exit %ld, confidence %.3f\n", (long)result.exit, @{confidence_printed});
    return 0;
}
