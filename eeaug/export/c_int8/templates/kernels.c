/* int8 operators of a network, as LiteRT's reference kernels compute them, bit for bit. Written by eeaug. */
#include "kernels.h"

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

//: scaled
/* x * factor: the product rounded to nearest, halves up; the shift to nearest, halves away from zero. */
static int32_t scaled(int32_t x, @{prefix}_factor by)
{
    const int32_t left = by.shift > 0 ? by.shift : 0;
    const int32_t right = left - by.shift;
    const int64_t product = (int64_t)(x * ((int32_t)1 << left)) * by.multiplier;
    const int32_t high = (int32_t)((product + ((int64_t)1 << 30)) >> 31);
    const int32_t mask = (int32_t)(((int64_t)1 << right) - 1);
    const int32_t result = high >> right;
    return result + ((high & mask) > (mask >> 1) + (result < 0));
}

//: clamped
static int8_t clamped(int32_t x, int32_t least, int32_t most)
{
    return (int8_t)(x < least ? least : x > most ? most : x);
}

//: convolve
void @{prefix}_convolve(const @{prefix}_convolution *layer, void *scratch, const int8_t *x, int8_t *y)
{
    const cmsis_nn_context context = {scratch, layer->scratch};
    const cmsis_nn_per_channel_quant_params by = {(int32_t *)layer->multipliers, (int32_t *)layer->shifts};
    const cmsis_nn_dims bias = {1, 1, 1, layer->output.c};
    (void)arm_convolve_wrapper_s8(&context, &layer->how, &by, &layer->input, x, &layer->filter, layer->weights,
                                  &bias, layer->bias, &layer->output, y);
}

//: depthwise
void @{prefix}_depthwise(const @{prefix}_depthwise_convolution *layer, void *scratch, const int8_t *x, int8_t *y)
{
    const cmsis_nn_context context = {scratch, layer->scratch};
    const cmsis_nn_per_channel_quant_params by = {(int32_t *)layer->multipliers, (int32_t *)layer->shifts};
    const cmsis_nn_dims bias = {1, 1, 1, layer->output.c};
    (void)arm_depthwise_conv_wrapper_s8(&context, &layer->how, &by, &layer->input, x, &layer->filter,
                                        layer->weights, &bias, layer->bias, &layer->output, y);
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
    for (int32_t i = 0; i < n; ++i) {
        const int32_t first = scaled((a[i * a_step] + how->a_offset) * 1048576, how->a);
        const int32_t second = scaled((b[i * b_step] + how->b_offset) * 1048576, how->b);
        const int32_t sum = how->minus ? first - second : first + second;
        y[i] = clamped(scaled(sum, how->y) + how->y_offset, how->least, how->most);
    }
}

//: multiply
static void multiply_row(const @{prefix}_binary *how, const int8_t *a, int32_t a_step, const int8_t *b,
                         int32_t b_step, int8_t *y, int32_t n)
{
    for (int32_t i = 0; i < n; ++i) {
        const int32_t product = (a[i * a_step] + how->a_offset) * (b[i * b_step] + how->b_offset);
        y[i] = clamped(scaled(product, how->y) + how->y_offset, how->least, how->most);
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
            *y++ = clamped(scaled(sum + of->x_offset, of->y) + of->y_offset, -128, 127);
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
static int32_t high_product(int32_t a, int32_t b)
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
