/* An early-exit cascade: @{title}
 *
 * Call the processors' functions in this order. Each returns 1 when the sample is decided, and 0 when the next one is
 * to go on with what was handed over. Samples are prepared ones, channels last:
 *     @{preparation}
 * No function allocates memory or opens files. Tensors live in one static arena for each processor, so a processor's
 * function must not be called again before it has returned.
 *
@{processors}
 */
#ifndef CASCADE_H
#define CASCADE_H

#include <stdint.h>

#define CASCADE_STAGES @{stages}
#define CASCADE_CLASSES @{classes}
#define CASCADE_OUTPUTS @{outputs} /* of every classifier */
#define CASCADE_INPUT @{inputs} /* floats: @{input_shape} */
#define CASCADE_POINTS @{point_count}

#ifdef __cplusplus
extern "C" {
#endif

/* Operating points: thresholds to switch between while it runs. */
typedef enum {
@{points}
} cascade_point;

typedef struct {
    @{predicted_type} predicted; /* @{predicted_meaning} */
    int32_t exit; /* the classifier that decided, from 0 */
    float confidence; /* @{metric} */
} cascade_result;

extern const char *const cascade_classes[CASCADE_CLASSES];

@{declarations}
#ifdef __cplusplus
}
#endif

#endif
