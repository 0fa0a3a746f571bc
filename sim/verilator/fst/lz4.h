// What Verilator's FST writer needs of LZ4, without compressing: a block of literals only.
// Format: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
// A window of waves is small; in return, no library has to be installed.
#pragma once

#include <cstring>

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

inline int LZ4_compress_default(const char* source, char* target, int size, int capacity) {
    if (capacity < LZ4_compressBound(size)) return 0;
    char* out = target;
    int rest = size;
    // the token's upper half is the number of literals; 15 means that more bytes add to it
    if (rest < 15) {
        *out++ = static_cast<char>(rest << 4);
    } else {
        *out++ = static_cast<char>(15 << 4);
        for (rest -= 15; rest >= 255; rest -= 255) *out++ = static_cast<char>(255);
        *out++ = static_cast<char>(rest);
    }
    std::memcpy(out, source, size);
    return static_cast<int>(out - target) + size;
}
