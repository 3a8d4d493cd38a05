/* Twin of slicer/rtp/codecs/pcm.py: a byte is a tick (RFC 3551 4.5.2, 4.5.14). */
#include "codec.h"

static int pcm_duration(const uint8_t *payload, size_t size) {
    (void)payload;
    return size > 0 ? (int)size : -1;
}

const codec_format pcmu_format = {.name = "pcmu", .duration = pcm_duration, .granule = 1};
const codec_format pcma_format = {.name = "pcma", .duration = pcm_duration, .granule = 1};
const codec_format g722_format = {.name = "g722", .duration = pcm_duration, .granule = 1};
