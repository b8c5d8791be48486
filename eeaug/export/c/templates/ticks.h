/* Instructions of a program on a board of QEMU, whose virtual time they are: by slots, in ticks of SysTick. */
#include <stdint.h>
#include <stdio.h>

#define CONTROL (*(volatile uint32_t *)0xE000E010u)
#define RELOAD (*(volatile uint32_t *)0xE000E014u)
#define CURRENT (*(volatile uint32_t *)0xE000E018u)
#define VECTORS (*(volatile uint32_t *)0xE000ED08u)
#define SLOTS @{slots}

static volatile uint32_t wraps;
static uint32_t last, sums[SLOTS];
static uint32_t vectors[64] __attribute__((aligned(256)));

static void wrapped(void)
{
    ++wraps;
}

static uint32_t now(void)
{
    uint32_t before;
    uint32_t at;
    do {
        before = wraps;
        at = CURRENT;
    } while (before != wraps);
    return (before << 24) - at;
}

static void begin(void)
{
    const volatile uint32_t *old = (const volatile uint32_t *)VECTORS;
    for (int i = 0; i < 16; ++i) {
        vectors[i] = old[i];
    }
    vectors[15] = (uint32_t)(uintptr_t)wrapped;
    VECTORS = (uint32_t)(uintptr_t)vectors;
    RELOAD = 0xFFFFFFu;
    CURRENT = 0;
    CONTROL = 7;
    while (CURRENT == 0) {
    }
    last = now();
}

/* What has passed since the last call belongs to this slot. */
void eeaug_tick(int slot);
void eeaug_tick(int slot)
{
    sums[slot] += now() - last;
    last = now();
}

static void print(void)
{
    CONTROL = 0;
    for (int i = 0; i < SLOTS; ++i) {
        printf("slot %d %lu\n", i, (unsigned long)sums[i]);
    }
}
