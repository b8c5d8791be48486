
void @{prefix}_op_sigmoid(int32_t count, const float *input, float *output)
{
    for (int32_t i = 0; i < count; ++i) {
        const float small = expf(input[i] < 0.0f ? input[i] : -input[i]);
        output[i] = input[i] < 0.0f ? small / (1.0f + small) : 1.0f / (1.0f + small);
    }
}
