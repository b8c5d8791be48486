/* The least that a Cortex-M program needs to start in QEMU; printf goes through semihosting. */
#include <stdint.h>
#include <stdlib.h>

#define PAINTED 16384u /* words below the stack pointer */
#define PAINT 0xA5A5A5A5u

extern uint32_t stack_top, data_source, data_start, data_end, bss_start, bss_end;
int main(void);
void initialise_monitor_handles(void);
void Reset(void);
unsigned long stack_used(void);
void _init(void);
void _fini(void);
void SysTick_Handler(void);

static uint32_t *painted;

static void fault(void)
{
    for (;;) {
    }
}

__attribute__((noinline)) static void paint(void)
{
    volatile uint32_t *top = (uint32_t *)__builtin_frame_address(0) - 16;
    painted = (uint32_t *)top - PAINTED;
    for (volatile uint32_t *word = painted; word < top; ++word) {
        *word = PAINT;
    }
}

/* Bytes of stack that were in use at most, from the top. */
unsigned long stack_used(void)
{
    const volatile uint32_t *word = painted;
    while (*word == PAINT) {
        ++word;
    }
    return (unsigned long)((const char *)&stack_top - (const char *)word);
}

void Reset(void)
{
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: the floating-point unit on */
    __asm volatile("dsb; isb");
#endif
    uint32_t *from = &data_source;
    for (uint32_t *to = &data_start; to < &data_end; ++to) {
        *to = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end; ++to) {
        *to = 0;
    }
    initialise_monitor_handles();
    paint();
    exit(main());
}

void _init(void) {}
void _fini(void) {}

/* A program that lets SysTick interrupt it has a handler of its own. */
__attribute__((weak)) void SysTick_Handler(void)
{
    fault();
}

__extension__ __attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &stack_top, (void *)Reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
    [15] = (void *)SysTick_Handler,
};
