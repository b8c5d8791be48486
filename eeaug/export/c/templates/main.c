/* The least program that has one processor's part of the cascade, to be measured. */
#include "@{prefix}.h"

static @{source_type} source@{source_size};
@{target}
static @{prefix}_result result;
static volatile int point;

int main(void)
{
    return (int)@{function}(@{source}, (@{prefix}_point)point, &result@{out});
}
