/* An early-exit cascade: 3 stages of net.keras, written by eeaug.
 *
 * README.md beside this file has a whole program. Call the processors' functions in this order. Each says
 * NET_DECIDED when the sample is decided, NET_GOES_ON when the next processor is to go on with what was
 * handed over, and an error below 0 where an argument is wrong; nothing was written then. Samples are prepared ones,
 * channels last:
 *     ((x * 1 + 0) - mean) / std, mean: none, std: none
 * No function allocates memory or opens files. Tensors live in a context for each processor: functions that end in
 * _in take one from the caller, several may run at once; the others have one of their own, so they must not be called
 * again before they have returned.
 *
 *     cm0p: stage 0, an arena of 1,000 bytes
 *     cm4f: stages 1 to 2, an arena of 20,000 bytes
 *
 * What may be defined for the compiler:
 *     NET_<PROCESSOR>_SECTION  attributes of its own context, as __attribute__((section(".dtcm")))
 *     NET_WEIGHTS_SECTION  the same of every array of weights
 *     NET_NO_STATIC_CONTEXT  leaves out contexts, and the functions that use them
 *     NET_NO_CLASS_NAMES  leaves out the names of classes
 */
#ifndef NET_H
#define NET_H

#include <stdint.h>

#define NET_INTERFACE 2 /* of this header; another number where programs have to change */
#define NET_EEAUG "0.1.0" /* the version that wrote it */
#define NET_BUILD 0x000012abu /* of weights, thresholds and hand-overs: other ones, another number */

#define NET_STAGES 3
#define NET_CLASSES 4
#define NET_OUTPUTS 4 /* of every classifier */
#define NET_INPUT 784 /* floats: 28 x 28 x 1 */
#define NET_POINTS 3
#define NET_CM0P_ARENA_BYTES 1000
#define NET_CM4F_ARENA_BYTES 20000
#define NET_TO_CM4F_BYTES 1044

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    NET_OTHER_BUILD = -3, /* what was handed over is of another cascade, or was never filled */
    NET_NO_SUCH_POINT = -2,
    NET_NO_POINTER = -1, /* an argument is NULL */
    NET_GOES_ON = 0,
    NET_DECIDED = 1
} net_outcome;

/* Operating points: thresholds to switch between while it runs. */
typedef enum {
    NET_CAREFUL = 0,
    NET_DEFAULT = 1,
    NET_FRUGAL = 2
} net_point;

typedef struct {
    int32_t predicted; /* class number */
    int32_t exit; /* the classifier that decided, from 0 */
    float confidence; /* max-softmax */
} net_result;

#ifndef NET_NO_CLASS_NAMES
extern const char *const net_classes[NET_CLASSES];
#endif

/* From cm0p to cm4f: 1,044 bytes. */
typedef struct {
    uint32_t build; /* NET_BUILD of the sender; the receiver refuses another one */
    float tensor[256]; /* 8 x 8 x 4 */
    float said[1][NET_OUTPUTS]; /* probabilities of the classifiers so far */
} net_to_cm4f;

/* What cm0p needs to run; nothing of it has to be set before. */
typedef struct {
    union {
        double aligned;
        int64_t whole;
        unsigned char bytes[NET_CM0P_ARENA_BYTES];
    } arena;
} net_cm0p_context;

/* What cm4f needs to run; nothing of it has to be set before. */
typedef struct {
    union {
        double aligned;
        int64_t whole;
        unsigned char bytes[NET_CM4F_ARENA_BYTES];
    } arena;
} net_cm4f_context;

net_outcome net_cm0p_in(net_cm0p_context *context,
    const float *input, net_point point, net_result *result, net_to_cm4f *out);

net_outcome net_cm4f_in(net_cm4f_context *context, const net_to_cm4f *in, net_point point, net_result *result);

#ifndef NET_NO_STATIC_CONTEXT
net_outcome net_cm0p(const float *input, net_point point, net_result *result, net_to_cm4f *out);

net_outcome net_cm4f(const net_to_cm4f *in, net_point point, net_result *result);
#endif

#ifdef __cplusplus
}
#endif

#endif
