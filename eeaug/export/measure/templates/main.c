/* The least program that measures: where nothing else runs. Written by eeaug. */
void MEASURE_FUNCTION(void);

int main(void)
{
    MEASURE_FUNCTION();
    return 0;
}
