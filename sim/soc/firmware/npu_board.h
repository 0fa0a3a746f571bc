/* The NPU of the bench SoC, on the driver in rtl/driver. */
#ifndef NPU_BOARD_H
#define NPU_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "image_format.h"

/* Finds and resets it; false when it is not there. */
bool open_npu(void);

/* Runs a segment to its end; false when the driver or the NPU refuses it. `cycles` is the NPU's own
 * count. What the NPU wrote is visible to the CPU afterwards.
 */
bool run_npu(const struct npu *parameters, uint32_t *cycles);

#endif
