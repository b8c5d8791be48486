/* What stages call: layers on tensors of floats, channels last. Written by eeaug; the same for every network. */
#ifndef @{PREFIX}_KERNELS_H
#define @{PREFIX}_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A window that moves over an input of one sample. What it gives is clipped to [least, most]. */
typedef struct {
    int32_t height, width, channels; /* of the input */
    int32_t out_height, out_width, out_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_y, stride_x;
    int32_t dilation_y, dilation_x;
    int32_t top, left; /* padding; at the other sides the window ends where the input does */
    int32_t groups;
    float least, most;
} @{prefix}_op_window;

/* weights: by group and four output channels, then one at a time where fewer are left, [kernel_height][kernel_width]
   [input channels of the group][4 or 1]. residual: NULL, or what is added; it may be the output. */
void @{prefix}_op_conv(const @{prefix}_op_window *window, const float *input, const float *weights, const float *bias,
                       const float *residual, float *output);

/* As many groups as channels; weights: [kernel_height][kernel_width][channels]. */
void @{prefix}_op_depthwise(const @{prefix}_op_window *window, const float *input, const float *weights,
                            const float *bias, const float *residual, float *output);

/* Padding does not count. */
void @{prefix}_op_max_pool(const @{prefix}_op_window *window, const float *input, float *output);
void @{prefix}_op_average_pool(const @{prefix}_op_window *window, const float *input, float *output);

/* The output may be an input. */
void @{prefix}_op_add(int32_t count, float least, float most, const float *a, const float *b, float *output);
void @{prefix}_op_clip(int32_t count, float least, float most, const float *input, float *output);
/* factors, summands: for every channel, the last dimension; for all the same ones where channels is 1. */
void @{prefix}_op_scale(int32_t count, int32_t channels, float least, float most, const float *input,
                        const float *factors, const float *summands, float *output);
void @{prefix}_op_softmax(int32_t count, const float *input, float *output);
void @{prefix}_op_sigmoid(int32_t count, const float *input, float *output);

#ifdef __cplusplus
}
#endif

#endif
