/* int8 operators of a network, as LiteRT's reference kernels compute them, bit for bit. Written by eeaug. */
#include "@{prefix}_kernels.h"

#include <string.h>

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#endif
#include "arm_nnfunctions.h"
#include "arm_nnsupportfunctions.h"
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#if defined(__GNUC__)
#define APART __attribute__((noinline))
#else
#define APART
#endif

//: scaled
/* x * multiplier / 2^31, to nearest, halves up. */
static inline int32_t high_of_product(int32_t x, int32_t multiplier)
{
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
    /* No long product on this core: four short ones. The multiplier is not negative. */
    const uint32_t low = (uint32_t)x & 0xFFFFu, multiplier_low = (uint32_t)multiplier & 0xFFFFu;
    const int32_t high = x >> 16, multiplier_high = multiplier >> 16;
    const uint32_t least = low * multiplier_low;
    const int32_t first = high * (int32_t)multiplier_low + (int32_t)(least >> 16);
    const int32_t second = (int32_t)low * multiplier_high + (first & 0xFFFF);
    const uint32_t lower = ((uint32_t)second << 16 | (least & 0xFFFFu)) + 0x40000000u;
    const int32_t upper = high * multiplier_high + (first >> 16) + (second >> 16) + (lower < 0x40000000u);
    return (int32_t)((uint32_t)upper << 1 | lower >> 31);
#else
    return (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << 30)) >> 31);
#endif
}

/* x / 2^right, to nearest, halves away from zero. */
static inline int32_t shifted(int32_t x, int32_t right)
{
    if (right == 0) {
        return x;
    }
    return (x + ((int32_t)1 << (right - 1)) - (x < 0)) >> right;
}

/* x * factor: the product rounded, then the shift. */
static inline int32_t scaled(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    return shifted(high_of_product(x * ((int32_t)1 << left), multiplier), left - shift);
}

//: clamped
static inline int8_t clamped(int32_t x, int32_t least, int32_t most)
{
    return (int8_t)(x < least ? least : x > most ? most : x);
}

//: convolve
/* Columns of int16 with the offset added, two at once: on a core with DSP instructions one after the other, elsewhere
   (int16_t)(first, second), (first, second), and so on. */
#if defined(ARM_MATH_DSP)
/* n numbers; of every four the first and third, then the second and fourth, as SXTB16 takes weights apart. */
static void spread(const int8_t *x, int32_t n, int32_t offset, int16_t *y)
{
    const uint32_t offsets = ((uint32_t)offset & 0xFFFFu) * 0x10001u;
    for (; n >= 4; n -= 4, x += 4, y += 4) {
        const uint32_t four = (uint32_t)arm_nn_read_s8x4(x);
        const uint32_t pairs[2] = {__SXTAB16(offsets, four), __SXTAB16_RORn(offsets, four, 8)};
        memcpy(y, pairs, sizeof pairs);
    }
    for (; n; --n) {
        *y++ = (int16_t)(*x++ + offset);
    }
}

/* The window of an output as a column; what lies outside of x is 0. Where channels are not fours it is put together
   first. */
static void fill_column(const @{prefix}_convolution *layer, const int8_t *x, int32_t top, int32_t left,
                        int8_t *together, int16_t *column)
{
    const int32_t c = layer->input.c, width = layer->input.w, columns = layer->filter.w;
    const int32_t offset = layer->how.input_offset, fours = c % 4 == 0;
    const cmsis_nn_tile step = layer->how.dilation;
    int32_t at = 0;
    for (int32_t i = 0; i < layer->filter.h; ++i) {
        const int32_t row = top + i * step.h, outside = row < 0 || row >= layer->input.h;
        for (int32_t j = 0; j < columns;) {
            const int32_t u = left + j * step.w;
            const int32_t here = !outside && u >= 0 && u < width;
            int32_t n = 1; /* columns that go on in the same way, side by side in x */
            if (outside) {
                n = columns - j;
            } else if (here && step.w == 1) {
                n = width - u < columns - j ? width - u : columns - j;
            }
            const int8_t *const from = x + (row * width + u) * c;
            if (fours && here) {
                spread(from, n * c, offset, column + at);
            } else if (fours) {
                memset(column + at, 0, (size_t)(2 * n * c));
            } else if (here) {
                memcpy(together + at, from, (size_t)(n * c));
            } else {
                memset(together + at, -offset, (size_t)(n * c));
            }
            at += n * c;
            j += n;
        }
    }
    if (!fours) {
        spread(together, at, offset, column);
    }
}

