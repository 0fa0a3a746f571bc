// Inputs: those of the segment, and the segment itself (`struct npu_segment`) as the last one.
// Outputs: those of the segment, and its arena, memory for the time of a run, as the last one.

#include "npu_tflm.h"

#include <cstring>

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_log.h"

namespace tflite {
// newer releases have their types in `tflite::micro`, older ones in the global namespace
namespace micro {
namespace {

npu_device *device = nullptr;
uint32_t limit = 0;

size_t SizeOf(const TfLiteEvalTensor *tensor)
{
    size_t size = 1;
    for (int i = 0; i < tensor->dims->size; i++)
        size *= static_cast<size_t>(tensor->dims->data[i]);
    return size;
}

const npu_segment *SegmentOf(const TfLiteEvalTensor *tensor)
{
    return static_cast<const npu_segment *>(tensor->data.data);
}

TfLiteStatus Fail(const char *text)
{
    MicroPrintf("NPU: %s", text);
    return kTfLiteError;
}

TfLiteStatus Prepare(TfLiteContext *context, TfLiteNode *node)
{
    const int inputs = node->inputs->size - 1, outputs = node->outputs->size - 1;
    if (device == nullptr)
        return Fail("no device: call npu_tflm_use first");
    if (inputs < 1 || outputs < 1)
        return Fail("the operator lacks inputs or outputs; the file was edited");
    const TfLiteEvalTensor *carried = GetEvalInput(context, node, inputs);
    if (carried == nullptr || SegmentOf(carried) == nullptr)
        return Fail("the segment is no constant; the file was edited");
    const npu_segment *segment = SegmentOf(carried);
    const int error = npu_check(device, segment, SizeOf(carried));
    if (error == NPU_ERROR_CONFIG) {
        MicroPrintf("NPU: the file was compiled for configuration id %x, this NPU has %x",
                    static_cast<unsigned>(segment->config_id),
                    static_cast<unsigned>(npu_config_id(device)));
        return kTfLiteError;
    }
    if (error != NPU_OK)
        return Fail(npu_error_text(error));
    if (segment->input_count != static_cast<uint32_t>(inputs) ||
        segment->output_count != static_cast<uint32_t>(outputs))
        return Fail("the segment has other inputs or outputs; the file was edited");
    size_t bytes = 0;
    for (int i = 0; i < inputs; i++) {
        npu_input(segment, nullptr, static_cast<uint32_t>(i), &bytes);
        if (bytes != SizeOf(GetEvalInput(context, node, i)))
            return Fail("an input has another size than was compiled; the file was edited");
    }
    for (int i = 0; i < outputs; i++) {
        npu_output(segment, nullptr, static_cast<uint32_t>(i), &bytes);
        if (bytes != SizeOf(GetEvalOutput(context, node, i)))
            return Fail("an output has another size than was compiled; the file was edited");
    }
    if (SizeOf(GetEvalOutput(context, node, outputs)) < segment->arena_bytes)
        return Fail(npu_error_text(NPU_ERROR_ARENA));
    return kTfLiteOk;
}

TfLiteStatus Invoke(TfLiteContext *context, TfLiteNode *node)
{
    const int inputs = node->inputs->size - 1, outputs = node->outputs->size - 1;
    const TfLiteEvalTensor *carried = GetEvalInput(context, node, inputs);
    const npu_segment *segment = SegmentOf(carried);
    const TfLiteEvalTensor *scratch = GetEvalOutput(context, node, outputs);
    void *arena = scratch->data.data;
    size_t bytes = 0;
    for (int i = 0; i < inputs; i++) {
        void *to = npu_input(segment, arena, static_cast<uint32_t>(i), &bytes);
        std::memcpy(to, GetEvalInput(context, node, i)->data.data, bytes);
    }
    const int error = npu_run(device, segment, SizeOf(carried), arena, SizeOf(scratch), limit);
    if (error == NPU_ERROR_HARDWARE) {
        MicroPrintf("NPU: command %u: %s", static_cast<unsigned>(device->command),
                    npu_code_text(device->code));
        return kTfLiteError;
    }
    if (error != NPU_OK)
        return Fail(npu_error_text(error));
    for (int i = 0; i < outputs; i++) {
        const void *from = npu_output(segment, arena, static_cast<uint32_t>(i), &bytes);
        std::memcpy(GetEvalOutput(context, node, i)->data.data, from, bytes);
    }
    return kTfLiteOk;
}

const TFLMRegistration *Registration()
{
    static const TFLMRegistration registration = RegisterOp(nullptr, Prepare, Invoke);
    return &registration;
}

void Use(npu_device *chosen)
{
    device = chosen;
}

void Limit(uint32_t cycles)
{
    limit = cycles;
}

}  // namespace
}  // namespace micro
}  // namespace tflite

void npu_tflm_use(npu_device *device)
{
    tflite::micro::Use(device);
}

void npu_tflm_limit(uint32_t cycles)
{
    tflite::micro::Limit(cycles);
}

const TFLMRegistration *npu_tflm_registration()
{
    return tflite::micro::Registration();
}
