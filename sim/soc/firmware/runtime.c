#include "runtime.h"

#include "board.h"
#include "bytes.h"
#include "image_format.h"
#include "kernels.h"
#ifdef WITH_NPU
#include "npu_board.h"
#endif

static uint64_t read_all_cycles(void)
{
    uint32_t high, low;
    do {
        high = read_register(DEVICES_BASE + DEVICE_CYCLES_HIGH);
        low = read_cycles();
    } while (high != read_register(DEVICES_BASE + DEVICE_CYCLES_HIGH));
    return (uint64_t)high << 32 | low;
}

static uint32_t run_operator(const struct image_operator *operator, struct operator_result *result)
{
    const void *parameters = resolve(~operator->parameters);

    result->npu_cycles = 0;
    switch ((uint32_t)operator->kind) {
    case OPERATOR_CONV_2D:
        conv_2d(parameters);
        break;
    case OPERATOR_DEPTHWISE_CONV_2D:
        depthwise_conv_2d(parameters);
        break;
    case OPERATOR_FULLY_CONNECTED:
        fully_connected(parameters);
        break;
    case OPERATOR_ADD:
        add(parameters);
        break;
    case OPERATOR_SUB:
        sub(parameters);
        break;
    case OPERATOR_MUL:
        mul(parameters);
        break;
    case OPERATOR_MAXIMUM:
        maximum(parameters);
        break;
    case OPERATOR_MINIMUM:
        minimum(parameters);
        break;
    case OPERATOR_AVERAGE_POOL_2D:
        average_pool_2d(parameters);
        break;
    case OPERATOR_MAX_POOL_2D:
        max_pool_2d(parameters);
        break;
    case OPERATOR_MEAN:
        mean(parameters);
        break;
    case OPERATOR_SOFTMAX:
        softmax(parameters);
        break;
    case OPERATOR_REQUANTIZE:
        requantize(parameters);
        break;
    case OPERATOR_TABLE:
        apply_table(parameters);
        break;
    case OPERATOR_COPY:
        copy(parameters);
        break;
    case OPERATOR_FILL:
        fill(parameters);
        break;
#ifdef WITH_NPU
    case OPERATOR_NPU: {
        uint32_t npu_cycles;
        if (!run_npu(parameters, &npu_cycles))
            return EXIT_NPU_ERROR;
        result->npu_cycles = (int32_t)npu_cycles;
        break;
    }
#endif
    default:
        return EXIT_UNKNOWN_OPERATOR;
    }
    return EXIT_OK;
}

static struct results *results_header(void)
{
    return (struct results *)(uintptr_t)RESULTS_BASE;
}

static struct operator_result *results_table(void)
{
    return (struct operator_result *)(results_header() + 1);
}

static int fits(const struct image_header *header)
{
    const uint32_t room = (RESULTS_BYTES - sizeof(struct results)) / sizeof(struct operator_result);
    return (uint32_t)header->magic == IMAGE_MAGIC && (uint32_t)header->version == IMAGE_VERSION &&
           (uint32_t)header->arena_bytes <= ARENA_LIMIT && (uint32_t)header->operator_count <= room;
}

static void copy_inputs(const struct image_header *header)
{
    const struct image_input *inputs = resolve(~header->inputs);

    for (int32_t i = 0; i < header->input_count; i++)
        copy_bytes(resolve(inputs[i].target), resolve(~inputs[i].source), inputs[i].bytes);
}

/* What is done once, before the first inference of a device. */
static uint32_t prepare(const struct image_header *header)
{
#ifdef WITH_NPU
    if (!open_npu())
        return EXIT_NPU_ERROR;
#endif
    copy_inputs(header);
    return EXIT_OK;
}

static uint32_t run_operators(const struct image_header *header)
{
    const struct image_operator *operators = resolve(~header->operators);

    for (int32_t i = 0; i < header->operator_count; i++) {
        struct operator_result *result = &results_table()[i];
        result->kind = operators[i].kind;
        result->network_operator = operators[i].network_operator;
        results_header()->operator_count = i + 1;
        mark_phase(PHASE_OPERATOR + (uint32_t)i);
        const uint32_t start = read_cycles();
        const uint32_t code = run_operator(&operators[i], result);
        result->cycles = (int32_t)(read_cycles() - start);
        if (code != EXIT_OK) {
            results_header()->failed_operator = i;
            return code;
        }
    }
    return EXIT_OK;
}

uint32_t run_network(void)
{
    const struct image_header *header = resolve(~0);
    struct results *results = results_header();
    uint32_t code = EXIT_BAD_IMAGE;
    uint64_t cycles = 0;

    fill_bytes(results, 0, sizeof(*results));
    if (fits(header))
        code = prepare(header);
    if (code == EXIT_OK) {
        results->arena_bytes = header->arena_bytes;
        mark_phase(PHASE_START);
        const uint64_t start = read_all_cycles();
        code = run_operators(header);
        cycles = read_all_cycles() - start;
        mark_phase(PHASE_END);
    }
    results->magic = (int32_t)RESULTS_MAGIC;
    results->exit_code = (int32_t)code;
    results->cycles_low = (int32_t)cycles;
    results->cycles_high = (int32_t)(cycles >> 32);
    results->arena = (int32_t)ARENA_BASE;
    results->operators = (int32_t)(uintptr_t)results_table();
    return code;
}
