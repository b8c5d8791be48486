/* int8 operators of a network, as LiteRT's reference kernels compute them, bit for bit. Written by eeaug.
 *
 * A real factor is multiplier * 2^(shift - 31); tensors are channels last.
 */
#ifndef @{guard}_KERNELS_H
#define @{guard}_KERNELS_H

#include <stdint.h>

#if !defined(__arm__) && !defined(__ARMCC_VERSION) && !defined(__GNUC_PYTHON__)
#define __GNUC_PYTHON__ /* CMSIS-NN's own name for a machine that is no Arm */
#define __RESTRICT restrict
#endif
#include "arm_nn_types.h"

typedef struct {
    int32_t multiplier;
    int32_t shift;
} @{prefix}_factor;

typedef @{shift} @{prefix}_shift; /* as wide as CMSIS-NN takes it only where that is called */

/* scratch: bytes that the kernel may use for a while, enough for every core. */
typedef struct {
    cmsis_nn_conv_params how;
    cmsis_nn_dims input, filter, output;
    const int8_t *weights;
    const int32_t *bias, *multipliers;
    const @{prefix}_shift *shifts;
    int32_t scratch;
} @{prefix}_convolution;

typedef struct {
    cmsis_nn_dw_conv_params how;
    cmsis_nn_dims input, filter, output;
    const int8_t *weights;
    const int32_t *bias, *multipliers;
    const @{prefix}_shift *shifts;
    int32_t scratch;
} @{prefix}_depthwise_convolution;

/* A dense layer on rows; what x's zero point adds is in the bias. */
typedef struct {
    int32_t rows, columns, channels;
    int32_t y_offset, least, most;
    const int8_t *weights;
    const int32_t *bias, *multipliers;
    const @{prefix}_shift *shifts;
} @{prefix}_dense;

/* Two tensors, element by element: how many there are along every axis, and how far apart; 0 repeats one. */
typedef struct {
    int32_t sizes[4], a[4], b[4];
} @{prefix}_pairs;

/* y = y_factor * (a_factor * (a + a_offset) + b_factor * (b + b_offset)) + y_offset; of a product only y_factor. */
typedef struct {
    int32_t a_offset, b_offset, y_offset;
    @{prefix}_factor a, b, y;
    int32_t minus; /* 1: the difference */
    int32_t least, most;
} @{prefix}_binary;

/* Axes of a copy: how many elements, and how far apart they are in x and in y. */
typedef struct {
    int32_t sizes[5], x[5], y[5];
} @{prefix}_axes;

typedef struct {
    int32_t channels;
    cmsis_nn_tile input, output, window, stride, padding;
    int32_t least, most;
} @{prefix}_window;

/* Over `count` of (outer, count, inner) elements. */
typedef struct {
    int32_t outer, count, inner;
    int32_t x_offset, y_offset;
    @{prefix}_factor y;
} @{prefix}_reduction;

/* exponentials: exp(-d) of `count` differences d to the largest, Q0.31; further ones count as 0. */
typedef struct {
    int32_t rows, classes, count;
    const int32_t *exponentials;
} @{prefix}_soft;

@{declarations}
#endif
