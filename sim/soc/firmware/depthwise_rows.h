/* Sums of a 3 x 3 kernel along rows of a plane, in plain C: two partial sums and the weights stay
 * in registers.
 */
#ifndef DEPTHWISE_ROWS_H
#define DEPTHWISE_ROWS_H

/* One channel's weights, by row and column, and what its sums start with. */
struct taps_3x3 {
    int32_t w00, w01, w02, w10, w11, w12, w20, w21, w22;
    int32_t bias;
};

static inline struct taps_3x3 taps_of(const int8_t *weights, int32_t channels, int32_t bias)
{
    const int8_t *row0 = weights, *row1 = row0 + 3 * channels, *row2 = row1 + 3 * channels;
    const struct taps_3x3 k = {row0[0], row0[channels], row0[2 * channels],
                               row1[0], row1[channels], row1[2 * channels],
                               row2[0], row2[channels], row2[2 * channels],
                               bias};
    return k;
}

/* Three rows of a plane at one column. */
struct column_3 {
    int32_t v0, v1, v2;
};

ALWAYS_INLINE struct column_3 column_at(const int8_t *const *rows, int32_t x)
{
    const struct column_3 c = {rows[0][x], rows[1][x], rows[2][x]};
    return c;
}

ALWAYS_INLINE int32_t add_left(int32_t sum, const struct taps_3x3 *k, struct column_3 c)
{
    return multiply_add(multiply_add(multiply_add(sum, c.v0, k->w00), c.v1, k->w10), c.v2, k->w20);
}

ALWAYS_INLINE int32_t add_middle(int32_t sum, const struct taps_3x3 *k, struct column_3 c)
{
    return multiply_add(multiply_add(multiply_add(sum, c.v0, k->w01), c.v1, k->w11), c.v2, k->w21);
}

ALWAYS_INLINE int32_t add_right(int32_t sum, const struct taps_3x3 *k, struct column_3 c)
{
    return multiply_add(multiply_add(multiply_add(sum, c.v0, k->w02), c.v1, k->w12), c.v2, k->w22);
}

NEVER_INLINE int32_t *sum_rows_by_1(const struct taps_3x3 *taps, const struct sliding *s,
                                    int32_t *sums)
{
    /* a copy that nothing points to: what it holds stays in registers */
    const struct taps_3x3 k = *taps;
    const int8_t *input = s->input;

    for (int32_t row = 0; row < s->rows; row++) {
        const int8_t *rows[] = {input, input + s->pitch, input + 2 * s->pitch};
        struct column_3 c = column_at(rows, 1);
        int32_t next = add_middle(add_left(k.bias, &k, column_at(rows, 0)), &k, c);
        int32_t after = add_left(k.bias, &k, c);
        for (const int32_t *end = sums + s->width; sums != end; sums++) {
            c = column_at(rows, 2);
            *sums = add_right(next, &k, c);
            next = add_middle(after, &k, c);
            after = add_left(k.bias, &k, c);
            rows[0]++;
            rows[1]++;
            rows[2]++;
        }
        input += s->row_step;
    }
    return sums;
}

NEVER_INLINE int32_t *sum_rows_by_2(const struct taps_3x3 *taps, const struct sliding *s,
                                    int32_t *sums)
{
    const struct taps_3x3 k = *taps;
    const int8_t *input = s->input;

    for (int32_t row = 0; row < s->rows; row++) {
        const int8_t *rows[] = {input, input + s->pitch, input + 2 * s->pitch};
        int32_t next = add_left(k.bias, &k, column_at(rows, 0));
        for (const int32_t *end = sums + s->width; sums != end; sums++) {
            const struct column_3 c = column_at(rows, 2);
            *sums = add_right(add_middle(next, &k, column_at(rows, 1)), &k, c);
            next = add_left(k.bias, &k, c);
            rows[0] += 2;
            rows[1] += 2;
            rows[2] += 2;
        }
        input += s->row_step;
    }
    return sums;
}

#endif
