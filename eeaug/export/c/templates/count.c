/* One sample through one processor's part of the cascade. */
#include <string.h>
#include "@{prefix}.h"
@{ticks}

static const @{number} given[@{count}] = {
@{given}
};
@{source}
@{target}
static @{prefix}_result result;

int main(void)
{
    @{filled}
    begin();
    (void)@{function}(@{argument}, @{default_point}, &result@{out});
    eeaug_tick(@{after});
    print();
    return 0;
}
