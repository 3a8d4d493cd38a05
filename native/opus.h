#ifndef SLICER_OPUS_H
#define SLICER_OPUS_H

#include <stdint.h>

/* Samples at 48 kHz of one frame under this TOC byte (RFC 6716 3.1), for the tests. */
int opus_frame_size(uint8_t toc);

#endif
