/* The loops of TFLM's reference kernels: one output at a time, the offset of every element computed
 * from the shapes, bounds tested per tap, requantization out of line.
 *
 * Loops follow reference_integer_ops and reference_ops of TensorFlow Lite Micro; POOL, MEAN and
 * elementwise operators are somewhat leaner than there (no generic broadcasting or axis lists).
 */
#include "fixed_point.h"
#include "kernels.h"
#include "runtime.h"

struct shape {
    int32_t dims[4];
};

static inline int32_t offset(const struct shape *s, int32_t n, int32_t y, int32_t x, int32_t c)
{
    return ((n * s->dims[1] + y) * s->dims[2] + x) * s->dims[3] + c;
}

static inline int8_t output_stage(int32_t acc, int32_t multiplier, int32_t shift,
                                  int32_t zero_point, int32_t low, int32_t high)
{
    return (int8_t)clamp(multiply_by_quantized_multiplier(acc, multiplier, shift) + zero_point, low,
                         high);
}

void conv_2d(const struct convolution *p)
{
    const int8_t *input = resolve(p->input);
    const int8_t *weights = resolve(p->weights);
    const int32_t *bias = resolve(p->bias);
    const int32_t *multipliers = resolve(p->multipliers);
    const int32_t *shifts = resolve(p->shifts);
    int8_t *output = resolve(p->output);
    const int32_t batches = p->batches, input_height = p->input_height;
    const int32_t input_width = p->input_width, output_height = p->output_height;
    const int32_t output_width = p->output_width, output_channels = p->output_channels;
    const int32_t filter_height = p->filter_height, filter_width = p->filter_width;
    const int32_t filter_channels = p->filter_channels;
    const int32_t stride_y = p->stride_y, stride_x = p->stride_x;
    const int32_t dilation_y = p->dilation_y, dilation_x = p->dilation_x;
    const int32_t pad_top = p->pad_top, pad_left = p->pad_left;
    const int32_t input_offset = -p->input_zero_point, output_offset = p->output_zero_point;
    const int32_t low = p->activation_min, high = p->activation_max;
    const struct shape ifm = {{batches, input_height, input_width, p->channels}};
    const struct shape ofm = {{batches, output_height, output_width, output_channels}};
    const struct shape filter = {{output_channels, filter_height, filter_width, filter_channels}};
    const int32_t filters_per_group = output_channels / (p->channels / filter_channels);

    for (int32_t n = 0; n < batches; n++)
        for (int32_t oy = 0; oy < output_height; oy++) {
            const int32_t top = oy * stride_y - pad_top;
            for (int32_t ox = 0; ox < output_width; ox++) {
                const int32_t left = ox * stride_x - pad_left;
                for (int32_t o = 0; o < output_channels; o++) {
                    const int32_t group = o / filters_per_group;
                    int32_t acc = 0;
                    for (int32_t fy = 0; fy < filter_height; fy++) {
                        const int32_t y = top + dilation_y * fy;
                        for (int32_t fx = 0; fx < filter_width; fx++) {
                            const int32_t x = left + dilation_x * fx;
                            if (x < 0 || x >= input_width || y < 0 || y >= input_height)
                                continue;
                            for (int32_t c = 0; c < filter_channels; c++) {
                                const int32_t value =
                                    input[offset(&ifm, n, y, x, c + group * filter_channels)];
                                const int32_t weight = weights[offset(&filter, o, fy, fx, c)];
                                acc += weight * (value + input_offset);
                            }
                        }
                    }
                    output[offset(&ofm, n, oy, ox, o)] = output_stage(
                        acc + bias[o], multipliers[o], shifts[o], output_offset, low, high);
                }
            }
        }
}

