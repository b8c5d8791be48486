
static inline float clipped(float value, float least, float most)
{
    value = value < least ? least : value;
    return value > most ? most : value;
}
