// Stands in for zlib's header where Verilator's FST writer includes it, so that waves need no development package.
//
// The writer keeps whichever is smaller, the compressed data or the plain. This "compression" is never smaller, so the
// plain data, which the format marks as such, is what is written.
#pragma once

#include <cstring>

typedef unsigned char Bytef;
typedef unsigned long uLong;
typedef unsigned long uLongf;
enum { Z_OK = 0, Z_BUF_ERROR = -5 };

static inline uLong compressBound(uLong size) { return size; }

static inline int compress2(Bytef* target, uLongf* target_size, const Bytef* source, uLong size, int) {
    if (*target_size < size) return Z_BUF_ERROR;
    if (size > 0) std::memcpy(target, source, size);
    *target_size = size;
    return Z_OK;
}
