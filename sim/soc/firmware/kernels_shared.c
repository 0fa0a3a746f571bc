/* Operators that every kernel set has in common: they move bytes or look them up. */
#include "bytes.h"
#include "fixed_point.h"
#include "kernels.h"
#include "runtime.h"

void maximum(const struct elementwise *p)
{
    const int8_t *a = resolve(p->input1);
    const int8_t *b = resolve(p->input2);
    int8_t *output = resolve(p->output);

    for (int32_t i = 0; i < p->count; i++)
        output[i] = a[i] > b[i] ? a[i] : b[i];
}

void minimum(const struct elementwise *p)
{
    const int8_t *a = resolve(p->input1);
    const int8_t *b = resolve(p->input2);
    int8_t *output = resolve(p->output);

    for (int32_t i = 0; i < p->count; i++)
        output[i] = a[i] < b[i] ? a[i] : b[i];
}

void apply_table(const struct table *p)
{
    const int8_t *input = resolve(p->input);
    const int8_t *table = (const int8_t *)resolve(p->table) + 128;
    int8_t *output = resolve(p->output);
    const int32_t count = p->count;

    for (int32_t i = 0; i < count; i++)
        output[i] = table[input[i]];
}

static void copy_line(const struct copy *p, const int8_t *input, int8_t *output)
{
    const int32_t last = COPY_RANK - 1;
    const int32_t count = p->extent[last];
    const int32_t input_step = p->input_stride[last];
    const int32_t output_step = p->output_stride[last];

    if (input_step == 1 && output_step == 1) {
        copy_bytes(output, input, count);
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        *output = *input;
        input += input_step;
        output += output_step;
    }
}

void copy(const struct copy *p)
{
    const int8_t *input = resolve(p->input);
    int8_t *output = resolve(p->output);
    int32_t index[COPY_RANK - 1] = {0};
    int32_t axis;

    do {
        copy_line(p, input, output);
        for (axis = COPY_RANK - 2; axis >= 0; axis--) {
            input += p->input_stride[axis];
            output += p->output_stride[axis];
            if (++index[axis] < p->extent[axis])
                break;
            input -= p->input_stride[axis] * p->extent[axis];
            output -= p->output_stride[axis] * p->extent[axis];
            index[axis] = 0;
        }
    } while (axis >= 0);
}

void fill(const struct fill *p)
{
    fill_bytes(resolve(p->output), (int8_t)p->value, p->bytes);
}
