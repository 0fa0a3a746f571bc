// Runs the Verilated NPU with its memory and register bus behind a C interface, for ctypes.
//
// NPU_BUS_BYTES: width of the memory bus, given by the build, as is whether it can write waves.

#include <cstdint>
#include <cstdlib>

#include "Vnpu.h"
#include "memory_model.h"
#include "verilated.h"

#if VM_TRACE_FST
#include "verilated_fst_c.h"
using WaveFile = VerilatedFstC;
#elif VM_TRACE_VCD
#include "verilated_vcd_c.h"
using WaveFile = VerilatedVcdC;
#else
// A build without waves.
struct WaveFile {
    bool isOpen() const { return false; }
    void dump(uint64_t) {}
    void close() {}
};
#endif

namespace {

constexpr int kEngines = 3;
constexpr int kRegisterTimeout = 1000;
constexpr int kResetCycles = 4;
constexpr int kWaveLevels = 99;
constexpr uint64_t kCycleTime = 1000;  // a cycle of the waves, in the file's unit

}  // namespace

// The structures that cross the interface; keep in step with sim/rtl_runner/library.py.
extern "C" {

struct TraceEntry {
    uint64_t cycle;
    uint16_t command;
    uint8_t engine;
    uint8_t start;
    uint32_t reserved;
};

struct EngineState {
    uint64_t started, completed;
    uint64_t start_cycle, done_cycle;
    uint32_t last_started, last_completed;
};

struct State {
    uint64_t cycles;
    uint32_t interrupt;
    uint32_t outstanding_reads, outstanding_writes;
    uint32_t reserved;
    EngineState engines[kEngines];
};

enum RunStatus : int32_t { kRunning = 0, kInterrupt = 1, kProtocol = 2 };
}

namespace {

class Harness {
  public:
    explicit Harness(const Options& options) : top_(prepared(context_), "npu"), memory_(options) {
        top_.rst = 1;
        top_.clk = 0;
        top_.eval();
        for (int i = 0; i < kResetCycles; ++i) step();
        top_.rst = 0;
        top_.eval();
        // the NPU registers its reset
        for (int i = 0; i < kResetCycles; ++i) step();
    }
    ~Harness() {
        waves_.close();
        top_.final();
    }

    int32_t run(uint64_t cycles) {
        for (uint64_t end = clock_ + cycles; clock_ < end; step()) {
            if (top_.irq) return kInterrupt;
            if (memory_.violated()) return kProtocol;
        }
        return top_.irq ? kInterrupt : kRunning;
    }

    // The write that starts the NPU is cycle 0. False when the write is not accepted in time, or answered with an error.
    bool write_register(uint32_t address, uint32_t value) {
        top_.s_axil_awaddr = address;
        top_.s_axil_awvalid = 1;
        top_.s_axil_wdata = value;
        top_.s_axil_wstrb = 0xF;
        top_.s_axil_wvalid = 1;
        top_.s_axil_bready = 1;
        top_.eval();
        for (int i = 0; i < kRegisterTimeout; ++i) {
            const bool address_taken = top_.s_axil_awvalid && top_.s_axil_awready;
            const bool data_taken = top_.s_axil_wvalid && top_.s_axil_wready;
            const bool answered = top_.s_axil_bvalid;
            const bool okay = top_.s_axil_bresp == kOkay;
            if (data_taken && starting_) {
                starting_ = false;
                started_ = true;
                start_clock_ = clock_;
                memory_.start(clock_);
            }
            step();
            if (address_taken) top_.s_axil_awvalid = 0;
            if (data_taken) top_.s_axil_wvalid = 0;
            if (answered) top_.s_axil_bready = 0;
            top_.eval();
            if (answered) return okay;
        }
        return false;
    }

    bool read_register(uint32_t address, uint32_t* value) {
        top_.s_axil_araddr = address;
        top_.s_axil_arvalid = 1;
        top_.s_axil_rready = 1;
        top_.eval();
        for (int i = 0; i < kRegisterTimeout; ++i) {
            const bool address_taken = top_.s_axil_arvalid && top_.s_axil_arready;
            const bool answered = top_.s_axil_rvalid;
            const bool okay = top_.s_axil_rresp == kOkay;
            *value = top_.s_axil_rdata;
            step();
            if (address_taken) top_.s_axil_arvalid = 0;
            if (answered) top_.s_axil_rready = 0;
            top_.eval();
            if (answered) return okay;
        }
        return false;
    }

    bool start(uint32_t address, uint32_t value) {
        starting_ = true;
        trace_count_ = 0;
        for (EngineState& engine : engines_) engine = EngineState{};
        return write_register(address, value);
    }

