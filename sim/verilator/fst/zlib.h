// What Verilator's FST writer needs of zlib, without compressing: stored blocks.
// Formats: RFC 1950 (header, Adler-32), RFC 1951 section 3.2.4 (stored blocks).
// A window of waves is small; in return, no library has to be installed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

using Bytef = unsigned char;
using uLong = unsigned long;
using uLongf = unsigned long;

constexpr int Z_OK = 0;
constexpr int Z_BUF_ERROR = -5;
constexpr uLong ZLIB_STORED_MAX = 65535;

inline uLong compressBound(uLong size) {
    // two bytes of header, five for each block, four of checksum
    return size + 5 * (size / ZLIB_STORED_MAX + 1) + 6;
}

inline int compress2(
    Bytef* target, uLongf* capacity, const Bytef* source, uLong size, int /*level*/) {
    if (*capacity < compressBound(size)) return Z_BUF_ERROR;
    Bytef* out = target;
    *out++ = 0x78;
    *out++ = 0x01;
    uint32_t low = 1, high = 0;
    for (uLong i = 0; i < size; ++i) {
        low = (low + source[i]) % 65521;
        high = (high + low) % 65521;
    }
    uLong done = 0;
    do {
        const uLong part = std::min(size - done, ZLIB_STORED_MAX);
        *out++ = done + part == size;
        for (const uLong number : {part, ~part}) {
            *out++ = number & 0xFF;
            *out++ = number >> 8 & 0xFF;
        }
        std::memcpy(out, source + done, part);
        out += part;
        done += part;
    } while (done < size);
    const uint32_t checksum = high << 16 | low;
    for (int shift = 24; shift >= 0; shift -= 8) *out++ = checksum >> shift & 0xFF;
    *capacity = out - target;
    return Z_OK;
}
