
void @{prefix}_op_softmax(int32_t count, const float *input, float *output)
{
    float largest = input[0];
    float sum = 0.0f;
    for (int32_t i = 1; i < count; ++i) {
        largest = input[i] > largest ? input[i] : largest;
    }
    for (int32_t i = 0; i < count; ++i) {
        output[i] = expf(input[i] - largest);
        sum += output[i];
    }
    for (int32_t i = 0; i < count; ++i) {
        output[i] /= sum;
    }
}
