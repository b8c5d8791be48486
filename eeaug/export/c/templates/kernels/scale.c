
void @{prefix}_op_scale(int32_t count, int32_t channels, float least, float most, const float *input,
                        const float *factors, const float *summands, float *output)
{
    for (int32_t i = 0; i < count; i += channels) {
        for (int32_t k = 0; k < channels; ++k) {
            output[i + k] = clipped(MULTIPLY_ADD(input[i + k], factors[k], summands[k]), least, most);
        }
    }
}
