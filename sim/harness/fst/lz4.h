// Stands in for lz4's header where Verilator's FST writer includes it, so that waves need no development package.
//
// It writes the LZ4 block format with one run of literals and no match, which every reader takes: a token whose high four
// bits are the run's length, or 15 and then the rest of the length in bytes of 255 until one is less, then the bytes.
#pragma once

#include <cstring>

static inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

static inline int LZ4_compress_default(const char* source, char* target, int size, int capacity) {
    if (capacity < LZ4_compressBound(size)) return 0;
    char* out = target;
    *out++ = static_cast<char>((size < 15 ? size : 15) << 4);
    if (size >= 15) {
        int rest = size - 15;
        for (; rest >= 255; rest -= 255) *out++ = static_cast<char>(255);
        *out++ = static_cast<char>(rest);
    }
    if (size > 0) std::memcpy(out, source, size);
    return static_cast<int>(out - target) + size;
}