#define PRODUCTS(at) \
    do { \
        const uint32_t four = (uint32_t)arm_nn_read_s8x4(w + (at)), later = (uint32_t)arm_nn_read_s8x4(w + next + (at)); \
        const uint32_t even = __SXTB16(four), odd = __SXTB16_RORn(four, 8); \
        const uint32_t even_next = __SXTB16(later), odd_next = __SXTB16_RORn(later, 8); \
        uint32_t pair = (uint32_t)arm_nn_read_s16x2(a + (at)); \
        sum = (int32_t)__SMLAD(even, pair, (uint32_t)sum); \
        sum_next = (int32_t)__SMLAD(even_next, pair, (uint32_t)sum_next); \
        pair = (uint32_t)arm_nn_read_s16x2(a + (at) + 2); \
        sum = (int32_t)__SMLAD(odd, pair, (uint32_t)sum); \
        sum_next = (int32_t)__SMLAD(odd_next, pair, (uint32_t)sum_next); \
        pair = (uint32_t)arm_nn_read_s16x2(b + (at)); \
        other = (int32_t)__SMLAD(even, pair, (uint32_t)other); \
        other_next = (int32_t)__SMLAD(even_next, pair, (uint32_t)other_next); \
        pair = (uint32_t)arm_nn_read_s16x2(b + (at) + 2); \
        other = (int32_t)__SMLAD(odd, pair, (uint32_t)other); \
        other_next = (int32_t)__SMLAD(odd_next, pair, (uint32_t)other_next); \
    } while (0)

/* Adds to sums: two columns of n numbers times the weights of a channel, and of the one `next` weights later. Apart,
   so that its loop has all registers to itself. */
APART static void multiply(const int8_t *w, int32_t next, const int16_t *a, int32_t n, int32_t *sums)
{
    const int16_t *b = a + n + (n & 1);
    const int8_t *const end = w + (n & ~7);
    int32_t sum = sums[0], other = sums[1], sum_next = sums[2], other_next = sums[3];
    for (; w != end; w += 8, a += 8, b += 8) {
        PRODUCTS(0);
        PRODUCTS(4);
    }
    if (n & 4) {
        PRODUCTS(0);
        w += 4;
        a += 4;
        b += 4;
    }
    for (int32_t i = n & 3; i; --i, ++w, ++a, ++b) {
        sum += *w * *a;
        other += *w * *b;
        sum_next += w[next] * *a;
        other_next += w[next] * *b;
    }
    sums[0] = sum;
    sums[1] = other;
    sums[2] = sum_next;
    sums[3] = other_next;
}
#else
static void fill_column(const @{prefix}_convolution *layer, const int8_t *x, int32_t top, int32_t left,
                        int16_t *column)
{
    const int32_t c = layer->input.c, width = layer->input.w, offset = layer->how.input_offset;
    const cmsis_nn_tile step = layer->how.dilation;
    for (int32_t i = 0, row = top; i < layer->filter.h; ++i, row += step.h) {
        for (int32_t j = 0, u = left; j < layer->filter.w; ++j, u += step.w) {
            const int8_t *from = x + (row * width + u) * c;
            if (row >= 0 && row < layer->input.h && u >= 0 && u < width) {
                for (int32_t k = c; k; --k, column += 2) {
                    *column = (int16_t)(*from++ + offset);
                }
            } else {
                for (int32_t k = c; k; --k, column += 2) {
                    *column = 0;
                }
            }
        }
    }
}

/* Adds to sums: two columns of n > 0 numbers times the weights of a channel, and of the one `next` weights later.
   Apart, so that its loop has all registers to itself. */
