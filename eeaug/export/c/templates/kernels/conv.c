
/* A run of numbers that one row of the window reads without a gap, and how many runs a row has. */
typedef struct {
    int32_t length, count, step;
} runs;

/* Four output channels at one place. sums: bias, then the result. */
static void one_place(const @{prefix}_op_window *w, runs r, steps rows, steps columns, const float *restrict input,
                      int32_t place, const float *restrict weights, float *restrict sums)
{
    const int32_t depth = w->channels / w->groups;
    float a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    for (int32_t y = rows.first; y < rows.last; ++y) {
        int32_t from = place + (y * w->dilation_y * w->width + columns.first * w->dilation_x) * w->channels;
        const float *v = weights + (y * w->kernel_width + columns.first) * depth * 4;
        const int32_t count = r.count == 1 ? 1 : columns.last - columns.first;
        const int32_t length = r.count == 1 ? (columns.last - columns.first) * depth : depth;
        for (int32_t k = 0; k < count; ++k, from += r.step) {
            const float *x = input + from;
            const float *const end = x + length;
            for (; x < end; v += 4) {
                const float s = *x++;
                a = MULTIPLY_ADD(s, v[0], a);
                b = MULTIPLY_ADD(s, v[1], b);
                c = MULTIPLY_ADD(s, v[2], c);
                d = MULTIPLY_ADD(s, v[3], d);
            }
        }
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

/* The same at two places of a row, where the window is inside. */
static void two_places(const @{prefix}_op_window *w, runs r, steps rows, const float *restrict input, int32_t place,
                       const float *restrict weights, float *restrict sums)
{
    const int32_t onward = w->stride_x * w->channels;
    const int32_t row = w->dilation_y * w->width * w->channels;
    const int32_t depth = w->channels / w->groups;
    const float *v = weights + rows.first * w->kernel_width * depth * 4;
    float a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    float e = a, f = b, g = c, h = d;
    place += rows.first * row;
    for (int32_t y = rows.first; y < rows.last; ++y, place += row) {
        int32_t from = place;
        for (int32_t k = 0; k < r.count; ++k, from += r.step) {
            const float *first = input + from;
            const float *second = first + onward;
            const float *const end = first + r.length;
            while (first < end) {
                const float s = *first++;
                const float t = *second++;
                const float p = v[0], q = v[1], m = v[2], n = v[3];
                v += 4;
                a = MULTIPLY_ADD(s, p, a);
                b = MULTIPLY_ADD(s, q, b);
                c = MULTIPLY_ADD(s, m, c);
                d = MULTIPLY_ADD(s, n, d);
                e = MULTIPLY_ADD(t, p, e);
                f = MULTIPLY_ADD(t, q, f);
                g = MULTIPLY_ADD(t, m, g);
                h = MULTIPLY_ADD(t, n, h);
            }
        }
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
    sums[4] = e;
    sums[5] = f;
    sums[6] = g;
    sums[7] = h;
}

/* One output channel at one place. */
static float one_sum(const @{prefix}_op_window *w, steps rows, steps columns, const float *restrict input,
                     int32_t place, const float *restrict weights, float sum)
{
    const int32_t depth = w->channels / w->groups;
    for (int32_t y = rows.first; y < rows.last; ++y) {
        for (int32_t k = columns.first; k < columns.last; ++k) {
            const float *x = input + (place + (y * w->dilation_y * w->width + k * w->dilation_x) * w->channels);
            const float *v = weights + (y * w->kernel_width + k) * depth;
            for (int32_t i = 0; i < depth; ++i) {
                sum = MULTIPLY_ADD(x[i], v[i], sum);
            }
        }
    }
    return sum;
}

static void written(const @{prefix}_op_window *w, int32_t count, const float *sums, int32_t at,
                    const float *residual, float *output)
{
    for (int32_t i = 0; i < count; ++i) {
        const float more = residual == NULL ? 0.0f : residual[at + i];
        output[at + i] = clipped(sums[i] + more, w->least, w->most);
    }
}

/* A row of the output, in count (4 or 1) of its channels from number channel on. */
static void output_row(const @{prefix}_op_window *w, runs r, int32_t y, int32_t channel, int32_t count,
                       const float *input, const float *weights, const float *bias, const float *residual,
                       float *output)
{
    const int32_t span = (w->kernel_width - 1) * w->dilation_x;
    const int32_t top = y * w->stride_y - w->top;
    const steps rows = inside(top, w->dilation_y, w->kernel_height, w->height);
    float sums[8];
    for (int32_t x = 0; x < w->out_width; ++x) {
        const int32_t left = x * w->stride_x - w->left;
        const int32_t place = (top * w->width + left) * w->channels;
        const int32_t at = (y * w->out_width + x) * w->out_channels + channel;
        for (int32_t i = 0; i < count; ++i) {
            sums[i] = bias[channel + i];
        }
        if (count == 4 && left >= 0 && x + 1 < w->out_width && left + w->stride_x + span < w->width) {
            two_places(w, r, rows, input, place, weights, sums);
            written(w, 4, sums, at, residual, output);
            written(w, 4, sums + 4, at + w->out_channels, residual, output);
            ++x;
            continue;
        }
        const steps columns = inside(left, w->dilation_x, w->kernel_width, w->width);
        if (count == 4) {
            one_place(w, r, rows, columns, input, place, weights, sums);
        } else {
            sums[0] = one_sum(w, rows, columns, input, place, weights, sums[0]);
        }
        written(w, count, sums, at, residual, output);
    }
}

void @{prefix}_op_conv(const @{prefix}_op_window *window, const float *input, const float *weights, const float *bias,
                       const float *residual, float *output)
{
    const int32_t depth = window->channels / window->groups;
    const int32_t filters = window->out_channels / window->groups;
    const int32_t taps = window->kernel_height * window->kernel_width * depth;
    runs r = {depth, window->kernel_width, window->dilation_x * window->channels};
    if (window->groups == 1 && window->dilation_x == 1) {
        r.length = window->kernel_width * depth;
        r.count = 1;
    }
    for (int32_t group = 0; group < window->groups; ++group) {
        for (int32_t i = 0, count; i < filters; i += count) {
            count = filters - i >= 4 ? 4 : 1;
            for (int32_t y = 0; y < window->out_height; ++y) {
                output_row(window, r, y, group * filters + i, count, input + group * depth, weights, bias, residual,
                           output);
            }
            weights += taps * count;
        }
    }
}
