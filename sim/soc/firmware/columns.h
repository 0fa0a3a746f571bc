/* Columns: the values that one output pixel depends on, gathered so that blocks read them in order.
 *
 * `pixels` columns are interleaved by words: word k / 4 of pixel p is word (k / 4) * pixels + p.
 */
#ifndef COLUMNS_H
#define COLUMNS_H

#include <stdbool.h>

#include "bytes.h"
#include "image_format.h"
#include "instructions.h"

/* Where the next value of a column goes: to every `step`-th word, or (values that do not come in
 * whole words) to bytes that are spread later.
 */
struct column {
    word *words;
    int32_t step;
    int8_t *bytes;
};

static inline word *spread_words(word *target, int32_t step, const word *source, int32_t count)
{
    for (; count >= 4; count -= 4) {
        const word a = source[0], b = source[1], c = source[2], d = source[3];
        source += 4;
        *target = a;
        target += step;
        *target = b;
        target += step;
        *target = c;
        target += step;
        *target = d;
        target += step;
    }
    for (; count > 0; count--) {
        *target = *source++;
        target += step;
    }
    return target;
}

static inline void put_values(struct column *column, const int8_t *values, int32_t count)
{
    if (column->bytes == 0) {
        column->words =
            spread_words(column->words, column->step, (const word *)values, count >> 2);
    } else {
        int8_t *target = column->bytes;
        column->bytes += count;
        for (; count >= 4; count -= 4) {
            const int8_t a = values[0], b = values[1], c = values[2], d = values[3];
            values += 4;
            target[0] = a;
            target[1] = b;
            target[2] = c;
            target[3] = d;
            target += 4;
        }
        while (count-- > 0)
            *target++ = *values++;
    }
}

static inline void put_padding(struct column *column, int8_t value, int32_t count)
{
    if (column->bytes == 0) {
        for (count >>= 2; count > 0; count--) {
            *column->words = 0x01010101u * (uint8_t)value;
            column->words += column->step;
        }
    } else {
        fill_bytes(column->bytes, value, count);
        column->bytes += count;
    }
}

static inline void put_row(struct column *column, const struct convolution *p, const int8_t *row,
                           int32_t left)
{
    const int32_t channels = p->filter_channels, width = p->input_width;
    const int8_t zero = (int8_t)p->input_zero_point;

    if (p->dilation_x == 1 && channels == p->channels) {
        /* the taps inside the row lie side by side */
        const int32_t before = left < 0 ? -left : 0;
        const int32_t beyond = left + p->filter_width - width;
        const int32_t after = beyond > 0 ? beyond : 0;
        put_padding(column, zero, before * channels);
        put_values(column, row + (left + before) * channels,
                   (p->filter_width - before - after) * channels);
        put_padding(column, zero, after * channels);
        return;
    }
    for (int32_t fx = 0; fx < p->filter_width; fx++) {
        const int32_t x = left + fx * p->dilation_x;
        if (x < 0 || x >= width)
            put_padding(column, zero, channels);
        else
            put_values(column, row + x * p->channels, channels);
    }
}

/* The column of output pixel (oy, ox); `input` is the batch's first value of the group. */
static inline void gather_column(const struct convolution *p, const int8_t *input, int32_t oy,
                                 int32_t ox, word *target, int32_t step, int8_t *spare)
{
    const int32_t top = oy * p->stride_y - p->pad_top, left = ox * p->stride_x - p->pad_left;
    const int32_t row_bytes = p->input_width * p->channels;
    const bool whole_words = ((p->filter_channels | p->channels) & 3) == 0;
    struct column column = {target, step, whole_words ? 0 : spare};

    for (int32_t fy = 0; fy < p->filter_height; fy++) {
        const int32_t y = top + fy * p->dilation_y;
        if (y < 0 || y >= p->input_height)
            put_padding(&column, (int8_t)p->input_zero_point,
                        p->filter_width * p->filter_channels);
        else
            put_row(&column, p, input + y * row_bytes, left);
    }
    if (!whole_words)
        spread_words(target, step, (const word *)spare,
                     (int32_t)((column.bytes - spare + 3) >> 2));
}

#endif