void depthwise_conv_2d(const struct depthwise *p)
{
    const int8_t *input = resolve(p->input);
    const int8_t *weights = resolve(p->weights);
    const int32_t *bias = resolve(p->bias);
    const int32_t *multipliers = resolve(p->multipliers);
    const int32_t *shifts = resolve(p->shifts);
    int8_t *output = resolve(p->output);
    const int32_t batches = p->batches, input_height = p->input_height;
    const int32_t input_width = p->input_width, output_height = p->output_height;
    const int32_t output_width = p->output_width, channels = p->channels;
    const int32_t filter_height = p->filter_height, filter_width = p->filter_width;
    const int32_t multiplier = p->depth_multiplier, output_channels = channels * multiplier;
    const int32_t stride_y = p->stride_y, stride_x = p->stride_x;
    const int32_t dilation_y = p->dilation_y, dilation_x = p->dilation_x;
    const int32_t pad_top = p->pad_top, pad_left = p->pad_left;
    const int32_t input_offset = -p->input_zero_point, output_offset = p->output_zero_point;
    const int32_t low = p->activation_min, high = p->activation_max;
    const struct shape ifm = {{batches, input_height, input_width, channels}};
    const struct shape ofm = {{batches, output_height, output_width, output_channels}};
    const struct shape filter = {{1, filter_height, filter_width, output_channels}};

    for (int32_t n = 0; n < batches; n++)
        for (int32_t oy = 0; oy < output_height; oy++)
            for (int32_t ox = 0; ox < output_width; ox++)
                for (int32_t c = 0; c < channels; c++)
                    for (int32_t m = 0; m < multiplier; m++) {
                        const int32_t o = m + c * multiplier;
                        const int32_t top = oy * stride_y - pad_top;
                        const int32_t left = ox * stride_x - pad_left;
                        int32_t acc = 0;
                        for (int32_t fy = 0; fy < filter_height; fy++)
                            for (int32_t fx = 0; fx < filter_width; fx++) {
                                const int32_t y = top + dilation_y * fy;
                                const int32_t x = left + dilation_x * fx;
                                if (x < 0 || x >= input_width || y < 0 || y >= input_height)
                                    continue;
                                const int32_t value = input[offset(&ifm, n, y, x, c)];
                                const int32_t weight = weights[offset(&filter, 0, fy, fx, o)];
                                acc += weight * (value + input_offset);
                            }
                        output[offset(&ofm, n, oy, ox, o)] = output_stage(
                            acc + bias[o], multipliers[o], shifts[o], output_offset, low, high);
                    }
}

void fully_connected(const struct fully_connected *p)
{
    const int8_t *input = resolve(p->input);
    const int8_t *weights = resolve(p->weights);
    const int32_t *bias = resolve(p->bias);
    const int32_t *multipliers = resolve(p->multipliers);
    const int32_t *shifts = resolve(p->shifts);
    int8_t *output = resolve(p->output);
    const int32_t rows = p->rows, inputs = p->inputs, outputs = p->outputs;
    const int32_t input_offset = -p->input_zero_point, output_offset = p->output_zero_point;
    const int32_t low = p->activation_min, high = p->activation_max;

    for (int32_t row = 0; row < rows; row++)
        for (int32_t o = 0; o < outputs; o++) {
            int32_t acc = 0;
            for (int32_t i = 0; i < inputs; i++) {
                const int32_t value = input[row * inputs + i];
                const int32_t weight = weights[o * inputs + i];
                acc += weight * (value + input_offset);
            }
            output[row * outputs + o] = output_stage(acc + bias[o], multipliers[o], shifts[o],
                                                     output_offset, low, high);
        }
}

static inline int32_t to_common_scale(int32_t value, int32_t zero_point, int32_t multiplier,
                                      int32_t shift)
{
    return multiply_by_quantized_multiplier((value - zero_point) * (1 << 20), multiplier, shift);
}

void add(const struct elementwise *p)
{
    const int8_t *input1 = resolve(p->input1);
    const int8_t *input2 = resolve(p->input2);
    int8_t *output = resolve(p->output);

    for (int32_t i = 0; i < p->count; i++) {
        const int32_t a =
            to_common_scale(input1[i], p->input1_zero_point, p->multiplier1, p->shift1);
        const int32_t b =
            to_common_scale(input2[i], p->input2_zero_point, p->multiplier2, p->shift2);
        output[i] = output_stage(a + b, p->multiplier, p->shift, p->output_zero_point,
                                 p->activation_min, p->activation_max);
    }
}

void sub(const struct elementwise *p)
{
    const int8_t *input1 = resolve(p->input1);
    const int8_t *input2 = resolve(p->input2);
    int8_t *output = resolve(p->output);

    for (int32_t i = 0; i < p->count; i++) {
        const int32_t a =
            to_common_scale(input1[i], p->input1_zero_point, p->multiplier1, p->shift1);
        const int32_t b =
            to_common_scale(input2[i], p->input2_zero_point, p->multiplier2, p->shift2);
        output[i] = output_stage(a - b, p->multiplier, p->shift, p->output_zero_point,
                                 p->activation_min, p->activation_max);
    }
}

