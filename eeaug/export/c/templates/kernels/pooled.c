
/* Every place of a pooling: what lies inside, largest or summed and divided by how many they are. */
static void pooled(const @{prefix}_op_window *w, int mean, const float *restrict input, float *restrict output)
{
    const int32_t size = w->channels;
    for (int32_t y = 0; y < w->out_height; ++y) {
        const int32_t top = y * w->stride_y - w->top;
        const steps rows = inside(top, w->dilation_y, w->kernel_height, w->height);
        for (int32_t x = 0; x < w->out_width; ++x, output += size) {
            const int32_t left = x * w->stride_x - w->left;
            const steps columns = inside(left, w->dilation_x, w->kernel_width, w->width);
            const float share = 1.0f / (float)((rows.last - rows.first) * (columns.last - columns.first));
            for (int32_t i = 0; i < size; ++i) {
                output[i] = mean ? 0.0f : -INFINITY;
            }
            for (int32_t k = rows.first; k < rows.last; ++k) {
                for (int32_t j = columns.first; j < columns.last; ++j) {
                    const float *p = input + ((top + k * w->dilation_y) * w->width + left + j * w->dilation_x) * size;
                    for (int32_t i = 0; i < size; ++i) {
                        if (mean) {
                            output[i] += p[i];
                        } else {
                            output[i] = p[i] > output[i] ? p[i] : output[i];
                        }
                    }
                }
            }
            for (int32_t i = 0; i < size; ++i) {
                output[i] = clipped(mean ? output[i] * share : output[i], w->least, w->most);
            }
        }
    }
}
