/* DEPTHWISE_CONV_2D with 3 x 3 kernels and a horizontal stride of 1 or 2.
 *
 * Channels are gathered from the input, 4 at a time, into planes with their padding around them.
 * The kernel slides along the rows of a plane with its weights in registers; every value is loaded
 * once per row, and nothing tests for borders. The sums of some rows go through the output stage
 * together, so that neither loop needs more registers than there are.
 */
#ifndef DEPTHWISE_3X3_H
#define DEPTHWISE_3X3_H

#include <stdbool.h>

#include "blocked_stage.h"
#include "bytes.h"
#include "kernels.h"

#define PLANES 4

/* The padded planes, whose rows are whole words, and room for the sums of some rows. */
struct planes {
    int8_t *values;
    int32_t height, pitch;
    int32_t bytes; /* of one plane */
    int32_t *sums;
};

static inline struct planes planes_of(const struct depthwise *p)
{
    const int32_t height = (p->output_height - 1) * p->stride_y + 3;
    const int32_t pitch = ((p->output_width - 1) * p->stride_x + 3 + 3) & ~3;
    int8_t *values = resolve(p->scratch);
    const int32_t bytes = height * pitch;
    const struct planes planes = {values, height, pitch, bytes,
                                  (int32_t *)(void *)(values + PLANES * bytes)};
    return planes;
}

static bool slides_3x3(const struct depthwise *p)
{
    return p->filter_height == 3 && p->filter_width == 3 && p->depth_multiplier == 1 &&
           p->dilation_y == 1 && p->dilation_x == 1 && (p->stride_x == 1 || p->stride_x == 2);
}

NEVER_INLINE void gather_row(const int8_t *input, int32_t channels, int32_t count,
                             int32_t plane_bytes, int32_t planes, int8_t *target)
{
    int8_t *plane1 = target + plane_bytes, *plane2 = plane1 + plane_bytes;
    int8_t *plane3 = plane2 + plane_bytes;

    if ((channels & 3) != 0) {
        for (int32_t i = 0; i < planes; i++)
            for (int32_t x = 0; x < count; x++)
                target[i * plane_bytes + x] = input[x * channels + i];
        return;
    }
    for (; count > 0; count--) {
        const word four = *(const word *)input;
        input += channels;
        *target++ = (int8_t)four;
        *plane1++ = (int8_t)(four >> 8);
        *plane2++ = (int8_t)(four >> 16);
        *plane3++ = (int8_t)(four >> 24);
    }
}

/* The borders hold the zero point already. */
static void gather_planes(const struct depthwise *p, const struct planes *planes,
                          const int8_t *input, int32_t count)
{
    const int32_t beyond_y = planes->height - p->pad_top, beyond_x = planes->pitch - p->pad_left;
    const int32_t height = p->input_height < beyond_y ? p->input_height : beyond_y;
    const int32_t width = p->input_width < beyond_x ? p->input_width : beyond_x;
    int8_t *target = planes->values + p->pad_top * planes->pitch + p->pad_left;

    for (int32_t y = 0; y < height; y++) {
        gather_row(input, p->channels, width, planes->bytes, count, target);
        input += p->input_width * p->channels;
        target += planes->pitch;
    }
}

/* Some rows of a plane, each from its first column on, to rows of sums. */
struct sliding {
    const int8_t *input;
    int32_t pitch, row_step;
    int32_t width, rows;
};

#ifdef PACKED_SIMD
#include "depthwise_rows_simd.h"
#else
#include "depthwise_rows.h"
#endif

/* One channel of the map; `output` is its first value. */
static void slide_plane(const struct depthwise *p, const struct taps_3x3 *taps,
                        const struct channel_stage *stage, const struct planes *planes,
                        const int8_t *plane, int8_t *output)
{
    const int32_t width = p->output_width;
    const int32_t rows = width < SUMS_AT_ONCE ? SUMS_AT_ONCE / width : 1;
    struct sliding s = {plane, planes->pitch, p->stride_y * planes->pitch, width, rows};

    for (int32_t left = p->output_height; left > 0; left -= rows) {
        s.rows = left < rows ? left : rows;
        const int32_t *end = p->stride_x == 1 ? sum_rows_by_1(taps, &s, planes->sums)
                                              : sum_rows_by_2(taps, &s, planes->sums);
        const int32_t count = (int32_t)(end - planes->sums);
        store_row(planes->sums, count, stage, output, p->channels);
        s.input += rows * s.row_step;
        output += count * p->channels;
    }
}

static void depthwise_map_3x3(const struct depthwise *p, const struct stage *stage,
                              const int8_t *input, const int8_t *weights, int8_t *output)
{
    const struct planes planes = planes_of(p);

    fill_bytes(planes.values, (int8_t)p->input_zero_point, PLANES * planes.bytes);
    for (int32_t c = 0; c < p->channels; c += PLANES) {
        const int32_t left = p->channels - c, count = left < PLANES ? left : PLANES;
        gather_planes(p, &planes, input + c, count);
        for (int32_t i = 0; i < count; i++) {
            const struct taps_3x3 taps =
                taps_of(weights + c + i, p->channels, stage->bias[c + i]);
            const struct channel_stage channel = channel_stage_of(stage, c + i);
            slide_plane(p, &taps, &channel, &planes, planes.values + i * planes.bytes,
                        output + c + i);
        }
    }
}

#endif
