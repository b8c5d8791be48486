/* An early-exit cascade: @{title}
 *
 * README.md beside this file has a whole program. Call the processors' functions in this order. Each says
 * @{PREFIX}_DECIDED when the sample is decided, @{PREFIX}_GOES_ON when the next processor is to go on with what was
 * handed over, and an error below 0 where an argument is wrong; nothing was written then. Samples are prepared ones,
 * channels last:
 *     @{preparation}
 * No function allocates memory or opens files. Tensors live in a context for each processor: functions that end in
 * _in take one from the caller, several may run at once; the others have one of their own, so they must not be called
 * again before they have returned.
 *
@{processors}
 *
 * What may be defined for the compiler:
 *     @{PREFIX}_<PROCESSOR>_SECTION  attributes of its own context, as __attribute__((section(".dtcm")))
 *     @{PREFIX}_WEIGHTS_SECTION  the same of every array of weights
 *     @{PREFIX}_NO_STATIC_CONTEXT  leaves out contexts, and the functions that use them
 *     @{PREFIX}_NO_CLASS_NAMES  leaves out the names of classes
 */
#ifndef @{PREFIX}_H
#define @{PREFIX}_H

#include <stdint.h>

#define @{PREFIX}_INTERFACE 2 /* of this header; another number where programs have to change */
#define @{PREFIX}_EEAUG "@{version}" /* the version that wrote it */
#define @{PREFIX}_BUILD @{build} /* of weights, thresholds and hand-overs: other ones, another number */

#define @{PREFIX}_STAGES @{stages}
#define @{PREFIX}_CLASSES @{classes}
#define @{PREFIX}_OUTPUTS @{outputs} /* of every classifier */
#define @{PREFIX}_INPUT @{inputs} /* @{numbers}: @{input_shape} */
#define @{PREFIX}_POINTS @{point_count}
@{sizes}

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    @{PREFIX}_OTHER_BUILD = -3, /* what was handed over is of another cascade, or was never filled */
    @{PREFIX}_NO_SUCH_POINT = -2,
    @{PREFIX}_NO_POINTER = -1, /* an argument is NULL */
    @{PREFIX}_GOES_ON = 0,
    @{PREFIX}_DECIDED = 1
} @{prefix}_outcome;

/* Operating points: thresholds to switch between while it runs. */
typedef enum {
@{points}
} @{prefix}_point;

typedef struct {
    @{predicted_type} predicted; /* @{predicted_meaning} */
    int32_t exit; /* the classifier that decided, from 0 */
    @{confidence_type} confidence; /* @{metric}@{confidence_unit} */
} @{prefix}_result;

#ifndef @{PREFIX}_NO_CLASS_NAMES
extern const char *const @{prefix}_classes[@{PREFIX}_CLASSES];
#endif

@{input_declared}@{declarations}
#ifndef @{PREFIX}_NO_STATIC_CONTEXT
@{own}#endif

#ifdef __cplusplus
}
#endif

#endif