APART static void multiply(const int8_t *w, int32_t next, const int16_t *a, int32_t n, int32_t *sums)
{
    int32_t sum = sums[0], other = sums[1], sum_next = sums[2], other_next = sums[3];
#if defined(__GNUC__) && defined(__OPTIMIZE__) && (defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__))
    /* Eight registers that can multiply: compilers do not find this order. */
    const int8_t *v = w + n + next;
    int32_t i = -n, x, y, p, product;
    w += n;
    __asm__(".syntax unified\n"
            "1: ldrsb %[p], [%[w], %[i]]\n\t"
            "ldmia %[a]!, {%[x]}\n\t"
            "asrs %[y], %[x], #16\n\t"
            "sxth %[x], %[x]\n\t"
            "mov %[product], %[p]\n\t"
            "muls %[product], %[x], %[product]\n\t"
            "add %[sum], %[product]\n\t"
            "muls %[p], %[y], %[p]\n\t"
            "add %[other], %[p]\n\t"
            "ldrsb %[p], [%[v], %[i]]\n\t"
            "muls %[x], %[p], %[x]\n\t"
            "add %[sum_next], %[x]\n\t"
            "muls %[y], %[p], %[y]\n\t"
            "add %[other_next], %[y]\n\t"
            "adds %[i], #1\n\t"
            "bne 1b"
            : [sum] "+h"(sum), [other] "+h"(other), [sum_next] "+h"(sum_next), [other_next] "+h"(other_next),
              [a] "+l"(a), [i] "+l"(i), [x] "=&l"(x), [y] "=&l"(y), [p] "=&l"(p), [product] "=&l"(product)
            : [w] "l"(w), [v] "l"(v)
            : "cc", "memory");
#else
    for (int32_t i = 0; i < n; ++i) {
        const int32_t x = a[2 * i], y = a[2 * i + 1];
        sum += w[i] * x;
        other += w[i] * y;
        sum_next += w[next + i] * x;
        other_next += w[next + i] * y;
    }
#endif
    sums[0] = sum;
    sums[1] = other;
    sums[2] = sum_next;
    sums[3] = other_next;
}
#endif

/* Two columns times the weights of every output channel, two of these at once. */
static void multiply_columns(const @{prefix}_convolution *layer, const int16_t *columns, int32_t n, int8_t *y,
                             int8_t *y_second)
{
    const int32_t channels = layer->output.c, y_offset = layer->how.output_offset;
    const int32_t least = layer->how.activation.min, most = layer->how.activation.max;
    const int8_t *w = layer->weights;
    for (int32_t k = 0; k < channels; k += 2, w += 2 * n) {
        const int32_t next = k + 1 < channels; /* the last may be without a second one */
        int32_t sums[4] = {layer->bias[k], layer->bias[k], layer->bias[k + next], layer->bias[k + next]};
        multiply(w, next * n, columns, n, sums);
        for (int32_t j = 0; j <= next; ++j) {
            const int32_t m = layer->multipliers[k + j], shift = layer->shifts[k + j];
            y[k + j] = clamped(scaled(sums[2 * j], m, shift) + y_offset, least, most);
            y_second[k + j] = clamped(scaled(sums[2 * j + 1], m, shift) + y_offset, least, most);
        }
    }
}

void @{prefix}_convolve(const @{prefix}_convolution *layer, void *scratch, const int8_t *x, int8_t *y)
{
    const int32_t n = layer->filter.w * layer->filter.h * layer->input.c, channels = layer->output.c;
    const int8_t *const end = y + layer->output.h * layer->output.w * channels;
    const cmsis_nn_conv_params *const how = &layer->how;
    int16_t *const columns = scratch;
    int32_t top = -how->padding.h, left = -how->padding.w, second = 0;
    while (y != end) {
#if defined(ARM_MATH_DSP)
        const int32_t even = (n + 1) / 2 * 2;
        fill_column(layer, x, top, left, (int8_t *)(columns + 2 * even), columns + second * even);
#else
        fill_column(layer, x, top, left, columns + second);
#endif
        if (second) {
            int8_t *const next = y + channels;
            multiply_columns(layer, columns, n, y, next == end ? y : next);
            y = next == end ? next : next + channels;
        }
        second = !second;
        if (second && y + channels == end) {
            continue; /* an odd one fills both columns */
        }
        left += how->stride.w;
        if (left == layer->output.w * how->stride.w - how->padding.w) {
            left = -how->padding.w;
            top += how->stride.h;
        }
    }
}

//: depthwise
/* The part of a window that lies within x: rows and columns of it, and how far apart these are. */
typedef struct {
    int32_t rows, columns, x_row, w_row, x_column, w_column;
    int32_t offset;
} part_of_window;

