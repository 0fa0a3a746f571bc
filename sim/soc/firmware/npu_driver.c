#include "npu_driver.h"

#include "board.h"
#include "npu_registers.h"
#include "runtime.h"

static inline void wait_for_interrupt(void)
{
#ifdef __riscv
    /* the start-up code has enabled the interrupt without letting it be taken: wfi just ends */
    __asm__ volatile("wfi" : : : "memory");
#endif
}

static inline void invalidate_data_cache(void)
{
#ifdef CORE_VEXRISCV
    /* writes go through this cache, so only stale lines have to go */
    __asm__ volatile(".word 0x500F\n nop\n nop\n nop" : : : "memory");
#else
    __asm__ volatile("" : : : "memory");
#endif
}

static inline uint32_t read_npu(uint32_t offset)
{
    return read_register(NPU_BASE + offset);
}

static inline void write_npu(uint32_t offset, uint32_t value)
{
    write_register(NPU_BASE + offset, value);
}

static inline uint32_t address_of(int32_t reference)
{
    return (uint32_t)(uintptr_t)resolve(reference);
}

bool run_npu(const struct npu *program, uint32_t *cycles)
{
    const uint32_t ended = NPU_STATUS_DONE | NPU_STATUS_ERROR;
    uint32_t status;

    write_npu(NPU_COMMAND_BASE, address_of(program->commands));
    write_npu(NPU_COMMAND_BYTES, (uint32_t)program->command_bytes);
    write_npu(NPU_REGION_BASE_CONSTANTS, address_of(program->constants));
    write_npu(NPU_REGION_SIZE_CONSTANTS, (uint32_t)program->constant_bytes);
    write_npu(NPU_REGION_BASE_ARENA, address_of(program->arena));
    write_npu(NPU_REGION_SIZE_ARENA, (uint32_t)program->arena_bytes);
    write_npu(NPU_IRQ_ENABLE, 1);
    __asm__ volatile("" : : : "memory");
    write_npu(NPU_CONTROL, NPU_CONTROL_START);
    while (((status = read_npu(NPU_STATUS)) & ended) == 0)
        wait_for_interrupt();
    write_npu(NPU_CONTROL, NPU_CONTROL_CLEAR_IRQ);
    invalidate_data_cache();
    *cycles = read_npu(NPU_EVENT_CYCLES);
    return (status & NPU_STATUS_ERROR) == 0;
}
