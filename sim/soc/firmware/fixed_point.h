/* Requantization in TFLM's arithmetic: Q31 multiplier, shift (positive = left), double rounding. */
#ifndef FIXED_POINT_H
#define FIXED_POINT_H

#include <stdint.h>

/* Saturating rounding doubling high product of two int32. */
int32_t high_product(int32_t a, int32_t b);

/* Division by 2**exponent, rounding half away from zero. */
int32_t round_shift(int32_t x, int32_t exponent);

/* x * multiplier * 2**(shift - 31), as TFLM's MultiplyByQuantizedMultiplier. */
int32_t multiply_by_quantized_multiplier(int32_t x, int32_t multiplier, int32_t shift);

static inline int32_t shift_left(int32_t x, int32_t count)
{
    return (int32_t)((uint32_t)x << count);
}

static inline int32_t clamp(int32_t x, int32_t low, int32_t high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* high_product for multiplier >= 0, in seven instructions where 64-bit shifts take a dozen. */
static inline int32_t doubled_high(int32_t x, int32_t multiplier)
{
    const int64_t product = (int64_t)x * multiplier;
    const uint32_t low = (uint32_t)product;
    const uint32_t high = (uint32_t)((uint64_t)product >> 32);
    return (int32_t)((high << 1) + (((low >> 30) + 1) >> 1));
}

#endif