#if defined(ARM_MATH_DSP)
#define FOUR(inputs, weights) \
    do { \
        const uint32_t four = (uint32_t)arm_nn_read_s8x4(inputs), by = (uint32_t)arm_nn_read_s8x4(weights); \
        const uint32_t even = __SXTAB16(offsets, four), odd = __SXTAB16_RORn(offsets, four, 8); \
        const uint32_t by_even = __SXTB16(by), by_odd = __SXTB16_RORn(by, 8); \
        a = ACLE_SMLABB((int32_t)even, (int32_t)by_even, a); \
        b = ACLE_SMLABB((int32_t)odd, (int32_t)by_odd, b); \
        d = ACLE_SMLATT((int32_t)even, (int32_t)by_even, d); \
        e = ACLE_SMLATT((int32_t)odd, (int32_t)by_odd, e); \
    } while (0)

/* Four channels of a window. */
static void sum_four(const part_of_window *of, const int8_t *x, const int8_t *w, const int32_t *bias, int32_t *sums)
{
    const int32_t c = of->x_column, n = of->w_column;
    const uint32_t offsets = ((uint32_t)of->offset & 0xFFFFu) * 0x10001u;
    int32_t a = bias[0], b = bias[1], d = bias[2], e = bias[3];
    for (int32_t i = of->rows; i; --i, x += of->x_row, w += of->w_row) {
        if (of->columns == 3 && c == n) {
            FOUR(x, w);
            FOUR(x + n, w + n);
            FOUR(x + 2 * n, w + 2 * n);
        } else {
            for (int32_t j = 0; j < of->columns; ++j) {
                FOUR(x + j * c, w + j * n);
            }
        }
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = d;
    sums[3] = e;
}
#endif

/* One channel of a window. */
static int32_t sum_one(const part_of_window *of, const int8_t *x, const int8_t *w, int32_t sum)
{
    const int32_t c = of->x_column, n = of->w_column, offset = of->offset, columns = of->columns;
    for (int32_t i = of->rows; i; --i, x += of->x_row, w += of->w_row) {
#if !defined(ARM_MATH_DSP)
        if (columns == 3 && c == n) {
            sum += (x[0] + offset) * w[0];
            sum += (x[n] + offset) * w[n];
            sum += (x[2 * n] + offset) * w[2 * n];
            continue;
        }
#endif
        for (int32_t j = 0; j < columns; ++j) {
            sum += (x[j * c] + offset) * w[j * n];
        }
    }
    return sum;
}

/* What of a window of `size` steps from `start` lies within x of `inputs`: the first of these steps; all of them
   become `within`. */
static int32_t part(int32_t start, int32_t step, int32_t inputs, int32_t size, int32_t *within)
{
    int32_t first = 0, end = size;
    while (start + first * step < 0) {
        ++first;
    }
    while (end > first && start + (end - 1) * step >= inputs) {
        --end;
    }
    *within = end - first;
    return first;
}

void @{prefix}_depthwise(const @{prefix}_depthwise_convolution *layer, void *scratch, const int8_t *x, int8_t *y)
{
    const cmsis_nn_dw_conv_params *const how = &layer->how;
    const int32_t c = layer->input.c, n = layer->output.c, width = layer->input.w, columns = layer->filter.w;
    const cmsis_nn_tile step = how->dilation;
    part_of_window of = {0, 0, step.h * width * c, columns * n, step.w * c, n, how->input_offset};
    (void)scratch;
    for (int32_t v = 0; v < layer->output.h; ++v) {
        const int32_t top = v * how->stride.h - how->padding.h;
        const int32_t first_row = part(top, step.h, layer->input.h, layer->filter.h, &of.rows);
        for (int32_t u = 0; u < layer->output.w; ++u) {
            const int32_t left = u * how->stride.w - how->padding.w;
            const int32_t first = part(left, step.w, width, columns, &of.columns);
            const int8_t *from = x + ((top + first_row * step.h) * width + left + first * step.w) * c;
            const int8_t *by = layer->weights + (first_row * columns + first) * n;
            int32_t again = 0;
            for (int32_t k = 0, many; k < n; by += many) {
                int32_t sums[4];
#if defined(ARM_MATH_DSP)
                if (how->ch_mult == 1 && k + 4 <= n) {
                    many = 4;
                    sum_four(&of, from, by, layer->bias + k, sums);
                    from += 4;
                } else
#endif
                {
                    many = 1;
                    sums[0] = sum_one(&of, from, by, layer->bias[k]);
                    if (++again == how->ch_mult) {
                        again = 0;
                        ++from;
                    }
                }
                for (int32_t m = 0; m < many; ++m, ++k) {
                    const int32_t sum = scaled(sums[m], layer->multipliers[k], layer->shifts[k]);
                    *y++ = clamped(sum + how->output_offset, how->activation.min, how->activation.max);
                }
            }
        }
    }
}

//: vectors
/* By CMSIS-NN where the core has vectors. */
void @{prefix}_@{name}(const @{prefix}_@{record} *layer, void *scratch, const int8_t *x, int8_t *y)
{
#if defined(ARM_MATH_MVEI)
    const cmsis_nn_context context = {scratch, layer->scratch};
    const cmsis_nn_per_channel_quant_params by = {(int32_t *)layer->multipliers, (int32_t *)layer->shifts};
    const cmsis_nn_dims bias = {1, 1, 1, layer->output.c};
    (void)@{function}(&context, &layer->how, &by, &layer->input, x, &layer->filter, layer->weights, &bias,
        layer->bias, &layer->output, y);
#else
    @{prefix}_@{kernel}(layer, scratch, x, y);
#endif
}

//: connect
/* The products of n weights with n inputs, summed; of two rows of weights at once. */
static void dot(const int8_t *w, const int8_t *x, int32_t n, int32_t next, int32_t *sum, int32_t *sum_next)
{
    int32_t a = *sum, b = *sum_next;
    int32_t i = 0;
#if defined(ARM_MATH_MVEI)
    for (; i < n; i += 16) {
        const mve_pred16_t on = vctp8q((uint32_t)(n - i));
        const int8x16_t inputs = vldrbq_z_s8(x + i, on);
        a = vmladavaq_p_s8(a, vldrbq_z_s8(w + i, on), inputs, on);
        b = vmladavaq_p_s8(b, vldrbq_z_s8(w + next + i, on), inputs, on);
    }
#elif defined(ARM_MATH_DSP)
    for (; i + 4 <= n; i += 4) {
        const uint32_t inputs = (uint32_t)arm_nn_read_s8x4(x + i);
        const uint32_t first = (uint32_t)arm_nn_read_s8x4(w + i);
        const uint32_t second = (uint32_t)arm_nn_read_s8x4(w + next + i);
        const uint32_t even = __SXTB16(inputs), odd = __SXTB16_RORn(inputs, 8);
        a = (int32_t)__SMLAD(even, __SXTB16(first), (uint32_t)a);
        a = (int32_t)__SMLAD(odd, __SXTB16_RORn(first, 8), (uint32_t)a);
        b = (int32_t)__SMLAD(even, __SXTB16(second), (uint32_t)b);
        b = (int32_t)__SMLAD(odd, __SXTB16_RORn(second, 8), (uint32_t)b);
    }
#endif
    for (; i < n; ++i) {
        a += w[i] * x[i];
        b += w[next + i] * x[i];
    }
    *sum = a;
    *sum_next = b;
}

/* x * factor, rounded once, halves up: LiteRT's dense layers do so. */
static int32_t scaled_once(int32_t x, int32_t multiplier, int32_t shift)
{
    return (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << (30 - shift))) >> (31 - shift));
}

