// AXI4 subordinate memory: fixed latency, one beat per cycle, every order of handshakes that AXI
// allows, optional random stalls.
//
// Reads are answered in order; the first beat of a burst comes `latency` cycles after its address
// was accepted, or right behind the previous burst. A write is answered `response_latency` cycles
// after its last beat and its address. Reads and writes are independent. The model also checks the
// manager's side of the protocol.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>

// Keep in step with sim/rtl_runner/library.py.
struct Segment {
    uint64_t base;
    uint64_t size;
    uint8_t* data;
};

constexpr int kSegments = 4;

// When READY rises; in the order of sim.memory.HANDSHAKES.
enum Handshake : uint32_t {
    kEager,         // while there is room
    kAfterValid,    // in the cycle after VALID was seen, for one transfer
    kAddressFirst,  // write data when the burst's address was taken
    kDataFirst,     // a write address when all data of its burst was taken
    kTogether,      // a write address when the burst's first beat is offered, too, and with it
    kOneAtATime,    // an address when nothing of its direction is unanswered
};

enum Channel : uint32_t { kAR, kR, kAW, kW, kB };

struct Options {
    uint32_t latency;
    uint32_t response_latency;
    uint32_t handshake;
    uint32_t stall_threshold;  // a channel stalls when a 32-bit random number is below
    uint32_t seed;
    uint32_t inject;  // bit 0: fault_read is valid, bit 1: fault_write is valid
    uint32_t fault_response;
    uint32_t silent_channels;  // bit n: channel n does nothing in the cycles named below
    uint64_t silent_from, silent_until;
    uint64_t fault_read;
    uint64_t fault_write;
    Segment segments[kSegments];
};

enum Response : uint8_t { kOkay = 0, kDecodeError = 3 };

template <typename T, unsigned N>
class Ring {
  public:
    bool empty() const { return head_ == tail_; }
    bool full() const { return tail_ - head_ == N; }
    unsigned size() const { return tail_ - head_; }
    T& front() { return items_[head_ % N]; }
    void push(const T& item) { items_[tail_++ % N] = item; }
    void pop() { ++head_; }

  private:
    T items_[N];
    unsigned head_ = 0, tail_ = 0;
};

class Random {
  public:
    Random(uint32_t seed, uint32_t threshold) : threshold_(threshold) {
        state_ = (seed + 1) * 2654435761u;
        if (state_ == 0) state_ = 1;
    }
    bool stall() {
        if (threshold_ == 0) return false;
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        state_ ^= state_ << 5;
        return state_ < threshold_;
    }

  private:
    uint32_t state_, threshold_;
};

template <typename Top, unsigned kBytes>
class MemoryModel {
  public:
    explicit MemoryModel(const Options& options)
        : options_(options), random_(options.seed, options.stall_threshold) {}

    // The cycle from which on `silent_from` and `silent_until` count.
    void start(uint64_t now) { start_ = now; }

    // Look at the manager's outputs, settled before the clock edge of cycle `now`.
    void sample(const Top& top, uint64_t now) {
        read_taken_ = top.m_axi_rvalid && top.m_axi_rready;
        response_taken_ = top.m_axi_bvalid && top.m_axi_bready;
        check_stable(top, now);
        if (top.m_axi_arvalid && top.m_axi_arready) {
            check_burst("AR", top.m_axi_araddr, top.m_axi_arlen, top.m_axi_arsize,
                        top.m_axi_arburst, now);
            reads_.push({top.m_axi_araddr, top.m_axi_arlen + 1u, now + options_.latency});
        }
        if (top.m_axi_awvalid && top.m_axi_awready) {
            check_burst("AW", top.m_axi_awaddr, top.m_axi_awlen, top.m_axi_awsize,
                        top.m_axi_awburst, now);
            writes_.push({top.m_axi_awaddr, top.m_axi_awlen + 1u, 0});
        }
        if (top.m_axi_wvalid && top.m_axi_wready) {
            WriteBeat beat;
            std::memcpy(beat.data, &top.m_axi_wdata, kBytes);
            beat.strobe = top.m_axi_wstrb;
            beat.last = top.m_axi_wlast;
            beats_.push(beat);
            whole_bursts_ += beat.last;
        }
        while (!writes_.empty() && !beats_.empty()) write_beat(now);
    }

