#include "npu_board.h"

#include "board.h"
#include "npu_driver.h"
#include "runtime.h"

static struct npu_device device;

bool open_npu(void)
{
    return npu_open(&device, NPU_BASE) == NPU_OK;
}

bool run_npu(const struct npu *parameters, uint32_t *cycles)
{
    const int error =
        npu_run(&device, resolve(parameters->segment), (size_t)parameters->segment_bytes,
                resolve(parameters->arena), (size_t)parameters->arena_bytes, 0);

    *cycles = device.cycles;
    return error == NPU_OK;
}

#ifdef __riscv
void npu_idle(const struct npu_device *waiting)
{
    (void)waiting;
    /* the start-up code has enabled the interrupt without letting it be taken: wfi just ends */
    __asm__ volatile("wfi" : : : "memory");
}
#else
uint32_t npu_read_register(const struct npu_device *opened, uint32_t offset)
{
    return read_register((uint32_t)opened->registers + offset);
}

void npu_write_register(const struct npu_device *opened, uint32_t offset, uint32_t value)
{
    write_register((uint32_t)opened->registers + offset, value);
}
#endif

#ifdef CORE_VEXRISCV
void npu_invalidate_cache(void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
    /* writes go through this cache, so only stale lines have to go: all of them at once */
    __asm__ volatile(".word 0x500F\n nop\n nop\n nop" : : : "memory");
}
#endif