void @{prefix}_connect(const @{prefix}_dense *of, const int8_t *x, int8_t *y)
{
    for (int32_t row = 0; row < of->rows; ++row, x += of->columns) {
        for (int32_t k = 0; k < of->channels; k += 2) {
            const int32_t second = k + 1 < of->channels; /* the last may be without a second one */
            int32_t sums[2] = {of->bias[k], of->bias[k + second]};
            dot(of->weights + k * of->columns, x, of->columns, second * of->columns, &sums[0], &sums[1]);
            for (int32_t j = 0; j <= second; ++j) {
                const int32_t scaled = scaled_once(sums[j], of->multipliers[k + j], of->shifts[k + j]);
                *y++ = clamped(scaled + of->y_offset, of->least, of->most);
            }
        }
    }
}

//: add
static void add_row(const @{prefix}_binary *how, const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step,
                    int8_t *y, int32_t n)
{
    const @{prefix}_binary by = *how; /* y may be anything, for all that the compiler knows */
    for (int32_t i = 0; i < n; ++i) {
        const int32_t first = high_of_product((a[i * a_step] + by.a_offset) * 1048576, by.a.multiplier);
        const int32_t second = high_of_product((b[i * b_step] + by.b_offset) * 1048576, by.b.multiplier);
        const int32_t other = shifted(second, -by.b.shift);
        const int32_t sum = shifted(first, -by.a.shift) + (by.minus ? -other : other);
        y[i] = clamped(shifted(high_of_product(sum, by.y.multiplier), -by.y.shift) + by.y_offset, by.least, by.most);
    }
}

