/* DEPTHWISE_CONV_2D with 3 x 3 kernels, stride 1 or 2: for one channel of one row the kernel slides
 * along, weights and partial sums in registers, so that every input is loaded once per row.
 */
#ifndef DEPTHWISE_3X3_H
#define DEPTHWISE_3X3_H

#include <stdbool.h>

#include "blocked_stage.h"
#include "kernels.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Bytes of three input rows that stay in a small data cache while all channels pass over them. */
#define CACHED_BYTES 3072

/* One channel of three input rows; `x` is the column that comes next. */
struct rows_3 {
    const int8_t *row0, *row1, *row2;
    int32_t channels;
    int32_t width;
    int32_t zero_point;
    int32_t x;
};

struct column_3 {
    int32_t v0, v1, v2;
};

/* Weights by row and column, and what every sum starts with. */
struct taps_3x3 {
    int32_t w00, w01, w02, w10, w11, w12, w20, w21, w22;
    int32_t bias;
};

/* The sum of the next output, and with stride 1 that of the one after it. */
struct sums {
    int32_t next, after;
};

struct target {
    int8_t *output;
    int32_t channels;
    int32_t zero_point, low, high;
};

static inline bool slides_3x3(const struct depthwise *p)
{
    return p->filter_height == 3 && p->filter_width == 3 && p->depth_multiplier == 1 &&
           p->dilation_y == 1 && p->dilation_x == 1 && (p->stride_x == 1 || p->stride_x == 2);
}

ALWAYS_INLINE struct column_3 next_column(struct rows_3 *rows, bool inside)
{
    struct column_3 c = {rows->zero_point, rows->zero_point, rows->zero_point};

    if (inside || (rows->x >= 0 && rows->x < rows->width)) {
        c.v0 = *rows->row0;
        c.v1 = *rows->row1;
        c.v2 = *rows->row2;
        rows->row0 += rows->channels;
        rows->row1 += rows->channels;
        rows->row2 += rows->channels;
    }
    rows->x++;
    return c;
}

ALWAYS_INLINE int32_t add_column_0(int32_t sum, const struct taps_3x3 *t, struct column_3 c)
{
    return multiply_add(multiply_add(multiply_add(sum, c.v0, t->w00), c.v1, t->w10), c.v2, t->w20);
}

ALWAYS_INLINE int32_t add_column_1(int32_t sum, const struct taps_3x3 *t, struct column_3 c)
{
    return multiply_add(multiply_add(multiply_add(sum, c.v0, t->w01), c.v1, t->w11), c.v2, t->w21);
}

ALWAYS_INLINE int32_t add_column_2(int32_t sum, const struct taps_3x3 *t, struct column_3 c)
{
    return multiply_add(multiply_add(multiply_add(sum, c.v0, t->w02), c.v1, t->w12), c.v2, t->w22);
}

ALWAYS_INLINE int32_t next_sum(struct sums *sums, struct rows_3 *rows, const struct taps_3x3 *taps,
                               int32_t stride, bool inside)
{
    struct column_3 c = next_column(rows, inside);
    int32_t sum;

    if (stride == 1) {
        sum = add_column_2(sums->next, taps, c);
        sums->next = add_column_1(sums->after, taps, c);
        sums->after = add_column_0(taps->bias, taps, c);
    } else {
        sum = add_column_1(sums->next, taps, c);
        c = next_column(rows, inside);
        sum = add_column_2(sum, taps, c);
        sums->next = add_column_0(taps->bias, taps, c);
    }
    return sum;
}

/* Columns that belong to the first output only, before its last one (or two). */
ALWAYS_INLINE struct sums first_sums(struct rows_3 *rows, const struct taps_3x3 *taps,
                                     int32_t stride)
{
    struct column_3 c = next_column(rows, false);
    struct sums sums = {add_column_0(taps->bias, taps, c), taps->bias};

    if (stride == 1) {
        c = next_column(rows, false);
        sums.next = add_column_1(sums.next, taps, c);
        sums.after = add_column_0(sums.after, taps, c);
    }
    return sums;
}

ALWAYS_INLINE void store_output(struct target *target, int32_t sum, const struct rescaling *r)
{
    const int32_t value = rescale(sum, r) + target->zero_point;
    *target->output = (int8_t)clamped(value, target->low, target->high);
    target->output += target->channels;
}

