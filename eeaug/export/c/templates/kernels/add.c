
void @{prefix}_op_add(int32_t count, float least, float most, const float *a, const float *b, float *output)
{
    for (int32_t i = 0; i < count; ++i) {
        output[i] = clipped(a[i] + b[i], least, most);
    }
}
