/* SOFTMAX in gemmlowp's fixed-point arithmetic, as TFLM's reference_ops::Softmax.
 *
 * Differences are Q5.26, exponentials Q0.31, their sum Q12.19.
 */
#include "fixed_point.h"
#include "kernels.h"
#include "runtime.h"

#define INTEGER_BITS 5
#define FRACTION_BITS (31 - INTEGER_BITS)
#define SUM_INTEGER_BITS 12
#define EXP_MINUS_EIGHTH 1895147668 /* exp(-1/8), Q0.31 */
#define ONE_THIRD 715827883         /* Q0.31 */
#define NEWTON_OFFSET 1515870810    /* 48/17, Q2.29 */
#define NEWTON_SLOPE (-1010580540)  /* -32/17, Q2.29 */

/* exp(-2**e) in Q0.31 for e = -2 to 4 */
static const int32_t exp_of_powers[] = {1672461947, 1302514674, 790015084, 290630308,
                                        39332535,   720401,     242};

static int32_t saturate(int64_t x)
{
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x;
}

/* exp(x) as Q0.31 for x <= 0 in Q5.26 */
static int32_t exp_on_negative(int32_t x)
{
    const int32_t quarter = 1 << (FRACTION_BITS - 2);
    const int32_t within = (x & (quarter - 1)) - quarter;
    const int32_t remainder = within - x;

    if (x == 0)
        return INT32_MAX;
    /* a Taylor polynomial of degree 4 around -1/8 */
    const int32_t y = shift_left(within, INTEGER_BITS) + (1 << 28);
    const int32_t y2 = high_product(y, y);
    const int32_t y3 = high_product(y2, y);
    const int32_t y4 = high_product(y2, y2);
    const int32_t tail = high_product(round_shift(y4, 2) + y3, ONE_THIRD) + y2;
    int32_t result =
        EXP_MINUS_EIGHTH + high_product(EXP_MINUS_EIGHTH, y + round_shift(tail, 1));
    for (uint32_t i = 0; i < sizeof(exp_of_powers) / sizeof(exp_of_powers[0]); i++)
        if ((uint32_t)remainder & (1u << (FRACTION_BITS - 2 + i)))
            result = high_product(result, exp_of_powers[i]);
    return result;
}

/* 1 / (1 + x) for x in Q0.31 from 0 to 1, as Q0.31 */
static int32_t one_over_one_plus(int32_t x)
{
    const int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) >> 1);
    int32_t y = NEWTON_OFFSET + high_product(half, NEWTON_SLOPE);

    for (int step = 0; step < 3; step++) {
        const int32_t error = (1 << 29) - high_product(half, y);
        y += saturate((int64_t)high_product(y, error) * 4);
    }
    return saturate((int64_t)y * 2);
}

static int32_t exponential(const struct softmax *p, int32_t difference)
{
    return exp_on_negative(multiply_by_quantized_multiplier(difference, p->multiplier, p->shift));
}

static void softmax_row(const struct softmax *p, const int8_t *input, int8_t *output)
{
    int32_t largest = INT8_MIN;
    uint32_t sum = 0;
    int32_t headroom = 0;

    for (int32_t i = 0; i < p->length; i++)
        largest = input[i] > largest ? input[i] : largest;
    for (int32_t i = 0; i < p->length; i++)
        if (input[i] - largest >= p->diff_min)
            sum += (uint32_t)round_shift(exponential(p, input[i] - largest), SUM_INTEGER_BITS);
    while ((sum << headroom) < 1u << 31)
        headroom++;
    const int32_t scale = one_over_one_plus((int32_t)((sum << headroom) - (1u << 31)));
    const int32_t exponent = SUM_INTEGER_BITS - headroom + 31 - 8;
    for (int32_t i = 0; i < p->length; i++) {
        int32_t value = INT8_MIN;
        if (input[i] - largest >= p->diff_min) {
            const int32_t exact = high_product(scale, exponential(p, input[i] - largest));
            value += round_shift(exact, exponent);
        }
        output[i] = (int8_t)clamp(value, INT8_MIN, INT8_MAX);
    }
}

void softmax(const struct softmax *p)
{
    const int8_t *input = resolve(p->input);
    int8_t *output = resolve(p->output);

    for (int32_t row = 0; row < p->rows; row++)
        softmax_row(p, input + row * p->length, output + row * p->length);
}
