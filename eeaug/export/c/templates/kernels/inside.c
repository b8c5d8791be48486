
/* Steps of a window that lie inside of the input: from first to before last. */
typedef struct {
    int32_t first, last;
} steps;

static steps inside(int32_t begin, int32_t step, int32_t count, int32_t size)
{
    steps found = {0, count};
    if (begin < 0) {
        found.first = (step - 1 - begin) / step;
    }
    if (begin + (count - 1) * step >= size) {
        found.last = begin < size ? (size - begin + step - 1) / step : 0;
    }
    return found;
}
