/* The output stage of a block of accumulators. Included once, by a blocked kernel set. */
#ifndef BLOCKED_STAGE_H
#define BLOCKED_STAGE_H

#include "fixed_point.h"
#include "instructions.h"
#include "runtime.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* keeps registers of a loop apart from those of the code around it */
#define NEVER_INLINE static __attribute__((noinline))

struct stage {
    const int32_t *bias;
    const int32_t *multipliers;
    const int32_t *shifts;
    int32_t zero_point;
    int32_t low;
    int32_t high;
};

#define STAGE_OF(p, chosen_bias)                                                                   \
    {                                                                                              \
        .bias = resolve((p)->chosen_bias), .multipliers = resolve((p)->multipliers),               \
        .shifts = resolve((p)->shifts), .zero_point = (p)->output_zero_point,                      \
        .low = (p)->activation_min, .high = (p)->activation_max,                                   \
    }

/* A multiplier and its shift, so prepared that rescaling takes no branch. */
struct rescaling {
    int32_t multiplier;
    int32_t left, right;
    int32_t half; /* 2**(right - 1), or 0 without a second rounding */
    int32_t mask; /* all ones where there is a second rounding */
};

static inline struct rescaling rescaling_of(int32_t multiplier, int32_t shift)
{
    const int32_t mask = shift >> 31, right = -shift & mask;
    const struct rescaling r = {multiplier, shift & ~mask, right, (int32_t)((1u << right) >> 1),
                                mask};
    return r;
}

/* multiply_by_quantized_multiplier for x that stays within 30 bits after the left shift. */
static inline int32_t rescale(int32_t x, const struct rescaling *r)
{
    const int32_t high = doubled_high(shift_left(x, r->left), r->multiplier);
    return (high + r->half + (high >> 31 & r->mask)) >> r->right;
}

/* Up to 4 values, clamped, to every `step`-th output. Before the first branch all of them are
 * computed, so that the compiler's schedule overlaps their latencies; `count` is known to it.
 */
ALWAYS_INLINE void store_clamped(int32_t *value, int32_t count, int32_t low, int32_t high,
                                 int8_t *output, int32_t step)
{
#pragma GCC unroll 4
    for (int32_t i = 0; i < count; i++)
        __asm__ volatile("" : "+r"(value[i]));
#pragma GCC unroll 4
    for (int32_t i = 0; i < count; i++)
        output[i * step] = (int8_t)clamped(value[i], low, high);
}

/* acc[pixel][4] to `channels` consecutive int8 of each pixel; `pixels` is known to the compiler. */
ALWAYS_INLINE void store_block(const int32_t *acc, int32_t pixels, const struct stage *stage,
                               int32_t first_channel, int32_t channels, int8_t *output,
                               int32_t pixel_step)
{
    const int32_t *bias = stage->bias + first_channel;
    const int32_t *multipliers = stage->multipliers + first_channel;
    const int32_t *shifts = stage->shifts + first_channel;
    const int32_t zero_point = stage->zero_point, low = stage->low, high = stage->high;
    int32_t value[4];

    for (int32_t c = 0; c < channels; c++) {
        const struct rescaling r = rescaling_of(multipliers[c], shifts[c]);
#pragma GCC unroll 4
        for (int32_t p = 0; p < pixels; p++)
            value[p] = rescale(acc[4 * p + c] + bias[c], &r) + zero_point;
        store_clamped(value, pixels, low, high, output + c, pixel_step);
    }
}

/* acc[4] to four consecutive int8: here it is the channels that overlap. */
ALWAYS_INLINE void store_four(const int32_t *acc, const struct stage *stage, int32_t first_channel,
                              int8_t *output)
{
    const int32_t *bias = stage->bias + first_channel;
    const int32_t *multipliers = stage->multipliers + first_channel;
    const int32_t *shifts = stage->shifts + first_channel;
    int32_t value[4];

#pragma GCC unroll 4
    for (int32_t c = 0; c < 4; c++) {
        const struct rescaling r = rescaling_of(multipliers[c], shifts[c]);
        value[c] = rescale(acc[c] + bias[c], &r) + stage->zero_point;
    }
    store_clamped(value, 4, stage->low, stage->high, output, 1);
}

/* The output stage of one channel, bias apart. */
struct channel_stage {
    struct rescaling rescaling;
    int32_t zero_point, low, high;
};

static inline struct channel_stage channel_stage_of(const struct stage *stage, int32_t channel)
{
    const struct channel_stage one = {
        rescaling_of(stage->multipliers[channel], stage->shifts[channel]), stage->zero_point,
        stage->low, stage->high};
    return one;
}

ALWAYS_INLINE void store_some(const int32_t *acc, int32_t count, const struct channel_stage *stage,
                              int8_t *output, int32_t step)
{
    int32_t value[4];

#pragma GCC unroll 4
    for (int32_t i = 0; i < count; i++)
        value[i] = rescale(acc[i], &stage->rescaling) + stage->zero_point;
    store_clamped(value, count, stage->low, stage->high, output, step);
}

/* Consecutive sums of one channel to every `step`-th output. */
NEVER_INLINE void store_row(const int32_t *acc, int32_t count, const struct channel_stage *shared,
                            int8_t *output, int32_t step)
{
    const struct channel_stage stage = *shared;

    for (; count >= 4; count -= 4) {
        store_some(acc, 4, &stage, output, step);
        acc += 4;
        output += 4 * step;
    }
    for (; count > 0; count--) {
        store_some(acc++, 1, &stage, output, step);
        output += step;
    }
}

#endif
