/* The least program that has one processor's part of the cascade, to be measured. */
#include "cascade.h"

static @{source_type} source@{source_size};
@{target}
static cascade_result result;
static volatile int point;

int main(void)
{
    return @{function}(@{source}, (cascade_point)point, &result@{out});
}