//: multiply
static void multiply_row(const @{prefix}_binary *how, const int8_t *a, int32_t a_step, const int8_t *b,
                         int32_t b_step, int8_t *y, int32_t n)
{
    const @{prefix}_binary by = *how;
    for (int32_t i = 0; i < n; ++i) {
        const int32_t product = (a[i * a_step] + by.a_offset) * (b[i * b_step] + by.b_offset);
        y[i] = clamped(scaled(product, by.y.multiplier, by.y.shift) + by.y_offset, by.least, by.most);
    }
}

//: slope
/* b is the slope of a where that is negative. */
static void slope_row(const @{prefix}_binary *how, const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step,
                      int8_t *y, int32_t n)
{
    const @{prefix}_binary by = *how;
    for (int32_t i = 0; i < n; ++i) {
        const int32_t x = a[i * a_step] + by.a_offset;
        const int32_t result = x < 0 ? scaled(x * (b[i * b_step] + by.b_offset), by.y.multiplier, by.y.shift)
                                     : scaled(x, by.a.multiplier, by.a.shift);
        y[i] = clamped(result + by.y_offset, by.least, by.most);
    }
}

//: maximum
static void maximum_row(const @{prefix}_binary *how, const int8_t *a, int32_t a_step, const int8_t *b,
                        int32_t b_step, int8_t *y, int32_t n)
{
    for (int32_t i = 0; i < n; ++i) {
        const int8_t first = a[i * a_step], second = b[i * b_step];
        y[i] = (first > second) == (how->minus == 0) ? first : second;
    }
}

//: binary
void @{prefix}_@{name}(const @{prefix}_binary *how, const @{prefix}_pairs *of, const int8_t *a, const int8_t *b,
    int8_t *y)
{
    const int32_t *const n = of->sizes;
    for (int32_t i = 0; i < n[0]; ++i) {
        for (int32_t j = 0; j < n[1]; ++j) {
            for (int32_t k = 0; k < n[2]; ++k) {
                @{name}_row(how, a + i * of->a[0] + j * of->a[1] + k * of->a[2], of->a[3],
                    b + i * of->b[0] + j * of->b[1] + k * of->b[2], of->b[3], y, n[3]);
                y += n[3];
            }
        }
    }
}

//: look_up
/* table[x + 128] of every element; y may be x. */
void @{prefix}_look_up(const int8_t *table, const int8_t *x, int8_t *y, int32_t n)
{
    for (int32_t i = 0; i < n; ++i) {
        y[i] = table[x[i] + 128];
    }
}

//: move
void @{prefix}_move(const @{prefix}_axes *of, const int8_t *x, int8_t *y)
{
    const int32_t *const n = of->sizes;
    for (int32_t i = 0; i < n[0]; ++i) {
        for (int32_t j = 0; j < n[1]; ++j) {
            for (int32_t k = 0; k < n[2]; ++k) {
                for (int32_t l = 0; l < n[3]; ++l) {
                    const int8_t *from = x + i * of->x[0] + j * of->x[1] + k * of->x[2] + l * of->x[3];
                    int8_t *to = y + i * of->y[0] + j * of->y[1] + k * of->y[2] + l * of->y[3];
                    if (of->x[4] == 1 && of->y[4] == 1) {
                        memcpy(to, from, (size_t)n[4]);
                    } else {
                        for (int32_t m = 0; m < n[4]; ++m) {
                            to[m * of->y[4]] = from[m * of->x[4]];
                        }
                    }
                }
            }
        }
    }
}

