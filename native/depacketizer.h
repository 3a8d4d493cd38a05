/* Payloads in order become whole frames: what all video codecs are made of; twin of
 * slicer/rtp/codecs/assembly.py. */
#ifndef SLICER_DEPACKETIZER_H
#define SLICER_DEPACKETIZER_H

#include "codec.h"

#define MAX_FRAME (4 * 1024 * 1024)
#define MAX_PIECES 32768

/* The open frame, behind the one that this push gives, if any. The limits count what the reference
 * counts: bytes and pieces of the open frame alone. */
typedef struct assembly {
    buffer bytes;
    size_t given; /* so many bytes at the front are the frame last given */
    size_t pieces;
    int64_t timestamp;
    bool open, starved; /* starved: there was no memory for the packet last pushed */
} assembly;

/* Begin a frame; what was open is given up. */
void assembly_begin(assembly *it, int64_t timestamp);
/* Room for so many bytes more, and bytes without a limit; false without memory (`starved`). */
bool assembly_reserve(assembly *it, size_t more);
bool assembly_append(assembly *it, const void *data, size_t size);
/* False past MAX_FRAME or MAX_PIECES, or without memory (`starved`): the frame is to be given up. */
bool assembly_add(assembly *it, const void *piece, size_t size);
void assembly_drop(assembly *it);
/* The open frame is whole: describe it in `out`, but for its address. */
pushed assembly_give(assembly *it, bool keyframe, frame *out);

static inline size_t assembly_size(const assembly *it) { return it->bytes.size - it->given; }
static inline uint8_t *assembly_data(const assembly *it) { return it->bytes.data + it->given; }

/* Whether a packet is known to be the first of its frame, by the packets around it. */
typedef struct boundary {
    int64_t timestamp;
    bool known, marked;
} boundary;

bool boundary_passed(boundary *it, const part *in);

/* One for each stream and codec; the head of every codec's own state. */
struct depacketizer {
    const codec_format *format;
    int height; /* pixels that are enough: VideoDepacketizer.height */
    assembly open;
};

/* `codec` is a readable one of video. NULL without memory. */
depacketizer *depacketizer_new(const codec *codec);
void depacketizer_free(depacketizer *it); /* NULL is let pass */
pushed depacketizer_push(depacketizer *it, const uint8_t *payload, size_t size, int64_t timestamp,
                         bool marker, bool contiguous, frame *out);
/* Native only, before a stream sleeps: gives back the memory that is not needed to go on, the bytes
 * of the frame last given among it. What is pushed later gives the same. NULL is let pass. */
void depacketizer_rest(depacketizer *it);

#endif