    // Set the subordinate's outputs for cycle `now`, just after the edge.
    void drive(Top& top, uint64_t now) {
        if (!top.m_axi_rvalid || read_taken_) drive_read(top, now);
        if (!top.m_axi_bvalid || response_taken_) drive_response(top, now);
        bool ar = !reads_.full(), aw = !writes_.full(), w = !beats_.full();
        switch (options_.handshake) {
            case kAfterValid:
                ar &= held_.ar;
                aw &= held_.aw;
                w &= held_.w;
                break;
            case kAddressFirst:
                w &= !writes_.empty();
                break;
            case kDataFirst:
                aw &= whole_bursts_ != 0;
                break;
            case kTogether:
                aw &= writes_.empty() && top.m_axi_awvalid;
                // a stall may have held up the address alone
                aw &= top.m_axi_wvalid || !beats_.empty();
                w &= !writes_.empty() || (top.m_axi_awvalid && top.m_axi_wvalid);
                break;
            case kOneAtATime:
                ar &= reads_.empty() && !top.m_axi_rvalid;
                aw &= outstanding_writes() == 0 && !top.m_axi_bvalid;
                break;
            default:
                break;
        }
        top.m_axi_arready = ar && !silent(kAR, now) && !random_.stall();
        top.m_axi_awready = aw && !silent(kAW, now) && !random_.stall();
        top.m_axi_wready = w && !silent(kW, now) && !random_.stall();
    }

    unsigned outstanding_reads() const { return reads_.size(); }
    unsigned outstanding_writes() const { return writes_.size() + responses_.size(); }
    // Empty while the manager keeps the protocol.
    const char* violation() const { return violation_; }
    bool violated() const { return violation_[0] != 0; }

  private:
    struct Burst {
        uint64_t address;
        uint32_t beats;
        uint64_t ready_cycle;
    };
    struct WriteBeat {
        uint8_t data[kBytes];
        uint32_t strobe;
        bool last;
    };
    struct WriteResponse {
        uint64_t ready_cycle;
        uint8_t response;
    };
    struct Held {
        bool ar = false, aw = false, w = false;
        uint64_t araddr = 0, awaddr = 0;
        uint32_t arlen = 0, awlen = 0, wstrb = 0;
        uint8_t wdata[kBytes] = {};
        bool wlast = false;
    };

    uint8_t* find(uint64_t address) {
        for (const Segment& segment : options_.segments) {
            if (address >= segment.base && address + kBytes <= segment.base + segment.size)
                return segment.data + (address - segment.base);
        }
        return nullptr;
    }

    bool silent(Channel channel, uint64_t now) const {
        const uint64_t cycle = now - start_;
        return (options_.silent_channels >> channel & 1) && cycle >= options_.silent_from &&
               cycle < options_.silent_until;
    }

    uint8_t response(bool mapped, unsigned bit, uint64_t fault, uint64_t address) const {
        if (!mapped) return kDecodeError;
        return injected(bit, fault, address) ? options_.fault_response : kOkay;
    }

    bool injected(unsigned bit, uint64_t fault, uint64_t address) const {
        return (options_.inject >> bit & 1) && fault - address < kBytes;
    }

    void drive_read(Top& top, uint64_t now) {
        top.m_axi_rvalid = 0;
        top.m_axi_rlast = 0;
        if (reads_.empty() || reads_.front().ready_cycle > now || silent(kR, now)) return;
        if (random_.stall()) return;
        Burst& burst = reads_.front();
        const uint8_t* data = find(burst.address);
        if (data)
            std::memcpy(&top.m_axi_rdata, data, kBytes);
        else
            std::memset(&top.m_axi_rdata, 0, kBytes);
        top.m_axi_rvalid = 1;
        top.m_axi_rresp = response(data, 0, options_.fault_read, burst.address);
        top.m_axi_rlast = burst.beats == 1;
        burst.address += kBytes;
        if (--burst.beats == 0) reads_.pop();
    }