//: pool
/* y of the part of every window that lies within x, average: else its largest. */
static void pool(const @{prefix}_window *of, const int8_t *x, int8_t *y, int average)
{
    const int32_t c = of->channels;
    for (int32_t v = 0; v < of->output.h; ++v) {
        const int32_t top = v * of->stride.h - of->padding.h;
        const int32_t first_row = top < 0 ? 0 : top;
        const int32_t end_row = top + of->window.h < of->input.h ? top + of->window.h : of->input.h;
        for (int32_t u = 0; u < of->output.w; ++u) {
            const int32_t left = u * of->stride.w - of->padding.w;
            const int32_t first = left < 0 ? 0 : left;
            const int32_t end = left + of->window.w < of->input.w ? left + of->window.w : of->input.w;
            const int32_t count = (end_row - first_row) * (end - first);
            for (int32_t k = 0; k < c; ++k) {
                int32_t sum = 0;
                int32_t largest = -128;
                for (int32_t row = first_row; row < end_row; ++row) {
                    const int8_t *at = x + (row * of->input.w + first) * c + k;
                    for (int32_t i = first; i < end; ++i, at += c) {
                        sum += *at;
                        largest = *at > largest ? *at : largest;
                    }
                }
                const int32_t mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
                *y++ = clamped(average ? mean : largest, of->least, of->most);
            }
        }
    }
}

//: average_pool
void @{prefix}_average_pool(const @{prefix}_window *of, const int8_t *x, int8_t *y)
{
    pool(of, x, y, 1);
}

//: max_pool
void @{prefix}_max_pool(const @{prefix}_window *of, const int8_t *x, int8_t *y)
{
    pool(of, x, y, 0);
}

//: mean
void @{prefix}_mean(const @{prefix}_reduction *of, const int8_t *x, int8_t *y)
{
    for (int32_t i = 0; i < of->outer; ++i, x += of->count * of->inner) {
        for (int32_t k = 0; k < of->inner; ++k) {
            int32_t sum = 0;
            for (int32_t j = 0; j < of->count; ++j) {
                sum += x[j * of->inner + k];
            }
            *y++ = clamped(scaled(sum + of->x_offset, of->y.multiplier, of->y.shift) + of->y_offset, -128, 127);
        }
    }
}

//: largest
void @{prefix}_largest(const @{prefix}_reduction *of, const int8_t *x, int8_t *y)
{
    for (int32_t i = 0; i < of->outer; ++i, x += of->count * of->inner) {
        for (int32_t k = 0; k < of->inner; ++k) {
            int8_t largest = x[k];
            for (int32_t j = 1; j < of->count; ++j) {
                largest = x[j * of->inner + k] > largest ? x[j * of->inner + k] : largest;
            }
            *y++ = largest;
        }
    }
}

//: softmax
APART static int32_t high_product(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* x / 2^times of x >= 0 and times >= 1, to nearest. */
static int32_t halved(int32_t x, int32_t times)
{
    return (x >> times) + (x >> (times - 1) & 1);
}

/* 1 / (1 + a) of a in [0, 1), Q0.31: three steps of Newton and Raphson. */
static int32_t reciprocal(int32_t a)
{
    const int32_t half = (int32_t)(((int64_t)a + 2147483647 + 1) / 2);
    int32_t x = 1515870810 + high_product(half, -1010580540);
    for (int i = 0; i < 3; ++i) {
        const int32_t rest = 536870912 - high_product(half, x);
        x += high_product(x, rest) * 4;
    }
    return x > 1073741823 ? 2147483647 : x * 2;
}

void @{prefix}_softmax(const @{prefix}_soft *of, const int8_t *x, int8_t *y)
{
    for (int32_t row = 0; row < of->rows; ++row, x += of->classes, y += of->classes) {
        int32_t largest = x[0];
        for (int32_t i = 1; i < of->classes; ++i) {
            largest = x[i] > largest ? x[i] : largest;
        }
        int32_t sum = 0;
        for (int32_t i = 0; i < of->classes; ++i) {
            const int32_t d = largest - x[i];
            sum += d < of->count ? halved(of->exponentials[d], 12) : 0;
        }
        int32_t zeros = 0;
        while (!((uint32_t)sum << zeros >> 31)) {
            ++zeros;
        }
        const int32_t by = reciprocal((int32_t)(((uint32_t)sum << zeros) - ((uint32_t)1 << 31)));
        for (int32_t i = 0; i < of->classes; ++i) {
            const int32_t d = largest - x[i];
            const int32_t p = d < of->count ? halved(high_product(by, of->exponentials[d]), 12 - zeros + 23) : 0;
            y[i] = clamped(p - 128, -128, 127);
        }
    }
}
