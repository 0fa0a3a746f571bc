/* Elementwise operators, pooling and MEAN with rescaling inlined and channels in blocks. */
#ifndef BLOCKED_ELEMENTWISE_H
#define BLOCKED_ELEMENTWISE_H

#include "blocked_stage.h"
#include "kernels.h"

#define AT_ONCE 4

/* What ADD and SUB have in common: both operands are brought to a common scale with 20 fractional
 * bits. `count` is known to the compiler, whose schedule then overlaps them.
 */
ALWAYS_INLINE void add_or_sub_some(const struct elementwise *p, int32_t sign, int32_t count,
                                   const int8_t *input1, const int8_t *input2, int8_t *output,
                                   const struct rescaling *r)
{
    int32_t value[AT_ONCE];

#pragma GCC unroll 4
    for (int32_t i = 0; i < count; i++) {
        const int32_t a = rescale(shift_left(input1[i] - p->input1_zero_point, 20), &r[0]);
        const int32_t b = rescale(shift_left(input2[i] - p->input2_zero_point, 20), &r[1]);
        value[i] = rescale(a + sign * b, &r[2]) + p->output_zero_point;
    }
    store_clamped(value, count, p->activation_min, p->activation_max, output, 1);
}

ALWAYS_INLINE void add_or_sub(const struct elementwise *shared, int32_t sign)
{
    /* a copy that nothing points to: what it holds stays in registers */
    const struct elementwise p = *shared;
    const struct rescaling r[] = {rescaling_of(p.multiplier1, p.shift1),
                                  rescaling_of(p.multiplier2, p.shift2),
                                  rescaling_of(p.multiplier, p.shift)};
    const int8_t *input1 = resolve(p.input1);
    const int8_t *input2 = resolve(p.input2);
    int8_t *output = resolve(p.output);
    int32_t i = 0;

    for (; i + AT_ONCE <= p.count; i += AT_ONCE)
        add_or_sub_some(&p, sign, AT_ONCE, input1 + i, input2 + i, output + i, r);
    for (; i < p.count; i++)
        add_or_sub_some(&p, sign, 1, input1 + i, input2 + i, output + i, r);
}

void add(const struct elementwise *p)
{
    add_or_sub(p, 1);
}

void sub(const struct elementwise *p)
{
    add_or_sub(p, -1);
}

void mul(const struct elementwise *p)
{
    const int8_t *input1 = resolve(p->input1);
    const int8_t *input2 = resolve(p->input2);
    int8_t *output = resolve(p->output);
    const struct rescaling r = rescaling_of(p->multiplier, p->shift);
    const int32_t zero1 = p->input1_zero_point, zero2 = p->input2_zero_point;
    const int32_t zero_point = p->output_zero_point;
    const int32_t low = p->activation_min, high = p->activation_max, count = p->count;

    for (int32_t i = 0; i < count; i++) {
        const int32_t product = (input1[i] - zero1) * (input2[i] - zero2);
        output[i] = (int8_t)clamped(rescale(product, &r) + zero_point, low, high);
    }
}

void requantize(const struct requantize *p)
{
    const struct table table = {p->input, p->output, p->count, p->table};
    apply_table(&table);
}

/* acc[i] += the sum of channel i over rows of pixels */
static inline void sum_4(int32_t *acc, const int8_t *input, int32_t rows, int32_t row_step,
                         int32_t pixels, int32_t pixel_step)
{
    int32_t a = acc[0], b = acc[1], c = acc[2], d = acc[3];

    for (int32_t y = 0; y < rows; y++, input += row_step) {
        const int8_t *pixel = input;
        for (int32_t x = 0; x < pixels; x++, pixel += pixel_step) {
            a += pixel[0];
            b += pixel[1];
            c += pixel[2];
            d += pixel[3];
        }
    }
    acc[0] = a;
    acc[1] = b;
    acc[2] = c;
    acc[3] = d;
}

static inline int32_t sum_1(const int8_t *input, int32_t rows, int32_t row_step, int32_t pixels,
                            int32_t pixel_step)
{
    int32_t acc = 0;

    for (int32_t y = 0; y < rows; y++, input += row_step)
        for (int32_t x = 0; x < pixels; x++)
            acc += input[x * pixel_step];
    return acc;
}

