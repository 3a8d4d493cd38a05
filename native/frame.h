/* Payloads in order become whole frames; twins of slicer/rtp/{vp8,vp9,h264,av1,assembly,opus,pcm}.py.
 */
#ifndef SLICER_FRAME_H
#define SLICER_FRAME_H

#include "stream.h"

#define MAX_FRAME (4 * 1024 * 1024)
#define MAX_PIECES 32768

/* One access unit as a decoder takes it; the bytes are the depacketizer's until its next call. */
typedef struct frame {
    int64_t timestamp;
    const uint8_t *data;
    size_t size;
    bool keyframe;
} frame;

typedef enum pushed {
    PUSHED_NOTHING,
    PUSHED_FRAME,     /* `out` is written */
    PUSHED_MALFORMED, /* what the reference raises ValueError for; also where there is no memory */
} pushed;

typedef struct depacketizer depacketizer;

/* One for each stream and codec (VP8, VP9, H264 or AV1). NULL for another, or without memory. */
depacketizer *depacketizer_new(const codec *codec);
void depacketizer_free(depacketizer *it); /* NULL is let pass */
pushed depacketizer_push(depacketizer *it, const uint8_t *payload, size_t size, int64_t timestamp,
                         bool marker, bool contiguous, frame *out);
/* Native only, before a stream sleeps: gives back the memory that is not needed to go on, the bytes
 * of the frame last given among it. What is pushed later gives the same. NULL is let pass. */
void depacketizer_rest(depacketizer *it);

/* Whether a payload, looked at alone, begins a keyframe; never fails. */
bool starts_keyframe(codec_name codec, const uint8_t *payload, size_t size);

/* RTP ticks that an audio payload lasts; -1 where it is malformed. */
int audio_duration(codec_name codec, const uint8_t *payload, size_t size);
/* RTP ticks of the shortest filling there is: opus 120, the others 1. */
int audio_granule(codec_name codec);
/* RFC 6716 3.1, for the tests. */
int opus_frame_size(uint8_t toc);

#endif
