/* Cycles between two points, the least of several runs, and a line of CSV for each. Written by eeaug. */
#include "measure.h"

#include <stdio.h>

#ifdef MEASURE_PUT
void MEASURE_PUT(int character);
#else
#define MEASURE_PUT (void)putchar
#endif

static uint64_t least[MEASURE_SLOTS + 1], before, whole, empty;

#if defined(MEASURE_CYCLES)
uint32_t MEASURE_CYCLES(void);
#define READ(cycles) cycles = MEASURE_CYCLES()
#elif defined(__riscv)
#define READ(cycles) __asm__ volatile("csrr %0, mcycle" : "=r"(cycles))
#elif defined(__XTENSA__)
#define READ(cycles) __asm__ volatile("rsr %0, ccount" : "=r"(cycles))
#elif defined(__arm__)

/* DWT counts the cycles of a Cortex-M3 and above; SysTick, 24 bits that count down, where there is no DWT. */
#define REGISTER(address) (*(volatile uint32_t *)(address))
#define DEMCR REGISTER(0xE000EDFCu)
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DWT_LAR REGISTER(0xE0001FB0u)
#define SYSTICK_CTRL REGISTER(0xE000E010u)
#define SYSTICK_LOAD REGISTER(0xE000E014u)
#define SYSTICK_VAL REGISTER(0xE000E018u)
#ifndef TICKS
#define TICKS 0xFFFFFFu
#endif

static int by_dwt;
static volatile uint32_t rounds;

void SysTick_Handler(void);

void SysTick_Handler(void)
{
    ++rounds;
}

static void start(void)
{
#if !defined(__ARM_ARCH_6M__) && !defined(__ARM_ARCH_8M_BASE__)
    DEMCR |= 1u << 24; /* trace on */
    DWT_LAR = 0xC5ACCE55u; /* a Cortex-M7 has it locked */
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1u;
    by_dwt = DWT_CYCCNT != DWT_CYCCNT;
#endif
    if (!by_dwt) {
        rounds = 0;
        SYSTICK_CTRL = 0;
        SYSTICK_LOAD = TICKS;
        SYSTICK_VAL = 0;
        SYSTICK_CTRL = 7; /* the core's clock; an interrupt at zero */
    }
}

static uint64_t counted(void)
{
    uint32_t round, left;
    if (by_dwt) {
        return DWT_CYCCNT;
    }
    do {
        round = rounds;
        left = SYSTICK_VAL;
    } while (left == 0 || round != rounds); /* at zero the interrupt has come, and the next round has not begun */
    return (uint64_t)round * (TICKS + 1u) + TICKS - left;
}

#define WIDTH (by_dwt ? 32 : 64)

#else
#error "no cycle counter is known for this core: -DMEASURE_CYCLES=name says what counts"
#endif

#ifdef READ /* 32 bits that always count */
static void start(void)
{
}

static uint64_t counted(void)
{
    uint32_t cycles;
    READ(cycles);
    return cycles;
}

#define WIDTH 32
#endif

/* Cycles since the last point; a counter of 32 bits may have begun again. */
static uint64_t passed(uint64_t now)
{
    const uint64_t cycles = now - before;
    return WIDTH == 32 ? (uint32_t)cycles : cycles;
}

void measure_begin(void)
{
    whole = 0;
    before = counted();
}

void measure_layer(uint32_t slot)
{
    uint64_t cycles = passed(counted());
    cycles = cycles > empty ? cycles - empty : 0;
    whole += cycles;
    if (cycles < least[slot]) {
        least[slot] = cycles;
    }
    before = counted();
}

void measure_end(uint32_t slot)
{
    const uint64_t cycles = passed(counted());
    whole += cycles > empty ? cycles - empty : 0;
    if (whole < least[slot]) {
        least[slot] = whole;
    }
}

void measure_start(void)
{
    start();
    empty = 0;
    for (uint32_t slot = 0; slot <= MEASURE_SLOTS; ++slot) {
        least[slot] = UINT64_MAX;
    }
    for (int run = 0; run < 4; ++run) {
        measure_begin();
        measure_layer(MEASURE_SLOTS);
    }
    empty = least[MEASURE_SLOTS];
}

static void text(const char *characters)
{
    for (; *characters != '\0'; ++characters) {
        MEASURE_PUT(*characters);
    }
}

static void number(uint64_t value)
{
    char digits[21];
    int place = 20;
    digits[place] = '\0';
    do {
        digits[--place] = (char)('0' + (int)(value % 10u));
        value /= 10u;
    } while (value != 0);
    text(&digits[place]);
}

static void field(const char *characters)
{
    text(characters);
    MEASURE_PUT(',');
}

static void rest(uint64_t value, uint32_t clock_hz)
{
    number(value);
    MEASURE_PUT(',');
    number(clock_hz);
    MEASURE_PUT('\n');
}

void measure_header(void)
{
    text("@{columns}\n");
}

void measure_line(const char *processor, int stage, int layer, const char *kernel, uint32_t slot, uint32_t clock_hz)
{
    field("@{bundle}");
    field(processor);
    number((uint64_t)stage);
    MEASURE_PUT(',');
    if (layer < 0) {
        text("all");
    } else {
        number((uint64_t)layer);
    }
    MEASURE_PUT(',');
    field(kernel);
    rest(least[slot], clock_hz);
}

void measure_last(const char *processor, uint32_t lines, uint32_t clock_hz)
{
    field("@{bundle}");
    field(processor);
    text("end,,,");
    rest(lines, clock_hz);
}