static inline int32_t max_1(const int8_t *input, int32_t rows, int32_t row_step, int32_t pixels,
                            int32_t pixel_step)
{
    int32_t best = INT8_MIN;

    for (int32_t y = 0; y < rows; y++, input += row_step)
        for (int32_t x = 0; x < pixels; x++) {
            const int32_t value = input[x * pixel_step];
            best = value > best ? value : best;
        }
    return best;
}

void mean(const struct mean *p)
{
    const int8_t *input = resolve(p->input);
    int8_t *output = resolve(p->output);
    const struct rescaling r = rescaling_of(p->multiplier, p->shift);
    const int32_t start = -p->count * p->input_zero_point, inner = p->inner;

    for (int32_t outer = 0; outer < p->outer; outer++) {
        int32_t c = 0;
        for (; c + 4 <= inner; c += 4) {
            int32_t acc[4] = {start, start, start, start};
            sum_4(acc, input + c, 1, 0, p->count, inner);
            for (int i = 0; i < 4; i++)
                output[c + i] = (int8_t)clamped(rescale(acc[i], &r) + p->output_zero_point,
                                                INT8_MIN, INT8_MAX);
        }
        for (; c < inner; c++) {
            const int32_t acc = start + sum_1(input + c, 1, 0, p->count, inner);
            output[c] =
                (int8_t)clamped(rescale(acc, &r) + p->output_zero_point, INT8_MIN, INT8_MAX);
        }
        input += p->count * inner;
        output += inner;
    }
}

/* The part of a pooling window that lies inside the input. */
struct area {
    const int8_t *input;
    int32_t rows, row_step, pixels, pixel_step;
};

static inline struct area area_of(const struct pool *p, const int8_t *input, int32_t oy, int32_t ox)
{
    const int32_t y = oy * p->stride_y - p->pad_top, x = ox * p->stride_x - p->pad_left;
    const int32_t top = y > 0 ? y : 0, left = x > 0 ? x : 0;
    const int32_t bottom = y + p->filter_height, right = x + p->filter_width;
    const struct area area = {
        input + (top * p->input_width + left) * p->channels,
        (bottom < p->input_height ? bottom : p->input_height) - top,
        p->input_width * p->channels,
        (right < p->input_width ? right : p->input_width) - left,
        p->channels,
    };
    return area;
}

static inline int8_t rounded_average(const struct pool *p, int32_t sum, int32_t taps)
{
    const int32_t average = sum > 0 ? (sum + taps / 2) / taps : (sum - taps / 2) / taps;
    return (int8_t)clamped(average, p->activation_min, p->activation_max);
}

static void average_pixel(const struct pool *p, const struct area *a, int8_t *output)
{
    const int32_t taps = a->rows * a->pixels;
    int32_t c = 0;

    for (; c + 4 <= p->channels; c += 4) {
        int32_t acc[4] = {0, 0, 0, 0};
        sum_4(acc, a->input + c, a->rows, a->row_step, a->pixels, a->pixel_step);
        for (int i = 0; i < 4; i++)
            output[c + i] = rounded_average(p, acc[i], taps);
    }
    for (; c < p->channels; c++)
        output[c] = rounded_average(
            p, sum_1(a->input + c, a->rows, a->row_step, a->pixels, a->pixel_step), taps);
}

static void maximum_pixel(const struct pool *p, const struct area *a, int8_t *output)
{
    for (int32_t c = 0; c < p->channels; c++) {
        const int32_t best =
            max_1(a->input + c, a->rows, a->row_step, a->pixels, a->pixel_step);
        output[c] = (int8_t)clamped(best, p->activation_min, p->activation_max);
    }
}

static inline void pool_2d(const struct pool *p,
                           void (*pixel)(const struct pool *, const struct area *, int8_t *))
{
    const int8_t *input = resolve(p->input);
    int8_t *output = resolve(p->output);

    for (int32_t n = 0; n < p->batches; n++) {
        for (int32_t oy = 0; oy < p->output_height; oy++)
            for (int32_t ox = 0; ox < p->output_width; ox++) {
                const struct area area = area_of(p, input, oy, ox);
                pixel(p, &area, output);
                output += p->channels;
            }
        input += p->input_height * p->input_width * p->channels;
    }
}

void average_pool_2d(const struct pool *p)
{
    pool_2d(p, average_pixel);
}

void max_pool_2d(const struct pool *p)
{
    pool_2d(p, maximum_pixel);
}

#endif
