/* CONV_2D and FULLY_CONNECTED as products of gathered columns and packed weights.
 *
 * The including file defines multiply_most, multiply_2 and multiply_1: acc[pixels][4] of
 * MOST_PIXELS, 2 or 1 interleaved columns and one block of 4 output channels, over `words` groups
 * of 4 values.
 */
#ifndef BLOCKED_MATMUL_H
#define BLOCKED_MATMUL_H

#include "blocked_stage.h"
#include "columns.h"
#include "kernels.h"

typedef void multiply_function(const int8_t *columns, const int8_t *weights, int32_t words,
                               int32_t *acc);

/* A product of some columns with all output channels of a group. */
struct product {
    const int8_t *columns;
    const int8_t *weights;
    int32_t words;
    const struct stage *stage;
    int32_t first_channel, channels;
    int8_t *output;
    int32_t pixel_step;
};

ALWAYS_INLINE void multiply_pixels(const struct product *p, int32_t pixels,
                                   multiply_function *multiply)
{
    const int8_t *weights = p->weights;
    int32_t acc[MOST_PIXELS * CHANNEL_BLOCK];

    for (int32_t c = 0; c < p->channels; c += CHANNEL_BLOCK) {
        const int32_t left = p->channels - c, valid = left < CHANNEL_BLOCK ? left : CHANNEL_BLOCK;
        multiply(p->columns, weights, p->words, acc);
        if (pixels == 1 && valid == CHANNEL_BLOCK)
            store_four(acc, p->stage, p->first_channel + c, p->output + c);
        else
            store_block(acc, pixels, p->stage, p->first_channel + c, valid, p->output + c,
                        p->pixel_step);
        weights += 4 * CHANNEL_BLOCK * p->words;
    }
}

static void multiply_columns(const struct product *p, int32_t pixels)
{
    if (pixels == MOST_PIXELS)
        multiply_pixels(p, MOST_PIXELS, multiply_most);
    else if (pixels == 2)
        multiply_pixels(p, 2, multiply_2);
    else
        multiply_pixels(p, 1, multiply_1);
}

static inline int32_t pixels_at_once(int32_t remaining)
{
    return remaining >= MOST_PIXELS ? MOST_PIXELS : remaining >= 2 ? 2 : 1;
}

static void conv_2d_group(const struct convolution *p, const struct stage *stage,
                          const int8_t *input, const int8_t *weights, int32_t first_channel,
                          int32_t channels, int8_t *output)
{
    const int32_t words = (p->filter_height * p->filter_width * p->filter_channels + 3) >> 2;
    const int32_t pixels = p->output_height * p->output_width;
    int8_t *columns = resolve(p->scratch);
    int8_t *spare = columns + 16 * words;
    struct product product = {columns, weights, words, stage, first_channel, channels, output,
                              p->output_channels};
    int32_t oy = 0, ox = 0, count;

    for (int32_t pixel = 0; pixel < pixels; pixel += count) {
        count = pixels_at_once(pixels - pixel);
        for (int32_t i = 0; i < count; i++) {
            gather_column(p, input, oy, ox, (word *)columns + i, count, spare);
            if (++ox == p->output_width) {
                ox = 0;
                oy++;
            }
        }
        multiply_columns(&product, count);
        product.output += count * p->output_channels;
    }
}

void conv_2d(const struct convolution *p)
{
    const struct stage stage = STAGE_OF(p, folded_bias);
    const int8_t *input = resolve(p->input);
    const int8_t *weights = resolve(p->packed_weights);
    int8_t *output = resolve(p->output);
    const int32_t groups = p->channels / p->filter_channels;
    const int32_t channels = p->output_channels / groups;
    const int32_t words = (p->filter_height * p->filter_width * p->filter_channels + 3) >> 2;
    const int32_t blocks = (channels + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK;
    const int32_t group_bytes = 4 * CHANNEL_BLOCK * words * blocks;
    const int32_t input_bytes = p->input_height * p->input_width * p->channels;
    const int32_t output_bytes = p->output_height * p->output_width * p->output_channels;

    for (int32_t n = 0; n < p->batches; n++)
        for (int32_t g = 0; g < groups; g++)
            conv_2d_group(p, &stage, input + n * input_bytes + g * p->filter_channels,
                          weights + g * group_bytes, g * channels, channels,
                          output + n * output_bytes + g * channels);
}

void fully_connected(const struct fully_connected *p)
{
    const struct stage stage = STAGE_OF(p, folded_bias);
    const int8_t *input = resolve(p->input);
    const int8_t *weights = resolve(p->packed_weights);
    const int32_t words = (p->inputs + 3) >> 2;
    int8_t *columns = resolve(p->scratch);
    int8_t *spare = columns + 16 * words;
    struct product product = {columns, weights, words, &stage, 0, p->outputs, resolve(p->output),
                              p->outputs};
    int32_t count;

    for (int32_t row = 0; row < p->rows; row += count) {
        const int8_t *source = input + row * p->inputs;
        count = pixels_at_once(p->rows - row);
        if (p->rows == 1) {
            /* an aligned tensor is a column as it is: weights beyond its end are zero */
            product.columns = source;
        } else {
            for (int32_t i = 0; i < count; i++) {
                copy_bytes(spare, source + i * p->inputs, p->inputs);
                spread_words((word *)columns + i, count, (const word *)spare, words);
            }
        }
        multiply_columns(&product, count);
        product.output += count * p->outputs;
    }
}

#endif
