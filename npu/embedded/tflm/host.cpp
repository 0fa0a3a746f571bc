// The operator `NPU` within the `tflite-micro` wheel, and a simulator behind the driver's registers.
//
// The wheel looks an operator's registerer up by name and hands it its resolver, whose class it does
// not export; what is needed of it, a table of kernels and their number, is found through the two
// virtual functions that search it, and checked through them afterwards.

#include <cstdint>
#include <cstring>

#include "npu_tflm.h"

namespace {

using Registration = tflite::micro::TFLMRegistration;

uint32_t (*read_register)(uint32_t offset) = nullptr;
void (*write_register)(uint32_t offset, uint32_t value) = nullptr;
npu_device device;

// bus addresses have 32 bits, pointers here have not: they are numbered
constexpr uint32_t kPointers = 8, kShift = 28;
const void *pointers[kPointers];
uint32_t next_pointer = 0;

constexpr int32_t kCustom = 32, kFirst = 101, kSecond = 0;
constexpr unsigned kRoom = 200, kLeast = 100;

struct Resolver {
    void **functions;

    const Registration *Find(int32_t code) const
    {
        using Function = const Registration *(*)(const Resolver *, int32_t);
        return reinterpret_cast<Function>(functions[0])(this, code);
    }
    const Registration *Find(const char *name) const
    {
        using Function = const Registration *(*)(const Resolver *, const char *);
        return reinterpret_cast<Function>(functions[1])(this, name);
    }
};

}  // namespace

extern "C" uint32_t npu_read_register(const npu_device *, uint32_t offset)
{
    return read_register(offset);
}

extern "C" void npu_write_register(const npu_device *, uint32_t offset, uint32_t value)
{
    write_register(offset, value);
}

extern "C" uint32_t npu_bus_address(const npu_device *, const void *memory)
{
    const uint32_t number = next_pointer++ % kPointers;
    pointers[number] = memory;
    return (number + 1) << kShift;
}

// The memory at a bus address that the driver has written to a register.
extern "C" const void *npu_host_pointer(uint32_t address)
{
    const uint32_t number = (address >> kShift) - 1;
    return number < kPointers ? pointers[number] : nullptr;
}

// Put a simulator behind the registers, and open the device; an `npu_error`.
extern "C" int npu_host_connect(uint32_t (*read)(uint32_t), void (*write)(uint32_t, uint32_t),
                                uint32_t limit)
{
    read_register = read;
    write_register = write;
    npu_tflm_use(&device);
    npu_tflm_limit(limit);
    return npu_open(&device, 0);
}

extern "C" npu_device *npu_host_device()
{
    return &device;
}

extern "C" bool npu_tflm_register(Resolver *resolver)
{
    const Registration *first = resolver->Find(kFirst), *second = resolver->Find(kSecond);
    if (reinterpret_cast<const char *>(first) != reinterpret_cast<const char *>(resolver) + 8 ||
        second != first + 1)
        return false;
    Registration *table = const_cast<Registration *>(first);
    unsigned count = 0;
    std::memcpy(&count, table + kRoom, sizeof(count));
    if (count < kLeast || count >= kRoom)
        return false;
    table[count] = *npu_tflm_registration();
    table[count].builtin_code = kCustom;
    table[count].custom_name = "NPU";
    const unsigned more = count + 1;
    std::memcpy(table + kRoom, &more, sizeof(more));
    return resolver->Find("NPU") == table + count;
}
