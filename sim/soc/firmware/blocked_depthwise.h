/* DEPTHWISE_CONV_2D, but for the kernels that depthwise_3x3.h is for: four output channels of a
 * pixel at a time.
 */
#ifndef BLOCKED_DEPTHWISE_H
#define BLOCKED_DEPTHWISE_H

#include "blocked_stage.h"
#include "depthwise_3x3.h"
#include "kernels.h"

/* The taps of a window that lie inside the input. */
struct window {
    int32_t y_begin, y_end, x_begin, x_end;
    int32_t top, left;
};

static inline void clip(int32_t start, int32_t dilation, int32_t taps, int32_t size, int32_t *begin,
                        int32_t *end)
{
    *begin = 0;
    *end = taps;
    while (*begin < taps && start + *begin * dilation < 0)
        (*begin)++;
    while (*end > *begin && start + (*end - 1) * dilation >= size)
        (*end)--;
}

static inline void add_tap(int32_t *acc, const int8_t *input, const int8_t *weights,
                           int32_t zero_point, int32_t channel_step)
{
    for (int i = 0; i < 4; i++)
        acc[i] = multiply_add(acc[i], input[i * channel_step] - zero_point, weights[i]);
}

/* `channel_step` is 1 when the four outputs have an input channel each, 0 when they share one. */
static inline __attribute__((always_inline)) void depthwise_block(
    const struct depthwise *p, const struct window *w, const int8_t *input, const int8_t *weights,
    int32_t channel_step, int32_t *acc)
{
    const int32_t output_channels = p->channels * p->depth_multiplier;
    const int32_t tap_step = p->dilation_x * p->channels, zero_point = p->input_zero_point;
    int32_t sums[4] = {0, 0, 0, 0};

    for (int32_t fy = w->y_begin; fy < w->y_end; fy++) {
        const int32_t y = w->top + fy * p->dilation_y, x = w->left + w->x_begin * p->dilation_x;
        const int8_t *value = input + (y * p->input_width + x) * p->channels;
        const int8_t *weight = weights + (fy * p->filter_width + w->x_begin) * output_channels;
        for (int32_t fx = w->x_begin; fx < w->x_end; fx++) {
            add_tap(sums, value, weight, zero_point, channel_step);
            value += tap_step;
            weight += output_channels;
        }
    }
    for (int i = 0; i < 4; i++)
        acc[i] = sums[i];
}

static int32_t depthwise_output(const struct depthwise *p, const struct window *w,
                                const int8_t *input, const int8_t *weights)
{
    const int32_t output_channels = p->channels * p->depth_multiplier;
    int32_t acc = 0;

    for (int32_t fy = w->y_begin; fy < w->y_end; fy++)
        for (int32_t fx = w->x_begin; fx < w->x_end; fx++) {
            const int32_t y = w->top + fy * p->dilation_y, x = w->left + fx * p->dilation_x;
            const int32_t value = input[(y * p->input_width + x) * p->channels];
            const int32_t weight = weights[(fy * p->filter_width + fx) * output_channels];
            acc = multiply_add(acc, value - p->input_zero_point, weight);
        }
    return acc;
}

static void depthwise_pixel(const struct depthwise *p, const struct stage *stage,
                            const struct window *w, const int8_t *input, const int8_t *weights,
                            int8_t *output)
{
    const int32_t multiplier = p->depth_multiplier, output_channels = p->channels * multiplier;
    int32_t acc[4], o = 0;

    if (multiplier == 1)
        for (; o + 4 <= output_channels; o += 4) {
            depthwise_block(p, w, input + o, weights + o, 1, acc);
            store_block(acc, 1, stage, o, 4, output + o, 0);
        }
    else if ((multiplier & 3) == 0)
        for (int32_t c = 0; c < p->channels; c++)
            for (int32_t m = 0; m < multiplier; m += 4, o += 4) {
                depthwise_block(p, w, input + c, weights + o, 0, acc);
                store_block(acc, 1, stage, o, 4, output + o, 0);
            }
    for (; o < output_channels; o++) {
        acc[0] = depthwise_output(p, w, input + o / multiplier, weights + o);
        store_block(acc, 1, stage, o, 1, output + o, 0);
    }
}

static void depthwise_map(const struct depthwise *p, const struct stage *stage, const int8_t *input,
                          const int8_t *weights, int8_t *output)
{
    struct window w;

    for (int32_t oy = 0; oy < p->output_height; oy++) {
        w.top = oy * p->stride_y - p->pad_top;
        clip(w.top, p->dilation_y, p->filter_height, p->input_height, &w.y_begin, &w.y_end);
        for (int32_t ox = 0; ox < p->output_width; ox++) {
            w.left = ox * p->stride_x - p->pad_left;
            clip(w.left, p->dilation_x, p->filter_width, p->input_width, &w.x_begin, &w.x_end);
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
