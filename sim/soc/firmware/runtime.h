/* Runs the network image. */
#ifndef RUNTIME_H
#define RUNTIME_H

#include <stdint.h>

#include "memory_map.h"

/* The address of an operand: a reference >= 0 counts from the arena, ~reference from the image. */
static inline void *resolve(int32_t reference)
{
    const uint32_t address =
        reference >= 0 ? ARENA_BASE + (uint32_t)reference : IMAGE_BASE + ~(uint32_t)reference;
    return (void *)(uintptr_t)address;
}

/* Copies the inputs, runs all operators, fills the results; returns one of EXIT_*. */
uint32_t run_network(void);

#endif
