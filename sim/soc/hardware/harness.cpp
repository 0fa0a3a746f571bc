// Runs the Verilated bench SoC behind a C interface, for ctypes.

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "Vsoc.h"
#include "verilated.h"
#include "verilated_syms.h"

// The structures that cross the interface; keep in step with sim/soc/library.py.
extern "C" {

struct Marker {
    uint64_t cycle;
    uint32_t value;
    uint32_t reserved;
};

struct State {
    uint64_t cycles;
    uint64_t markers;
    uint64_t console_bytes;
    uint32_t exit_code;
    uint32_t trapped;
    uint32_t trap_address;
    uint32_t fault_address;
};

enum RunStatus : int32_t { kRunning = 0, kExited = 1, kFault = 2 };
}

namespace {

constexpr int kMemories = 3;
constexpr int kResetCycles = 8;

// Word offsets of the devices that make events; see devices.v.
enum EventKind : uint32_t { kConsole = 0, kExit = 1, kMarker = 4, kTrap = 6 };

class Harness {
  public:
    explicit Harness(uint32_t wait_states) : top_(&context_, "soc") {
        top_.wait_states = wait_states;
        top_.rst = 1;
        top_.clk = 0;
        top_.eval();
        for (int i = 0; i < kMemories; ++i) {
            const std::string name = "soc.soc.memories[" + std::to_string(i) + "].storage";
            const VerilatedScope* scope = context_.scopeFind(name.c_str());
            VerilatedVar* words = scope ? scope->varFind("words") : nullptr;
            if (!words) return;
            memories_[i] = static_cast<uint8_t*>(words->datap());
            sizes_[i] = words->totalSize();
            std::memset(memories_[i], 0, sizes_[i]);
        }
    }
    ~Harness() { top_.final(); }

    uint8_t* memory(int index, uint64_t* size) {
        *size = sizes_[index];
        return memories_[index];
    }

    void reset() {
        for (int i = 0; i < kResetCycles; ++i) step();
        top_.rst = 0;
        top_.eval();
        clock_ = 0;
    }

    int32_t run(uint64_t cycles) {
        for (const uint64_t end = clock_ + cycles; clock_ < end;) {
            step();
            if (top_.event_valid && note()) return kExited;
            if (top_.fault_valid) return kFault;
        }
        return kRunning;
    }

    void state(State* out) const {
        *out = State{};
        out->cycles = clock_;
        out->markers = markers_.size();
        out->console_bytes = console_.size();
        out->exit_code = exit_code_;
        out->trapped = trapped_;
        out->trap_address = trap_address_;
        out->fault_address = top_.fault_address;
    }
    const Marker* markers() const { return markers_.data(); }
    const char* console() const { return console_.data(); }

  private:
    void step() {
        top_.clk = 1;
        top_.eval();
        top_.clk = 0;
        top_.eval();
        ++clock_;
    }

    bool note() {
        switch (top_.event_kind) {
            case kConsole: console_.push_back(static_cast<char>(top_.event_data)); break;
            case kMarker: markers_.push_back({clock_, top_.event_data, 0}); break;
            case kTrap:
                trapped_ = 1;
                trap_address_ = top_.event_data;
                break;
            case kExit: exit_code_ = top_.event_data; return true;
        }
        return false;
    }

    VerilatedContext context_;
    Vsoc top_;
    uint8_t* memories_[kMemories] = {};
    uint64_t sizes_[kMemories] = {};
    uint64_t clock_ = 0;
    uint32_t exit_code_ = 0, trapped_ = 0, trap_address_ = 0;
    std::vector<Marker> markers_;
    std::string console_;
};

Harness* harness(void* handle) { return static_cast<Harness*>(handle); }

}  // namespace

extern "C" {

void* soc_create(uint32_t wait_states) { return new Harness(wait_states); }
void soc_destroy(void* handle) { delete harness(handle); }
// Null when the design has no such memory.
void* soc_memory(void* handle, int32_t index, uint64_t* size) {
    return harness(handle)->memory(index, size);
}
void soc_reset(void* handle) { harness(handle)->reset(); }
int32_t soc_run(void* handle, uint64_t cycles) { return harness(handle)->run(cycles); }
void soc_state(void* handle, State* state) { harness(handle)->state(state); }
const void* soc_markers(void* handle) { return harness(handle)->markers(); }
const void* soc_console(void* handle) { return harness(handle)->console(); }
}
