
void @{prefix}_op_average_pool(const @{prefix}_op_window *window, const float *input, float *output)
{
    pooled(window, 1, input, output);
}
