/* The height of pictures in an H.264 sequence parameter set; twin of slicer/rtp/codecs/sps.py. */
#ifndef SLICER_SPS_H
#define SLICER_SPS_H

#include "core.h"

/* Pixels, cropped, of this NAL unit's pictures; 0 where they cannot be read. */
int sps_height(const uint8_t *nal, size_t size);

#endif
