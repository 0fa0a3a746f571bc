#include "npu_driver.h"

#include "npu_registers.h"

#ifndef NPU_WEAK
#if defined(__GNUC__) || defined(__clang__)
#define NPU_WEAK __attribute__((weak))
#else
#define NPU_WEAK __weak
#endif
#endif

#if defined(__GNUC__) || defined(__clang__)
#define NPU_BARRIER() __asm__ volatile("" : : : "memory")
#else
#define NPU_BARRIER() ((void)0)
#endif

#define ALIGNMENT_MASK 15u
#define ENDED (NPU_STATUS_DONE | NPU_STATUS_ERROR)

NPU_WEAK uint32_t npu_read_register(const struct npu_device *device, uint32_t offset)
{
    return *(const volatile uint32_t *)(device->registers + offset);
}

NPU_WEAK void npu_write_register(const struct npu_device *device, uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(device->registers + offset) = value;
}

NPU_WEAK uint32_t npu_bus_address(const struct npu_device *device, const void *memory)
{
    (void)device;
    return (uint32_t)(uintptr_t)memory;
}

NPU_WEAK void npu_clean_cache(const void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
    NPU_BARRIER();
}

NPU_WEAK void npu_invalidate_cache(void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
    NPU_BARRIER();
}

NPU_WEAK void npu_idle(const struct npu_device *device)
{
    (void)device;
}

int npu_open(struct npu_device *device, uintptr_t registers)
{
    if (device == NULL)
        return NPU_ERROR_ARGUMENT;
    device->registers = registers;
    device->running = 0;
    device->ended = 0;
    device->arena = NULL;
    device->arena_bytes = 0;
    device->code = NPU_CODE_NONE;
    device->command = 0;
    device->cycles = 0;
    if (npu_read_register(device, NPU_ID) != NPU_ID_VALUE)
        return NPU_ERROR_DEVICE;
    if ((npu_read_register(device, NPU_STATUS) & NPU_STATUS_BUSY) != 0)
        return NPU_ERROR_BUSY;
    npu_write_register(device, NPU_CONTROL, NPU_CONTROL_RESET);
    return NPU_OK;
}

uint32_t npu_config_id(const struct npu_device *device)
{
    return npu_read_register(device, NPU_CONFIG_ID);
}

static int inside(uint32_t offset, uint32_t bytes, size_t size)
{
    return offset <= size && bytes <= size - offset;
}

int npu_check(const struct npu_device *device, const struct npu_segment *segment, size_t bytes)
{
    size_t bindings;

    if (device == NULL || segment == NULL)
        return NPU_ERROR_ARGUMENT;
    if (((uintptr_t)segment & ALIGNMENT_MASK) != 0)
        return NPU_ERROR_ARGUMENT;
    if (bytes < sizeof(*segment) || segment->magic != NPU_SEGMENT_MAGIC ||
        segment->version != NPU_SEGMENT_VERSION || segment->bytes != bytes)
        return NPU_ERROR_SEGMENT;
    bindings = (bytes - sizeof(*segment)) / sizeof(struct npu_binding);
    if (segment->input_count > bindings || segment->output_count > bindings - segment->input_count)
        return NPU_ERROR_SEGMENT;
    if (((segment->command_offset | segment->constant_offset) & ALIGNMENT_MASK) != 0 ||
        !inside(segment->command_offset, segment->command_bytes, bytes) ||
        !inside(segment->constant_offset, segment->constant_bytes, bytes))
        return NPU_ERROR_SEGMENT;
    if (segment->config_id != npu_config_id(device))
        return NPU_ERROR_CONFIG;
    return NPU_OK;
}

static void set_region(const struct npu_device *device, uint32_t region, const void *memory,
                       uint32_t bytes)
{
    npu_write_register(device, NPU_REGION_BASE + 4u * region, npu_bus_address(device, memory));
    npu_write_register(device, NPU_REGION_SIZE + 4u * region, bytes);
}

int npu_start(struct npu_device *device, const struct npu_segment *segment, size_t bytes,
              void *arena, size_t arena_bytes)
{
    const uint8_t *start = (const uint8_t *)segment;
    const int error = npu_check(device, segment, bytes);

    if (error != NPU_OK)
        return error;
    if (device->running || (npu_read_register(device, NPU_STATUS) & NPU_STATUS_BUSY) != 0)
        return NPU_ERROR_BUSY;
    if (arena == NULL || ((uintptr_t)arena & ALIGNMENT_MASK) != 0)
        return NPU_ERROR_ARGUMENT;
    if (arena_bytes < segment->arena_bytes)
        return NPU_ERROR_ARENA;
    device->running = 1;
    device->ended = 0;
    device->arena = arena;
    device->arena_bytes = segment->arena_bytes;
    npu_clean_cache(segment, bytes);
    npu_clean_cache(arena, segment->arena_bytes);
    npu_write_register(device, NPU_COMMAND_BASE,
                       npu_bus_address(device, start + segment->command_offset));
    npu_write_register(device, NPU_COMMAND_BYTES, segment->command_bytes);
    set_region(device, NPU_REGION_CONSTANTS, start + segment->constant_offset,
               segment->constant_bytes);
    set_region(device, NPU_REGION_ARENA, arena, segment->arena_bytes);
    npu_write_register(device, NPU_IRQ_ENABLE, 1);
    NPU_BARRIER();
    npu_write_register(device, NPU_CONTROL, NPU_CONTROL_START);
    return NPU_OK;
}

