/* Sums of a 3 x 3 kernel along rows of a plane, with packed SIMD: a word holds 4 columns of a row,
 * and a dot product covers the 3 that an output needs.
 */
#ifndef DEPTHWISE_ROWS_SIMD_H
#define DEPTHWISE_ROWS_SIMD_H

/* One channel's weights: rows of (w0, w1, w2, 0), for outputs whose first column is a word's first,
 * and of (0, w0, w1, w2), for those where it is the second.
 */
struct taps_3x3 {
    word low0, low1, low2;
    word high0, high1, high2;
    int32_t bias;
};

static inline word row_of_taps(const int8_t *weights, int32_t channels)
{
    return (uint8_t)weights[0] | (word)(uint8_t)weights[channels] << 8 |
           (word)(uint8_t)weights[2 * channels] << 16;
}

static inline struct taps_3x3 taps_of(const int8_t *weights, int32_t channels, int32_t bias)
{
    const word row0 = row_of_taps(weights, channels);
    const word row1 = row_of_taps(weights + 3 * channels, channels);
    const word row2 = row_of_taps(weights + 6 * channels, channels);
    const struct taps_3x3 k = {row0, row1, row2, row0 << 8, row1 << 8, row2 << 8, bias};
    return k;
}

ALWAYS_INLINE int32_t sum_low(const struct taps_3x3 *k, word a, word b, word c)
{
    return dot4(dot4(dot4(k->bias, a, k->low0), b, k->low1), c, k->low2);
}

ALWAYS_INLINE int32_t sum_high(const struct taps_3x3 *k, word a, word b, word c)
{
    return dot4(dot4(dot4(k->bias, a, k->high0), b, k->high1), c, k->high2);
}

/* The last two columns of a word and the first two of the next. */
ALWAYS_INLINE word between(word first, word second)
{
    return first >> 16 | second << 16;
}

/* A row is computed in whole words of columns; sums beyond its width are those of the next row, or
 * fall into the room behind the last.
 */
ALWAYS_INLINE int32_t *sum_rows(const struct taps_3x3 *taps, const struct sliding *s, int32_t *sums,
                                int32_t stride)
{
    /* a copy that nothing points to: what it holds stays in registers */
    const struct taps_3x3 k = *taps;
    const int8_t *input = s->input;

    for (int32_t row = 0; row < s->rows; row++) {
        const word *r0 = (const word *)input, *r1 = (const word *)(input + s->pitch);
        const word *r2 = (const word *)(input + 2 * s->pitch);
        word a0 = *r0++, a1 = *r1++, a2 = *r2++;
        int32_t *target = sums;
        for (sums += s->width; target < sums;) {
            const word b0 = *r0++, b1 = *r1++, b2 = *r2++;
            const word c0 = between(a0, b0), c1 = between(a1, b1), c2 = between(a2, b2);
            *target++ = sum_low(&k, a0, a1, a2);
            if (stride == 1)
                *target++ = sum_high(&k, a0, a1, a2);
            *target++ = sum_low(&k, c0, c1, c2);
            if (stride == 1)
                *target++ = sum_high(&k, c0, c1, c2);
            a0 = b0;
            a1 = b1;
            a2 = b2;
        }
        input += s->row_step;
    }
    return sums;
}

NEVER_INLINE int32_t *sum_rows_by_1(const struct taps_3x3 *taps, const struct sliding *s,
                                    int32_t *sums)
{
    return sum_rows(taps, s, sums, 1);
}

NEVER_INLINE int32_t *sum_rows_by_2(const struct taps_3x3 *taps, const struct sliding *s,
                                    int32_t *sums)
{
    return sum_rows(taps, s, sums, 2);
}

#endif
