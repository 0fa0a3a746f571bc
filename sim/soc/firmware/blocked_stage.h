/* The output stage of a block of accumulators. Included once, by a blocked kernel set. */
#ifndef BLOCKED_STAGE_H
#define BLOCKED_STAGE_H

#include "fixed_point.h"
#include "instructions.h"
#include "runtime.h"

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

/* One channel's rescaling. Nearly every shift is negative: two roundings and no left shift. */
struct rescaling {
    int32_t multiplier;
    int32_t shift;
    int32_t right;
    int32_t half;
};

#define MOST_RIGHT 30 /* beyond it, half would not leave room for x */

static inline struct rescaling rescaling_of(int32_t multiplier, int32_t shift)
{
    const int32_t right = shift < 0 && shift >= -MOST_RIGHT ? -shift : 0;
    const struct rescaling r = {multiplier, shift, right, right > 0 ? 1 << (right - 1) : 0};
    return r;
}

/* Exact for x from -3 * 2**29 to 3 * 2**29; no accumulator of an int8 network gets near that. */
static inline int32_t rescale(int32_t x, const struct rescaling *r)
{
    if (r->right == 0)
        return multiply_by_quantized_multiplier(x, r->multiplier, r->shift);
    return round_shift_half(doubled_high(x, r->multiplier), r->right, r->half);
}

/* Pixels of one channel; `acc` holds 4 channels of each pixel. */
static inline void store_channel(const int32_t *acc, int32_t pixels, const struct stage *stage,
                                 int32_t channel, int8_t *output, int32_t pixel_step)
{
    const struct rescaling r = rescaling_of(stage->multipliers[channel], stage->shifts[channel]);
    const int32_t bias = stage->bias[channel];
    const int32_t zero_point = stage->zero_point, low = stage->low, high = stage->high;

    for (int32_t pixel = 0; pixel < pixels; pixel++) {
        const int32_t value = rescale(acc[4 * pixel] + bias, &r) + zero_point;
        *output = (int8_t)clamped(value, low, high);
        output += pixel_step;
    }
}

/* acc[pixel][4] to `channels` consecutive int8 of each pixel. */
static inline void store_block(const int32_t *acc, int32_t pixels, const struct stage *stage,
                               int32_t first_channel, int32_t channels, int8_t *output,
                               int32_t pixel_step)
{
    for (int32_t i = 0; i < channels; i++)
        store_channel(acc + i, pixels, stage, first_channel + i, output + i, pixel_step);
}

#endif
