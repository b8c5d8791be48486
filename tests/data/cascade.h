/* An early-exit cascade: 3 stages of net.keras, written by eeaug.
 *
 * Call the processors' functions in this order. Each returns 1 when the sample is decided, and 0 when the next one is
 * to go on with what was handed over. Samples are prepared ones, channels last:
 *     ((x * 1 + 0) - mean) / std, mean: none, std: none
 * No function allocates memory or opens files. Tensors live in one static arena for each processor, so a processor's
 * function must not be called again before it has returned.
 *
 *     cm0p: stage 0, an arena of 1,000 bytes
 *     cm4f: stages 1 to 2, an arena of 20,000 bytes
 */
#ifndef CASCADE_H
#define CASCADE_H

#include <stdint.h>

#define CASCADE_STAGES 3
#define CASCADE_CLASSES 4
#define CASCADE_OUTPUTS 4 /* of every classifier */
#define CASCADE_INPUT 784 /* floats: 28 x 28 x 1 */
#define CASCADE_POINTS 3

#ifdef __cplusplus
extern "C" {
#endif

/* Operating points: thresholds to switch between while it runs. */
typedef enum {
    CASCADE_CAREFUL = 0,
    CASCADE_DEFAULT = 1,
    CASCADE_FRUGAL = 2
} cascade_point;

typedef struct {
    int32_t predicted; /* class number */
    int32_t exit; /* the classifier that decided, from 0 */
    float confidence; /* max-softmax */
} cascade_result;

extern const char *const cascade_classes[CASCADE_CLASSES];

/* From cm0p to cm4f: 1,040 bytes. */
typedef struct {
    float tensor[256]; /* 8 x 8 x 4 */
    float said[1][CASCADE_OUTPUTS]; /* probabilities of the classifiers so far */
} cascade_to_cm4f;

int cascade_cm0p(const float *input, cascade_point point, cascade_result *result, cascade_to_cm4f *out);

int cascade_cm4f(const cascade_to_cm4f *in, cascade_point point, cascade_result *result);

#ifdef __cplusplus
}
#endif

#endif
