
void @{prefix}_op_clip(int32_t count, float least, float most, const float *input, float *output)
{
    for (int32_t i = 0; i < count; ++i) {
        output[i] = clipped(input[i], least, most);
    }
}
