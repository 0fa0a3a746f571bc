/* Declarations of TensorFlow Lite for Microcontrollers, as far as the operator `NPU` needs them.
 *
 * No package ships TFLM's headers; these name what the `tflite-micro` wheel exports, so that the
 * operator can be loaded into it. Firmware is compiled with TFLM's own headers.
 */
#ifndef TENSORFLOW_LITE_C_COMMON_H_
#define TENSORFLOW_LITE_C_COMMON_H_

#include <cstddef>
#include <cstdint>

namespace tflite {
namespace micro {

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };

struct TfLiteContext;

struct TfLiteIntArray {
    int size;
    int data[];
};

union TfLitePtrUnion {
    void *data;
};

struct TfLiteEvalTensor {
    TfLitePtrUnion data;
    TfLiteIntArray *dims;
    int type;
};

struct TfLiteNode {
    TfLiteIntArray *inputs;
    TfLiteIntArray *outputs;
};

}  // namespace micro
}  // namespace tflite

#endif
