/* Registers of the bench SoC. A native build provides the two functions itself. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#include "memory_map.h"

#ifdef __riscv
static inline uint32_t read_register(uint32_t address)
{
    return *(volatile const uint32_t *)address;
}

static inline void write_register(uint32_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}
#else
uint32_t read_register(uint32_t address);
void write_register(uint32_t address, uint32_t value);
#endif

static inline uint32_t read_cycles(void)
{
    return read_register(DEVICES_BASE + DEVICE_CYCLES_LOW);
}

static inline void mark_phase(uint32_t phase)
{
    write_register(DEVICES_BASE + DEVICE_PHASE, phase);
}

#endif
