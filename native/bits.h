/* Headers that are read bit by bit; twin of slicer/rtp/codecs/bits.py. */
#ifndef SLICER_BITS_H
#define SLICER_BITS_H

#include "core.h"

/* Reads bits, the most significant ones first; `bad` once what was read is of no use. */
typedef struct bits {
    const uint8_t *data;
    size_t count, at;
    bool bad;
} bits;

/* The number that the next `count` bits are, 32 at most; of more the last 32. Behind the last bit 0,
 * and `bad` is set. */
static inline uint32_t take(bits *it, size_t count) {
    uint32_t value = 0;
    if (it->bad || count > it->count - it->at) {
        it->bad = true;
        return 0;
    }
    for (; count > 0; count--, it->at++)
        value = value << 1 | (it->data[it->at / 8] >> (7 - it->at % 8) & 1);
    return value;
}

#endif
