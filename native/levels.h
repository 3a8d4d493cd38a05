/* Levels of a picture's samples; twin of slicer/media/levels.py. */
#ifndef SLICER_LEVELS_H
#define SLICER_LEVELS_H

#include <stddef.h>
#include <stdint.h>

/* 16 becomes the least level and *greatest* 255; *scale* is what one level becomes, in 1/256, and
 * *offset* what is taken off, the rounding in it. What a product less the offset has over 16 bits is
 * dropped, as numpy does; for JFIF's ranges that is nothing. */
typedef struct levels {
    uint8_t greatest;
    uint16_t scale, offset;
} levels;

void levels_stretch(levels of, const uint8_t *from, uint8_t *to, size_t count);

#endif
