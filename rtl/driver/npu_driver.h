/* Driver of the NPU: portable C99, no dependency, no allocation, no global state.
 *
 * A program is a `struct npu_segment` (npu_segment.h): commands, weights, and where inputs and
 * outputs lie in an arena, which the caller provides. A device runs one program at a time.
 *
 *     static struct npu_device npu;
 *     npu_open(&npu, 0x90000000);
 *     ... write the inputs to npu_input(segment, arena, i) ...
 *     int error = npu_run(&npu, segment, segment_bytes, arena, arena_bytes, 0);
 *     ... read the outputs from npu_output(segment, arena, i) ...
 *
 * What depends on the system are the functions at the end; each has a default that may be replaced.
 */
#ifndef NPU_DRIVER_H
#define NPU_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "npu_segment.h"

#ifdef __cplusplus
extern "C" {
#endif

enum npu_error {
    NPU_OK = 0,
    NPU_PENDING,         /* the program still runs; no error */
    NPU_ERROR_ARGUMENT,  /* a null pointer, or an address that is not aligned */
    NPU_ERROR_DEVICE,    /* there is no NPU at this address */
    NPU_ERROR_SEGMENT,   /* what was given is no segment, or another version */
    NPU_ERROR_CONFIG,    /* the segment was compiled for another configuration */
    NPU_ERROR_ARENA,     /* the arena is smaller than the segment needs */
    NPU_ERROR_BUSY,      /* another program runs on this device */
    NPU_ERROR_IDLE,      /* nothing was started */
    NPU_ERROR_TIMEOUT,   /* it takes too long, and still runs */
    NPU_ERROR_HARDWARE   /* the NPU stopped: see `code` and `command` of the device */
};

struct npu_device {
    uintptr_t registers;     /* where the registers are */
    volatile int running;    /* a program was started, and its end not yet seen */
    volatile uint32_t ended; /* STATUS as the interrupt handler found it; 0 before */
    void *arena;             /* of the program that runs */
    size_t arena_bytes;
    uint32_t code;           /* of the last NPU_ERROR_HARDWARE: NPU_CODE_... */
    uint32_t command;        /* the index of the command that caused it */
    uint32_t cycles;         /* of the last program */
};

/* Find the NPU whose registers are at this address, and reset it. A program that someone else has
 * started must have ended: NPU_ERROR_BUSY. */
int npu_open(struct npu_device *device, uintptr_t registers);

/* The configuration id of this hardware. */
uint32_t npu_config_id(const struct npu_device *device);

/* Whether a segment of so many bytes can run on this device; NPU_OK or the reason why not. */
int npu_check(const struct npu_device *device, const struct npu_segment *segment, size_t bytes);

/* Start a program; returns at once. The arena holds the inputs, and needs an alignment of 16. */
int npu_start(struct npu_device *device, const struct npu_segment *segment, size_t bytes,
              void *arena, size_t arena_bytes);

/* NPU_PENDING while the program runs, then once its result: NPU_OK or an error. */
int npu_poll(struct npu_device *device);

/* Wait for the end of the program. `limit` are cycles of the NPU after which waiting ends with
 * NPU_ERROR_TIMEOUT; 0 waits for ever, in npu_idle, which may sleep until an interrupt. A program
 * cannot be stopped from outside: after a timeout it still runs, and one may wait again. The NPU
 * itself ends what cannot go on, a silent bus (register BUS_TIMEOUT) or commands that wait for each
 * other. */
int npu_wait(struct npu_device *device, uint32_t limit);

/* Start and wait. */
int npu_run(struct npu_device *device, const struct npu_segment *segment, size_t bytes,
            void *arena, size_t arena_bytes, uint32_t limit);

/* Call it from the interrupt's service routine: it takes the interrupt back. A system that only
 * polls needs none. */
void npu_interrupt(struct npu_device *device);

/* Where inputs and outputs lie in the arena; null beyond the last one. `bytes` may be null. */
void *npu_input(const struct npu_segment *segment, void *arena, uint32_t number, size_t *bytes);
void *npu_output(const struct npu_segment *segment, void *arena, uint32_t number, size_t *bytes);

/* One line for people. */
const char *npu_error_text(int error);
const char *npu_code_text(uint32_t code);

/* ---- What depends on the system. Define one of these to replace the default. ---- */

/* Access to a register; by default volatile, at its address. */
uint32_t npu_read_register(const struct npu_device *device, uint32_t offset);
void npu_write_register(const struct npu_device *device, uint32_t offset, uint32_t value);

/* The address of memory as the NPU's bus has it; by default the pointer itself. */
uint32_t npu_bus_address(const struct npu_device *device, const void *memory);

/* Data caches: write back before the NPU reads, and forget before the CPU reads what the NPU wrote.
 * By default barriers of the compiler only. */
void npu_clean_cache(const void *memory, size_t bytes);
void npu_invalidate_cache(void *memory, size_t bytes);

/* Called again and again while the program runs. An interrupt must end it. By default it returns. */
void npu_idle(const struct npu_device *device);

#ifdef __cplusplus
}
#endif

#endif