ALWAYS_INLINE void slide(struct rows_3 rows, const struct taps_3x3 *taps, const struct rescaling *r,
                         struct target target, int32_t count, int32_t stride)
{
    struct sums sums = first_sums(&rows, taps, stride);
    int32_t inside;

    for (; count > 0 && rows.x < 0; count--)
        store_output(&target, next_sum(&sums, &rows, taps, stride, false), r);
    inside = (rows.width - rows.x) / stride;
    inside = inside < count ? inside : count;
    for (count -= inside; inside > 0; inside--)
        store_output(&target, next_sum(&sums, &rows, taps, stride, true), r);
    for (; count > 0; count--)
        store_output(&target, next_sum(&sums, &rows, taps, stride, false), r);
}

/* Rows outside the input get no weights; their share of the folded bias is taken back. */
ALWAYS_INLINE struct taps_3x3 load_taps(const int8_t *weights, int32_t channels, int32_t bias,
                                        const bool *valid, int32_t zero_point)
{
    struct taps_3x3 t = {weights[0],
                         weights[channels],
                         weights[2 * channels],
                         weights[3 * channels],
                         weights[4 * channels],
                         weights[5 * channels],
                         weights[6 * channels],
                         weights[7 * channels],
                         weights[8 * channels],
                         bias};

    if (!valid[0]) {
        t.bias += zero_point * (t.w00 + t.w01 + t.w02);
        t.w00 = t.w01 = t.w02 = 0;
    }
    if (!valid[1]) {
        t.bias += zero_point * (t.w10 + t.w11 + t.w12);
        t.w10 = t.w11 = t.w12 = 0;
    }
    if (!valid[2]) {
        t.bias += zero_point * (t.w20 + t.w21 + t.w22);
        t.w20 = t.w21 = t.w22 = 0;
    }
    return t;
}

/* All channels of `count` outputs from (oy, ox) on. */
ALWAYS_INLINE void slide_channels(const struct depthwise *p, const struct stage *stage,
                                  const int8_t *input, const int8_t *weights, int8_t *output,
                                  int32_t oy, int32_t ox, int32_t count, int32_t stride)
{
    const int32_t channels = p->channels, row_bytes = p->input_width * channels;
    const int32_t y = oy * p->stride_y - p->pad_top, x = ox * stride - p->pad_left;
    const int8_t *rows[3];
    bool valid[3];

    for (int i = 0; i < 3; i++) {
        valid[i] = y + i >= 0 && y + i < p->input_height;
        rows[i] = input + (valid[i] ? (y + i) * row_bytes : 0) + (x > 0 ? x : 0) * channels;
    }
    for (int32_t c = 0; c < channels; c++) {
        const struct taps_3x3 taps =
            load_taps(weights + c, channels, stage->bias[c], valid, p->input_zero_point);
        const struct rescaling r = rescaling_of(stage->multipliers[c], stage->shifts[c]);
        const struct rows_3 from = {rows[0] + c, rows[1] + c,         rows[2] + c, channels,
                                    p->input_width, p->input_zero_point, x};
        const struct target to = {output + (oy * p->output_width + ox) * channels + c, channels,
                                  stage->zero_point, stage->low, stage->high};
        slide(from, &taps, &r, to, count, stride);
    }
}

static void depthwise_map_3x3(const struct depthwise *p, const struct stage *stage,
                              const int8_t *input, const int8_t *weights, int8_t *output)
{
    const int32_t cached_columns = CACHED_BYTES / (3 * p->channels);
    const int32_t fitting = (cached_columns - 2) / p->stride_x;
    const int32_t tile = fitting < 4 ? 4 : fitting;

    for (int32_t oy = 0; oy < p->output_height; oy++)
        for (int32_t ox = 0; ox < p->output_width; ox += tile) {
            const int32_t left = p->output_width - ox, count = left < tile ? left : tile;
            if (p->stride_x == 1)
                slide_channels(p, stage, input, weights, output, oy, ox, count, 1);
            else
                slide_channels(p, stage, input, weights, output, oy, ox, count, 2);
        }
}

#endif
