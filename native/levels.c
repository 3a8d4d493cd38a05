/* Twin of slicer/media/levels.py: full range from limited. */
#include "levels.h"

/* What the compiler has a vector loop for, without asking how long a row is. */
#define BLOCK 64

static inline uint8_t stretched(uint8_t sample, levels of) {
    uint8_t least = sample < 16 ? 16 : sample;
    uint8_t level = least > of.greatest ? of.greatest : least;
    uint16_t wide = (uint16_t)(level * of.scale);
    return (uint8_t)((uint16_t)(wide - of.offset) >> 8);
}

void levels_stretch(levels of, const uint8_t *restrict from, uint8_t *restrict to, size_t count) {
    for (; count >= BLOCK; count -= BLOCK, from += BLOCK, to += BLOCK)
        for (size_t index = 0; index < BLOCK; index++)
            to[index] = stretched(from[index], of);
    for (size_t index = 0; index < count; index++)
        to[index] = stretched(from[index], of);
}
