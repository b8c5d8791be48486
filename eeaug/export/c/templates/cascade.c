/* An early-exit cascade: @{title} */
#include "cascade.h"

#include <float.h>
#include <math.h>
#include <string.h>

@{includes}

#define AT(offset) ((void *)(arena + (offset)))

const char *const cascade_classes[CASCADE_CLASSES] = {
@{class_names}
};

@{thresholds}
@{arenas}
@{sure}

@{confidence}

@{predicted}

@{decided}
@{hear}
@{functions}
