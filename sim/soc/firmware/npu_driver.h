/* The NPU's driver. */
#ifndef NPU_DRIVER_H
#define NPU_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "image_format.h"

/* Runs a program to its end; false when the NPU stops with an error. `cycles` is the NPU's own
 * count. What the NPU wrote is visible to the CPU afterwards.
 */
bool run_npu(const struct npu *program, uint32_t *cycles);

#endif
