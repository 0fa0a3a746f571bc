/* What the blocked kernels want of the processor: with CV32E40P's packed SIMD, or in plain C. */
#ifndef INSTRUCTIONS_H
#define INSTRUCTIONS_H

#include <stdint.h>

#include "fixed_point.h"

typedef uint32_t __attribute__((may_alias)) word;

#if defined(PACKED_SIMD) && defined(__riscv)

/* acc + the dot product of 4 signed bytes: cv.sdotsp.b */
static inline int32_t dot4(int32_t acc, word a, word b)
{
    __asm__(".insn r 0x7b, 1, 0x54, %0, %1, %2" : "+r"(acc) : "r"(a), "r"(b));
    return acc;
}

/* acc + a * b: cv.mac */
static inline int32_t multiply_add(int32_t acc, int32_t a, int32_t b)
{
    __asm__(".insn r 0x2b, 3, 0x48, %0, %1, %2" : "+r"(acc) : "r"(a), "r"(b));
    return acc;
}

/* clamp: cv.max, cv.min */
static inline int32_t clamped(int32_t x, int32_t low, int32_t high)
{
    int32_t raised, result;
    __asm__(".insn r 0x2b, 3, 0x2d, %0, %1, %2" : "=r"(raised) : "r"(x), "r"(low));
    __asm__(".insn r 0x2b, 3, 0x2b, %0, %1, %2" : "=r"(result) : "r"(raised), "r"(high));
    return result;
}

#else

static inline int32_t dot4(int32_t acc, word a, word b)
{
    for (int shift = 0; shift < 32; shift += 8)
        acc += (int8_t)(a >> shift) * (int8_t)(b >> shift);
    return acc;
}

static inline int32_t multiply_add(int32_t acc, int32_t a, int32_t b)
{
    return acc + a * b;
}

/* one branch, not taken for most values: cores predict forward branches so */
static inline int32_t clamped(int32_t x, int32_t low, int32_t high)
{
    const uint32_t above = (uint32_t)x - (uint32_t)low, range = (uint32_t)(high - low);

    if (__builtin_expect(above > range, 0))
        return x < low ? low : high;
    return x;
}

#endif

#endif
