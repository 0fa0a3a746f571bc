/* Kernels with CV32E40P's packed SIMD: one instruction multiplies and adds 4 pairs of bytes. A step
 * of 4 pixels, 4 channels and 4 values takes 8 loads and 16 dot products.
 */
#define PACKED_SIMD

#include "each_pixel.h"
#include "instructions.h"

#define LOAD(p, i, pixels) const word x##p = column_words[pixels * i + p];
#define DOT(p, c, w) s##p##c = dot4(s##p##c, x##p, w);
#define CHANNEL(EACH, c, i)                                                                        \
    {                                                                                              \
        const word w = weight_words[4 * i + c];                                                    \
        EACH(DOT, c, w)                                                                            \
    }
#define STEP(EACH, i, pixels)                                                                      \
    {                                                                                              \
        EACH(LOAD, i, pixels)                                                                      \
        CHANNEL(EACH, 0, i) CHANNEL(EACH, 1, i) CHANNEL(EACH, 2, i) CHANNEL(EACH, 3, i)            \
    }                                                                                              \
    EACH(HOLD, 0)

#define DEFINE_MULTIPLY(NAME, PIXELS, EACH)                                                        \
    __attribute__((noinline)) static void multiply_##NAME(                                         \
        const int8_t *columns, const int8_t *weights, int32_t words, int32_t *acc)                 \
    {                                                                                              \
        const word *column_words = (const word *)columns;                                          \
        const word *weight_words = (const word *)weights;                                          \
        EACH(DECLARE, acc)                                                                         \
        for (; words >= 2; words -= 2) {                                                           \
            STEP(EACH, 0, PIXELS) STEP(EACH, 1, PIXELS)                                            \
            column_words += 2 * PIXELS;                                                            \
            weight_words += 2 * 4;                                                                 \
        }                                                                                          \
        if (words > 0)                                                                             \
            STEP(EACH, 0, PIXELS)                                                                  \
        EACH(STORE, acc)                                                                           \
    }

#define MOST_PIXELS 4
DEFINE_MULTIPLY(most, 4, EACH_4)
DEFINE_MULTIPLY(2, 2, EACH_2)
DEFINE_MULTIPLY(1, 1, EACH_1)

#include "blocked_matmul.h"

#include "blocked_depthwise.h"
#include "blocked_elementwise.h"
