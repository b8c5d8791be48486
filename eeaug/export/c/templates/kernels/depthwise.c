
void @{prefix}_op_depthwise(const @{prefix}_op_window *window, const float *input, const float *weights,
                            const float *bias, const float *residual, float *output)
{
    const @{prefix}_op_window *const w = window;
    const int32_t size = w->channels;
    const int32_t onward = w->dilation_x * size;
    for (int32_t y = 0; y < w->out_height; ++y) {
        const int32_t top = y * w->stride_y - w->top;
        const steps rows = inside(top, w->dilation_y, w->kernel_height, w->height);
        for (int32_t x = 0; x < w->out_width; ++x) {
            const int32_t left = x * w->stride_x - w->left;
            const steps columns = inside(left, w->dilation_x, w->kernel_width, w->width);
            const int32_t place = (top * w->width + left + columns.first * w->dilation_x) * size;
            const float *const taps = weights + columns.first * size;
            const int32_t at = (y * w->out_width + x) * size;
            int32_t i = 0;
            for (; i + 4 <= size; i += 4) {
                float sums[4] = {bias[i], bias[i + 1], bias[i + 2], bias[i + 3]};
                for (int32_t k = rows.first; k < rows.last; ++k) {
                    const float *restrict p = input + (place + k * w->dilation_y * w->width * size + i);
                    const float *restrict v = taps + k * w->kernel_width * size + i;
                    for (int32_t j = columns.first; j < columns.last; ++j, p += onward, v += size) {
                        sums[0] = MULTIPLY_ADD(p[0], v[0], sums[0]);
                        sums[1] = MULTIPLY_ADD(p[1], v[1], sums[1]);
                        sums[2] = MULTIPLY_ADD(p[2], v[2], sums[2]);
                        sums[3] = MULTIPLY_ADD(p[3], v[3], sums[3]);
                    }
                }
                for (int32_t j = 0; j < 4; ++j) {
                    const float more = residual == NULL ? 0.0f : residual[at + i + j];
                    output[at + i + j] = clipped(sums[j] + more, w->least, w->most);
                }
            }
            for (; i < size; ++i) {
                float sum = bias[i];
                for (int32_t k = rows.first; k < rows.last; ++k) {
                    const float *restrict p = input + (place + k * w->dilation_y * w->width * size + i);
                    const float *restrict v = taps + k * w->kernel_width * size + i;
                    for (int32_t j = columns.first; j < columns.last; ++j, p += onward, v += size) {
                        sum = MULTIPLY_ADD(*p, *v, sum);
                    }
                }
                sum += residual == NULL ? 0.0f : residual[at + i];
                output[at + i] = clipped(sum, w->least, w->most);
            }
        }
    }
}