void npu_interrupt(struct npu_device *device)
{
    const uint32_t status = npu_read_register(device, NPU_STATUS) & ENDED;

    npu_write_register(device, NPU_CONTROL, NPU_CONTROL_CLEAR_IRQ);
    if (status != 0)
        device->ended = status;
}

int npu_poll(struct npu_device *device)
{
    uint32_t status;

    if (device == NULL)
        return NPU_ERROR_ARGUMENT;
    if (!device->running)
        return NPU_ERROR_IDLE;
    status = device->ended;
    if (status == 0) {
        status = npu_read_register(device, NPU_STATUS) & ENDED;
        if (status == 0)
            return NPU_PENDING;
        npu_write_register(device, NPU_CONTROL, NPU_CONTROL_CLEAR_IRQ);
    }
    npu_invalidate_cache(device->arena, device->arena_bytes);
    device->cycles = npu_read_register(device, NPU_EVENT_CYCLES);
    device->running = 0;
    if ((status & NPU_STATUS_ERROR) != 0) {
        device->code = npu_read_register(device, NPU_ERROR_CODE);
        device->command = npu_read_register(device, NPU_ERROR_COMMAND);
        return NPU_ERROR_HARDWARE;
    }
    return NPU_OK;
}

int npu_wait(struct npu_device *device, uint32_t limit)
{
    int result;

    while ((result = npu_poll(device)) == NPU_PENDING) {
        if (limit == 0) {
            npu_idle(device);
        } else if (npu_read_register(device, NPU_EVENT_CYCLES) > limit) {
            return NPU_ERROR_TIMEOUT;
        }
    }
    return result;
}

int npu_run(struct npu_device *device, const struct npu_segment *segment, size_t bytes,
            void *arena, size_t arena_bytes, uint32_t limit)
{
    const int error = npu_start(device, segment, bytes, arena, arena_bytes);

    return error == NPU_OK ? npu_wait(device, limit) : error;
}

static const struct npu_binding *bindings_of(const struct npu_segment *segment)
{
    return (const struct npu_binding *)(const void *)(segment + 1);
}

static void *place(const struct npu_segment *segment, void *arena, uint32_t number, size_t *bytes)
{
    const struct npu_binding *binding = bindings_of(segment) + number;

    if (bytes != NULL)
        *bytes = binding->bytes;
    return (uint8_t *)arena + binding->offset;
}

void *npu_input(const struct npu_segment *segment, void *arena, uint32_t number, size_t *bytes)
{
    return number < segment->input_count ? place(segment, arena, number, bytes) : NULL;
}

void *npu_output(const struct npu_segment *segment, void *arena, uint32_t number, size_t *bytes)
{
    return number < segment->output_count
               ? place(segment, arena, segment->input_count + number, bytes)
               : NULL;
}

const char *npu_error_text(int error)
{
    switch (error) {
    case NPU_OK:
        return "no error";
    case NPU_PENDING:
        return "the program still runs";
    case NPU_ERROR_ARGUMENT:
        return "a null pointer, or an address that is not a multiple of 16";
    case NPU_ERROR_DEVICE:
        return "there is no NPU at this address";
    case NPU_ERROR_SEGMENT:
        return "not a compiled segment, or one of another version";
    case NPU_ERROR_CONFIG:
        return "the segment was compiled for another NPU configuration than this one";
    case NPU_ERROR_ARENA:
        return "the arena is smaller than the segment needs";
    case NPU_ERROR_BUSY:
        return "the NPU already runs a program";
    case NPU_ERROR_IDLE:
        return "no program was started";
    case NPU_ERROR_TIMEOUT:
        return "the program takes too long, and still runs";
    case NPU_ERROR_HARDWARE:
        return "the NPU stopped with an error";
    default:
        return "unknown error";
    }
}

const char *npu_code_text(uint32_t code)
{
    static const char *const texts[] = NPU_CODE_TEXTS;

    return code < sizeof(texts) / sizeof(texts[0]) ? texts[code] : "unknown code";
}
