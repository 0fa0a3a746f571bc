/* Scalar kernels for rv32im. 12 accumulators stay in registers: a step of 3 pixels and 4 channels
 * takes 7 loads, 12 multiplications and 12 additions. With 4 pixels some would be spilled.
 */
#include "blocked_stage.h"
#include "each_pixel.h"

#define LOAD(p, i) const int32_t x##p = columns[4 * p + i];
#define MULTIPLY(p, c, w) s##p##c += x##p * w;
#define CHANNEL(EACH, c, i)                                                                        \
    {                                                                                              \
        const int32_t w = weights[4 * c + i];                                                      \
        EACH(MULTIPLY, c, w)                                                                       \
    }
#define STEP(EACH, i)                                                                              \
    {                                                                                              \
        EACH(LOAD, i)                                                                              \
        CHANNEL(EACH, 0, i) CHANNEL(EACH, 1, i) CHANNEL(EACH, 2, i) CHANNEL(EACH, 3, i)            \
    }                                                                                              \
    EACH(HOLD, 0)

#define DEFINE_MULTIPLY(NAME, PIXELS, EACH)                                                        \
    ALWAYS_INLINE void multiply_##NAME(                                                            \
        const int8_t *columns, const int8_t *weights, int32_t words, int32_t *acc)                 \
    {                                                                                              \
        const int8_t *const end = weights + 16 * words;                                            \
        EACH(DECLARE, acc)                                                                         \
        while (weights != end) {                                                                   \
            STEP(EACH, 0) STEP(EACH, 1) STEP(EACH, 2) STEP(EACH, 3)                                \
            columns += 4 * PIXELS;                                                                 \
            weights += 16;                                                                         \
        }                                                                                          \
        EACH(STORE, acc)                                                                           \
    }

#define MOST_PIXELS 3
DEFINE_MULTIPLY(most, 3, EACH_3)
DEFINE_MULTIPLY(2, 2, EACH_2)
DEFINE_MULTIPLY(1, 1, EACH_1)

#include "blocked_matmul.h"

#include "blocked_depthwise.h"
#include "blocked_elementwise.h"