    void trace(TraceEntry* entries, uint64_t capacity) {
        trace_ = entries;
        trace_capacity_ = capacity;
        trace_count_ = 0;
    }
    uint64_t trace_count() const { return trace_count_; }

    // Write the waves of the cycles first to last after START; false when it cannot.
    bool waves(const char* path, uint64_t first, uint64_t last) {
#if VM_TRACE
        top_.trace(&waves_, kWaveLevels);
        waves_.open(path);
        first_wave_ = first;
        last_wave_ = last;
#endif
        return waves_.isOpen();
    }

    void state(State* out) const {
        *out = State{};
        out->cycles = clock_ - start_clock_;
        out->interrupt = top_.irq;
        out->outstanding_reads = memory_.outstanding_reads();
        out->outstanding_writes = memory_.outstanding_writes();
        for (int i = 0; i < kEngines; ++i) out->engines[i] = engines_[i];
    }
    const char* violation() const { return memory_.violation(); }

  private:
    void step() {
        memory_.sample(top_, clock_);
        if (top_.trace_start | top_.trace_done) note();
        top_.clk = 1;
        top_.eval();
        ++clock_;
        memory_.drive(top_, clock_);
        if (waves_.isOpen()) {
            top_.eval();
            dump(0);
        }
        top_.clk = 0;
        top_.eval();
        if (waves_.isOpen()) dump(kCycleTime / 2);
    }

    static VerilatedContext* prepared(VerilatedContext& context) {
        context.traceEverOn(VM_TRACE);
        return &context;
    }

    void dump(uint64_t phase) {
        const uint64_t cycle = clock_ - start_clock_;
        if (!started_ || cycle < first_wave_) return;
        if (cycle > last_wave_)
            waves_.close();
        else
            waves_.dump(cycle * kCycleTime + phase);
    }

    void note() {
        const uint16_t indices[kEngines] = {top_.trace_index_load, top_.trace_index_compute,
                                            top_.trace_index_store};
        for (int i = 0; i < kEngines; ++i) {
            EngineState& engine = engines_[i];
            if (top_.trace_done >> i & 1) {
                ++engine.completed;
                engine.last_completed = indices[i];
                engine.done_cycle = clock_ - start_clock_;
                record(i, indices[i], false);
            }
            if (top_.trace_start >> i & 1) {
                ++engine.started;
                engine.last_started = indices[i];
                engine.start_cycle = clock_ - start_clock_;
                record(i, indices[i], true);
            }
        }
    }

    void record(int engine, uint16_t command, bool start) {
        if (trace_count_ < trace_capacity_)
            trace_[trace_count_] = {clock_ - start_clock_, command, uint8_t(engine), start, 0};
        ++trace_count_;
    }

    VerilatedContext context_;
    Vnpu top_;
    MemoryModel<Vnpu, NPU_BUS_BYTES> memory_;
    uint64_t clock_ = 0, start_clock_ = 0;
    bool starting_ = false, started_ = false;
    WaveFile waves_;
    uint64_t first_wave_ = 0, last_wave_ = 0;
    EngineState engines_[kEngines] = {};
    TraceEntry* trace_ = nullptr;
    uint64_t trace_capacity_ = 0, trace_count_ = 0;
};

Harness* harness(void* handle) { return static_cast<Harness*>(handle); }

}  // namespace

extern "C" {

void* npu_create(const Options* options) { return new Harness(*options); }
void npu_destroy(void* handle) { delete harness(handle); }

int32_t npu_run(void* handle, uint64_t cycles) { return harness(handle)->run(cycles); }

int32_t npu_write_register(void* handle, uint32_t address, uint32_t value) {
    return harness(handle)->write_register(address, value);
}
int32_t npu_read_register(void* handle, uint32_t address, uint32_t* value) {
    return harness(handle)->read_register(address, value);
}
int32_t npu_start(void* handle, uint32_t address, uint32_t value) {
    return harness(handle)->start(address, value);
}

void npu_trace(void* handle, TraceEntry* entries, uint64_t capacity) {
    harness(handle)->trace(entries, capacity);
}
uint64_t npu_trace_count(void* handle) { return harness(handle)->trace_count(); }

int32_t npu_waves(void* handle, const char* path, uint64_t first, uint64_t last) {
    return harness(handle)->waves(path, first, last);
}

void npu_state(void* handle, State* state) { harness(handle)->state(state); }
const char* npu_violation(void* handle) { return harness(handle)->violation(); }
}
