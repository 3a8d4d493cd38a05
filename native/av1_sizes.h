/* The heights that AV1's headers tell; twin of slicer/rtp/codecs/av1_sizes.py. */
#ifndef SLICER_AV1_SIZES_H
#define SLICER_AV1_SIZES_H

#include "core.h"

/* What of a sequence header is needed to read the frame headers that follow it. */
typedef struct av1_sequence {
    bool known; /* false: it cannot be read */
    bool reduced;
    uint8_t width_bits, height_bits;
    uint8_t screen_content, integer_motion;
    uint8_t order_bits; /* of an order hint; 0 without them */
    int height;         /* pixels of the largest frames */
} av1_sequence;

av1_sequence av1_read_sequence(const uint8_t *body, size_t size);
/* Pixels of the frame that a frame header begins; 0 where it is that of a frame before it, or cannot
 * be read. `sequence` is a known one. */
int av1_read_height(const uint8_t *body, size_t size, const av1_sequence *sequence);

#endif
