#include "fixed_point.h"

int32_t high_product(int32_t a, int32_t b)
{
    const int64_t product = (int64_t)a * b;
    const int32_t nudge = product >= 0 ? 1 << 30 : 1 - (1 << 30);
    const int32_t high = (int32_t)((product + nudge) / (1LL << 31));
    return a == b && a == INT32_MIN ? INT32_MAX : high;
}

int32_t round_shift(int32_t x, int32_t exponent)
{
    const int32_t mask = (int32_t)((1LL << exponent) - 1);
    const int32_t remainder = x & mask;
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> exponent) + (remainder > threshold);
}

__attribute__((noinline)) int32_t multiply_by_quantized_multiplier(int32_t x, int32_t multiplier,
                                                                  int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    return round_shift(high_product(shift_left(x, left), multiplier), right);
}
