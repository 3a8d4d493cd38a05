/* Redundant audio (RFC 2198); twin of slicer/rtp/red.py, which has the theory of operation. */
#ifndef SLICER_RED_H
#define SLICER_RED_H

#include "packet.h"

#define RED_MAX_REDUNDANT 9

typedef struct red {
    packet primary;
    packet repeated[RED_MAX_REDUNDANT]; /* the newest first */
    size_t count;
} red;

/* The packets in `it`, on its bytes; false where it is malformed. */
bool red_undo(const packet *it, uint8_t payload_type, red *out);

#endif
