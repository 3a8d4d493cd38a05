/* What the depacketizers are made of; for frame.c and the files of the codecs alone. */
#ifndef SLICER_FRAME_PARTS_H
#define SLICER_FRAME_PARTS_H

#include "frame.h"

/* One payload as it is pushed. */
typedef struct part {
    const uint8_t *data;
    size_t size;
    int64_t timestamp;
    bool marker, contiguous;
} part;

/* The open frame, behind the one that this push gives, if any. The limits count what the reference
 * counts: bytes and pieces of the open frame alone. */
typedef struct assembly {
    buffer bytes;
    size_t given; /* so many bytes at the front are the frame last given */
    size_t pieces;
    int64_t timestamp;
    bool open;
} assembly;

/* Begin a frame; what was open is given up. */
void assembly_begin(assembly *it, int64_t timestamp);
/* False past MAX_FRAME or MAX_PIECES, or without memory: the frame is then to be given up. */
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

/* H.264's parameter sets: the last of each id, the one noted longest ago first. */
#define MAX_SETS 64
#define MAX_SET_BYTES 4096

typedef struct parameter_set {
    uint8_t *data;
    uint16_t size, number;
    uint8_t kind;
} parameter_set;

typedef struct parameter_sets {
    parameter_set *of;
    size_t count, capacity;
} parameter_sets;

/* Note the sets of `sprop-parameter-sets`. False without memory, as with the next. */
bool parameter_sets_read(parameter_sets *it, const char *sprop);
/* Remember this NAL unit if it is a parameter set. */
bool parameter_sets_note(parameter_sets *it, const uint8_t *nal, size_t size);
/* Bytes that all sets take in Annex B; 0 while either kind is unknown. */
size_t parameter_sets_size(const parameter_sets *it);
/* Write them, SPS first, each behind its start code. */
void parameter_sets_write(const parameter_sets *it, uint8_t *out);
void parameter_sets_free(parameter_sets *it);

#define VP9_MAX_LAYERS 8

typedef struct vp9_picture {
    size_t starts[VP9_MAX_LAYERS]; /* where each layer frame begins in the open frame */
    size_t layers;
    bool keyframe;
} vp9_picture;

typedef struct av1_unit {
    size_t size, pieces; /* of the elements as they came */
    size_t fragment;     /* where the last, unfinished OBU begins in the open frame */
    bool fragmented, has_sequence, still, has_frame, key_frame;
} av1_unit;

typedef struct h264_unit {
    uint32_t kinds;   /* a bit for each kind of NAL unit in it */
    size_t head;      /* end of its second piece */
    uint8_t fragment; /* the kind of the unfinished NAL unit, or 0 */
} h264_unit;

typedef struct h264_stream {
    parameter_sets sets;
    h264_unit unit;
    int64_t timestamp;
    bool timed, marked;
    enum { MARKER_UNPROVED, MARKER_ENDS, MARKER_LIES } marker;
} h264_stream;

struct depacketizer {
    codec_name codec;
    assembly open;
    boundary boundary; /* of VP9 and AV1 */
    union {
        vp9_picture vp9;
        av1_unit av1;
        h264_stream h264;
    } as;
};

/* Of each codec. Whoever gives PUSHED_MALFORMED leaves giving up the open frame to frame.c. */
pushed vp8_push(depacketizer *it, const part *in, frame *out);
pushed vp9_push(depacketizer *it, const part *in, frame *out);
pushed h264_push(depacketizer *it, const part *in, frame *out);
pushed av1_push(depacketizer *it, const part *in, frame *out);

bool vp8_starts_keyframe(const uint8_t *payload, size_t size);
bool vp9_starts_keyframe(const uint8_t *payload, size_t size);
bool h264_starts_keyframe(const uint8_t *payload, size_t size);
bool av1_starts_keyframe(const uint8_t *payload, size_t size);

#endif
