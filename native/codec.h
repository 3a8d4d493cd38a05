/* What a codec is to the packet path: a row of functions. Each codec's file defines its own row,
 * codecs.c gathers them. Twin of slicer/rtp/codecs/frame.py and of the rows' classes beside it. */
#ifndef SLICER_CODEC_H
#define SLICER_CODEC_H

#include "core.h"

/* One access unit as a decoder takes it; the bytes are the depacketizer's until its next call. */
typedef struct frame {
    int64_t timestamp;
    const uint8_t *data;
    size_t size;
    bool keyframe;
    uint8_t orientation; /* as in `packet`; who puts packets together sets it */
} frame;

typedef enum pushed {
    PUSHED_NOTHING,
    PUSHED_FRAME,     /* `out` is written */
    PUSHED_BARE,      /* as PUSHED_FRAME: a keyframe whose parameter sets are unknown, no bytes */
    PUSHED_MALFORMED, /* what the reference raises ValueError for; also where there is no memory */
    PUSHED_UNSUPPORTED, /* likewise, of what VideoFormat.unsupported is true for */
} pushed;

/* One payload as it is pushed. */
typedef struct part {
    const uint8_t *data;
    size_t size;
    int64_t timestamp;
    bool marker, contiguous;
} part;

typedef struct depacketizer depacketizer;

/* How to read a codec's payloads. Audio has `duration` and `granule`, video the others. */
typedef struct codec_format {
    const char *name; /* as in a session description, in lower case */
    /* RTP ticks that a payload lasts; -1 where it is malformed. */
    int (*duration)(const uint8_t *payload, size_t size);
    int granule; /* RTP ticks of the shortest filling there is: holes are multiples of it */
    /* Bytes of a stream's state, the first of which are a `depacketizer`; all begin as zero. */
    size_t state;
    /* Where there is more to a state than its bytes. `sprop`: the parameter sets of the session
     * description, base64 with commas between. False without memory; `end` is called all the same. */
    bool (*begin)(depacketizer *it, const char *sprop);
    void (*end)(depacketizer *it);
    /* Whoever gives PUSHED_MALFORMED leaves giving up the open frame to the caller. */
    pushed (*push)(depacketizer *it, const part *in, frame *out);
    /* Whether a payload, looked at alone, begins a keyframe. */
    bool (*starts_keyframe)(const uint8_t *payload, size_t size);
    /* Pixels of the pictures, where a keyframe begins in this payload and tells; else 0. NULL where it
     * is not read. */
    int (*height)(const uint8_t *payload, size_t size);
} codec_format;

/* One payload format of a session. Its identity is its address, as the reference's is the object's. */
typedef struct codec {
    const codec_format *format; /* NULL: none that we can read */
    uint32_t clock_rate;
    uint32_t index;    /* for the caller: which of his codecs it is */
    const char *sprop; /* its parameter sets as `begin` takes them, or "" */
} codec;

static inline bool codec_is_readable(const codec *it, bool video) {
    return it->format != NULL && (it->format->push != NULL) == video;
}

#endif
