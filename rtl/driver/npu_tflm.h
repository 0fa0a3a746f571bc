/* The custom operator `NPU` of TensorFlow Lite for Microcontrollers.
 *
 *     static npu_device npu;
 *     npu_open(&npu, 0x90000000);
 *     npu_tflm_use(&npu);
 *     resolver.AddCustom("NPU", npu_tflm_registration());
 *
 * The operators of a compiled file share one device, one after the other.
 */
#ifndef NPU_TFLM_H
#define NPU_TFLM_H

#include "npu_driver.h"
#include "tensorflow/lite/micro/kernels/kernel_util.h"

#if defined(NPU_TFLM_NAMESPACE)
using NPU_TFLM_NAMESPACE::TFLMRegistration;
#endif

/* The device that all operators run on; it must be open. */
void npu_tflm_use(npu_device *device);

/* Cycles of the NPU after which an operator fails; 0, the default, waits for ever. */
void npu_tflm_limit(uint32_t cycles);

/* What the resolver's AddCustom takes. */
const TFLMRegistration *npu_tflm_registration();

#endif
