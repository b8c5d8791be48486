
void @{prefix}_op_max_pool(const @{prefix}_op_window *window, const float *input, float *output)
{
    pooled(window, 0, input, output);
}