void mul(const struct elementwise *p)
{
    const int8_t *input1 = resolve(p->input1);
    const int8_t *input2 = resolve(p->input2);
    int8_t *output = resolve(p->output);

    for (int32_t i = 0; i < p->count; i++) {
        const int32_t product =
            (input1[i] - p->input1_zero_point) * (input2[i] - p->input2_zero_point);
        output[i] = output_stage(product, p->multiplier, p->shift, p->output_zero_point,
                                 p->activation_min, p->activation_max);
    }
}

static inline int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline int32_t greatest(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

void average_pool_2d(const struct pool *p)
{
    const int8_t *input = resolve(p->input);
    int8_t *output = resolve(p->output);
    const struct shape ifm = {{p->batches, p->input_height, p->input_width, p->channels}};
    const struct shape ofm = {{p->batches, p->output_height, p->output_width, p->channels}};

    for (int32_t n = 0; n < p->batches; n++)
        for (int32_t oy = 0; oy < p->output_height; oy++)
            for (int32_t ox = 0; ox < p->output_width; ox++)
                for (int32_t c = 0; c < p->channels; c++) {
                    const int32_t top = oy * p->stride_y - p->pad_top;
                    const int32_t left = ox * p->stride_x - p->pad_left;
                    const int32_t y_end = least(p->filter_height, p->input_height - top);
                    const int32_t x_end = least(p->filter_width, p->input_width - left);
                    int32_t acc = 0, taps = 0;
                    for (int32_t fy = greatest(0, -top); fy < y_end; fy++)
                        for (int32_t fx = greatest(0, -left); fx < x_end; fx++) {
                            acc += input[offset(&ifm, n, top + fy, left + fx, c)];
                            taps++;
                        }
                    acc = acc > 0 ? (acc + taps / 2) / taps : (acc - taps / 2) / taps;
                    output[offset(&ofm, n, oy, ox, c)] =
                        (int8_t)clamp(acc, p->activation_min, p->activation_max);
                }
}

void max_pool_2d(const struct pool *p)
{
    const int8_t *input = resolve(p->input);
    int8_t *output = resolve(p->output);
    const struct shape ifm = {{p->batches, p->input_height, p->input_width, p->channels}};
    const struct shape ofm = {{p->batches, p->output_height, p->output_width, p->channels}};

    for (int32_t n = 0; n < p->batches; n++)
        for (int32_t oy = 0; oy < p->output_height; oy++)
            for (int32_t ox = 0; ox < p->output_width; ox++)
                for (int32_t c = 0; c < p->channels; c++) {
                    const int32_t top = oy * p->stride_y - p->pad_top;
                    const int32_t left = ox * p->stride_x - p->pad_left;
                    const int32_t y_end = least(p->filter_height, p->input_height - top);
                    const int32_t x_end = least(p->filter_width, p->input_width - left);
                    int32_t best = INT8_MIN;
                    for (int32_t fy = greatest(0, -top); fy < y_end; fy++)
                        for (int32_t fx = greatest(0, -left); fx < x_end; fx++)
                            best = greatest(best, input[offset(&ifm, n, top + fy, left + fx, c)]);
                    output[offset(&ofm, n, oy, ox, c)] =
                        (int8_t)clamp(best, p->activation_min, p->activation_max);
                }
}

void mean(const struct mean *p)
{
    const int8_t *input = resolve(p->input);
    int8_t *output = resolve(p->output);

    for (int32_t outer = 0; outer < p->outer; outer++)
        for (int32_t c = 0; c < p->inner; c++) {
            int32_t acc = 0;
            for (int32_t i = 0; i < p->count; i++)
                acc += input[(outer * p->count + i) * p->inner + c];
            acc -= p->count * p->input_zero_point;
            output[outer * p->inner + c] = output_stage(
                acc, p->multiplier, p->shift, p->output_zero_point, INT8_MIN, INT8_MAX);
        }
}

void requantize(const struct requantize *p)
{
    const int8_t *input = resolve(p->input);
    int8_t *output = resolve(p->output);

    for (int32_t i = 0; i < p->count; i++)
        output[i] = output_stage(input[i] - p->input_zero_point, p->multiplier, p->shift,
                                 p->output_zero_point, INT8_MIN, INT8_MAX);
}
