/* An early-exit cascade: @{title} */
#include "@{prefix}.h"

@{system}

@{includes}

#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define ASSERTED(name, condition) _Static_assert(condition, #name)
#else
#define ASSERTED(name, condition) typedef char asserted_##name[(condition) ? 1 : -1]
#endif
#define OUTPUTS @{PREFIX}_OUTPUTS
#define AT(offset) ((void *)(arena + (offset)))

ASSERTED(bytes_of_8_bits, CHAR_BIT == 8);
@{number_asserted}
@{asserted}

/* Where in a processor's arena its stages leave what they say and what goes on, in bytes. */
enum {
@{places}
};

#ifndef @{PREFIX}_NO_CLASS_NAMES
const char *const @{prefix}_classes[@{PREFIX}_CLASSES] = {
@{class_names}
};
#endif

@{thresholds}
@{weights}
@{decisions}

@{decided}

@{input_defined}@{functions}
#ifndef @{PREFIX}_NO_STATIC_CONTEXT
@{own}
#endif
