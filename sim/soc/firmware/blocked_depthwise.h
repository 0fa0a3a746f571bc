/* DEPTHWISE_CONV_2D, but for the kernels that depthwise_3x3.h is for: four output channels of a
 * pixel at a time.
 */
#ifndef BLOCKED_DEPTHWISE_H
#define BLOCKED_DEPTHWISE_H

#include "blocked_stage.h"
#include "depthwise_3x3.h"
#include "kernels.h"

/* The taps of a window that lie inside the input, as two nested loops over input and weights, from
 * the first of them on. A window one column wide has its rows in the inner loop.
 */
struct window {
    int32_t input, weights;
    int32_t outer, outer_input_step, outer_weights_step;
    int32_t inner, inner_input_step, inner_weights_step;
};

/* The taps inside along one axis: from `begin` to before `end`. */
struct span {
    int32_t start, begin, end;
};

static inline struct span span_of(int32_t start, int32_t dilation, int32_t taps, int32_t size)
{
    struct span s = {start, 0, taps};

    while (s.begin < s.end && start + s.begin * dilation < 0)
        s.begin++;
    while (s.end > s.begin && start + (s.end - 1) * dilation >= size)
        s.end--;
    return s;
}

static inline struct window window_of(const struct depthwise *p, const struct span *rows,
                                      const struct span *columns)
{
    const int32_t channels = p->channels, output_channels = channels * p->depth_multiplier;
    const int32_t y = rows->start + rows->begin * p->dilation_y;
    const int32_t x = columns->start + columns->begin * p->dilation_x;
    const int32_t row_taps = p->filter_width * output_channels;
    const int32_t row_step = p->dilation_y * p->input_width * channels;
    const int32_t column_step = p->dilation_x * channels;
    const int32_t height = rows->end - rows->begin, width = columns->end - columns->begin;
    struct window w = {(y * p->input_width + x) * channels,
                       rows->begin * row_taps + columns->begin * output_channels,
                       height, row_step, row_taps, width, column_step, output_channels};

    if (width == 1) {
        w.outer = 1;
        w.inner = height;
        w.inner_input_step = row_step;
        w.inner_weights_step = row_taps;
    }
    return w;
}

/* Four output channels; `channel_step` is 1 when they have an input channel each, 0 when they share
 * one. Known to the compiler, as is `count`, the number of them that exist.
 */
ALWAYS_INLINE void depthwise_block(const struct window *w, int32_t zero_point, const int8_t *input,
                                   const int8_t *weights, int32_t count, int32_t channel_step,
                                   int32_t *acc)
{
    const int32_t inner = w->inner, input_step = w->inner_input_step;
    const int32_t weights_step = w->inner_weights_step;
    int32_t sums[4] = {0, 0, 0, 0};

    input += w->input;
    weights += w->weights;
    for (int32_t i = 0; i < w->outer; i++) {
        const int8_t *value = input, *weight = weights;
        for (int32_t j = 0; j < inner; j++) {
#pragma GCC unroll 4
            for (int32_t c = 0; c < count; c++)
                sums[c] = multiply_add(sums[c], value[c * channel_step] - zero_point, weight[c]);
            value += input_step;
            weight += weights_step;
        }
        input += w->outer_input_step;
        weights += w->outer_weights_step;
    }
#pragma GCC unroll 4
    for (int32_t c = 0; c < count; c++)
        acc[c] = sums[c];
}

static void depthwise_pixel(const struct depthwise *p, const struct stage *stage,
                            const struct window *w, const int8_t *input, const int8_t *weights,
                            int8_t *output)
{
    const int32_t multiplier = p->depth_multiplier, output_channels = p->channels * multiplier;
    const int32_t zero_point = p->input_zero_point;
    int32_t acc[4], o = 0;

    if (multiplier == 1)
        for (; o + 4 <= output_channels; o += 4) {
            depthwise_block(w, zero_point, input + o, weights + o, 4, 1, acc);
            store_four(acc, stage, o, output + o);
        }
    else if ((multiplier & 3) == 0)
        for (int32_t c = 0; c < p->channels; c++)
            for (int32_t m = 0; m < multiplier; m += 4, o += 4) {
                depthwise_block(w, zero_point, input + c, weights + o, 4, 0, acc);
                store_four(acc, stage, o, output + o);
            }
    for (; o < output_channels; o++) {
        depthwise_block(w, zero_point, input + o / multiplier, weights + o, 1, 0, acc);
        store_block(acc, 1, stage, o, 1, output + o, 0);
    }
}

static void depthwise_map(const struct depthwise *p, const struct stage *stage, const int8_t *input,
                          const int8_t *weights, int8_t *output)
{
    for (int32_t oy = 0; oy < p->output_height; oy++) {
        const struct span rows = span_of(oy * p->stride_y - p->pad_top, p->dilation_y,
                                         p->filter_height, p->input_height);
        for (int32_t ox = 0; ox < p->output_width; ox++) {
            const struct span columns = span_of(ox * p->stride_x - p->pad_left, p->dilation_x,
                                                p->filter_width, p->input_width);
            const struct window w = window_of(p, &rows, &columns);
            depthwise_pixel(p, stage, &w, input, weights, output);
            output += p->channels * p->depth_multiplier;
        }
    }
}

void depthwise_conv_2d(const struct depthwise *p)
{
    const bool slides = slides_3x3(p);
    const struct stage folded = STAGE_OF(p, folded_bias), plain = STAGE_OF(p, bias);
    const int8_t *input = resolve(p->input);
    const int8_t *weights = resolve(p->weights);
    int8_t *output = resolve(p->output);

    for (int32_t n = 0; n < p->batches; n++) {
        if (slides)
            depthwise_map_3x3(p, &folded, input, weights, output);
        else
            depthwise_map(p, &plain, input, weights, output);
        input += p->input_height * p->input_width * p->channels;
        output += p->output_height * p->output_width * p->channels * p->depth_multiplier;
    }
}

#endif