    void drive_response(Top& top, uint64_t now) {
        top.m_axi_bvalid = 0;
        if (responses_.empty() || responses_.front().ready_cycle > now || silent(kB, now)) return;
        if (random_.stall()) return;
        top.m_axi_bvalid = 1;
        top.m_axi_bresp = responses_.front().response;
        responses_.pop();
    }

    void write_beat(uint64_t now) {
        Burst& burst = writes_.front();
        const WriteBeat& beat = beats_.front();
        uint8_t* data = find(burst.address);
        const uint8_t answer = response(data, 1, options_.fault_write, burst.address);
        if (answer != kOkay) {
            write_answer_ = answer;
        } else {
            for (unsigned i = 0; i < kBytes; ++i)
                if (beat.strobe >> i & 1) data[i] = beat.data[i];
        }
        const bool last = --burst.beats == 0;
        if (last != beat.last) violate("WLAST does not match AWLEN", burst.address, now);
        burst.address += kBytes;
        beats_.pop();
        if (last) {
            writes_.pop();
            --whole_bursts_;
            responses_.push({now + options_.response_latency, write_answer_});
            write_answer_ = kOkay;
        }
    }

    void check_burst(const char* channel, uint64_t address, unsigned length, unsigned size,
                     unsigned type, uint64_t now) {
        if ((1u << size) != kBytes) violate(channel, "size is not the bus width", address, now);
        if (type != 1) violate(channel, "burst is not INCR", address, now);
        if (address % kBytes) violate(channel, "address is not aligned", address, now);
        const uint64_t last = address + uint64_t(length + 1) * kBytes - 1;
        if (address / 4096 != last / 4096) violate(channel, "burst crosses 4 KiB", address, now);
    }

    // valid must not fall, and payload must not change, before ready.
    void check_stable(const Top& top, uint64_t now) {
        if (held_.ar && (!top.m_axi_arvalid || top.m_axi_araddr != held_.araddr ||
                         top.m_axi_arlen != held_.arlen))
            violate("AR", "changed before ready", held_.araddr, now);
        if (held_.aw && (!top.m_axi_awvalid || top.m_axi_awaddr != held_.awaddr ||
                         top.m_axi_awlen != held_.awlen))
            violate("AW", "changed before ready", held_.awaddr, now);
        if (held_.w && (!top.m_axi_wvalid || top.m_axi_wstrb != held_.wstrb ||
                        top.m_axi_wlast != held_.wlast ||
                        std::memcmp(&top.m_axi_wdata, held_.wdata, kBytes) != 0))
            violate("W", "changed before ready", 0, now);
        held_.ar = top.m_axi_arvalid && !top.m_axi_arready;
        held_.aw = top.m_axi_awvalid && !top.m_axi_awready;
        held_.w = top.m_axi_wvalid && !top.m_axi_wready;
        if (held_.ar) {
            held_.araddr = top.m_axi_araddr;
            held_.arlen = top.m_axi_arlen;
        }
        if (held_.aw) {
            held_.awaddr = top.m_axi_awaddr;
            held_.awlen = top.m_axi_awlen;
        }
        if (held_.w) {
            std::memcpy(held_.wdata, &top.m_axi_wdata, kBytes);
            held_.wstrb = top.m_axi_wstrb;
            held_.wlast = top.m_axi_wlast;
        }
    }

    void violate(const char* what, uint64_t address, uint64_t now) {
        violate(what, "", address, now);
    }
    void violate(const char* channel, const char* what, uint64_t address, uint64_t now) {
        if (violated()) return;
        std::snprintf(violation_, sizeof violation_, "%s %s (address 0x%llx, clock %llu)", channel,
                      what, (unsigned long long)address, (unsigned long long)now);
    }

    Options options_;
    Random random_;
    Ring<Burst, 64> reads_, writes_;
    Ring<WriteBeat, 1024> beats_;
    Ring<WriteResponse, 64> responses_;
    Held held_;
    uint64_t start_ = 0;
    unsigned whole_bursts_ = 0;  // of which all data was taken, but not all is written
    bool read_taken_ = false, response_taken_ = false;
    uint8_t write_answer_ = kOkay;
    char violation_[160] = {};
};
