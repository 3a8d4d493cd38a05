/* What H.264 and H.265 share: NAL units from RTP, joined to access units; twin of
 * slicer/rtp/codecs/nal.py and access_unit.py. */
#ifndef SLICER_NAL_H
#define SLICER_NAL_H

#include "depacketizer.h"

#define BIT(kind) ((uint64_t)1 << (kind))

/* What they differ in; the sets of kinds are bits. */
typedef struct nal_format {
    uint8_t header;      /* bytes of a NAL unit's header */
    uint8_t shift, mask; /* how its kind lies in the first byte */
    uint8_t fewest, most; /* the kinds of NAL units; the next ones are of payloads alone */
    uint8_t aggregation, fragmentation;
    uint8_t delimiter;
    uint8_t leading; /* of the parameter sets, the one that nothing but a delimiter comes before */
    uint64_t sets, slices, keyframes, skipped;
    /* The id of a parameter set. False where it cannot be read. */
    bool (*number)(const uint8_t *nal, size_t size, uint16_t *number);
} nal_format;

static inline uint8_t nal_kind(const nal_format *format, uint8_t header) {
    return header >> format->shift & format->mask;
}

/* The ue(v) at the head of the data (ITU-T H.264 9.1, H.265 9.2). False where it is cut off or
 * absurd. */
bool exp_golomb(const uint8_t *data, size_t size, uint16_t *number);

/* Parameter sets, the last of each id, the one noted longest ago first; twin of
 * slicer/rtp/codecs/parameter_sets.py. */
#define MAX_SETS 64
#define MAX_SET_BYTES 4096

typedef struct parameter_set {
    uint8_t *data;
    uint16_t size, number;
    uint8_t kind;
} parameter_set;

typedef struct parameter_sets {
    const nal_format *format;
    parameter_set *of;
    size_t count, capacity;
    bool described; /* by the description, all kinds, and none has come in packets */
} parameter_sets;

/* Note the sets of a session description. False without memory, as with the next. */
bool parameter_sets_read(parameter_sets *it, const char *sprop);
/* Remember this NAL unit if it is a parameter set. */
bool parameter_sets_note(parameter_sets *it, const uint8_t *nal, size_t size);
/* Bytes that all sets take in Annex B; 0 while one of the kinds is unknown. */
size_t parameter_sets_size(const parameter_sets *it);
/* Write them, in the order they refer to each other, each behind its start code. */
void parameter_sets_write(const parameter_sets *it, uint8_t *out);
void parameter_sets_free(parameter_sets *it);

typedef struct access_unit {
    uint64_t kinds; /* a bit for each kind of NAL unit in it */
    size_t head;    /* end of its second piece */
    int fragment;   /* the kind of the unfinished NAL unit, or -1 */
} access_unit;

typedef struct nal_stream {
    depacketizer base;
    parameter_sets sets;
    access_unit unit;
    int64_t timestamp;
    bool timed, marked;
    enum { MARKER_UNPROVED, MARKER_ENDS, MARKER_LIES } marker;
} nal_stream;

bool nal_begin(depacketizer *it, const nal_format *format, const char *sprop);
void nal_end(depacketizer *it);
pushed nal_push(depacketizer *it, const part *in, frame *out);
/* The last NAL unit of this kind that is wholly inside a well-formed payload, or NULL. */
const uint8_t *nal_last(const nal_format *format, const uint8_t *payload, size_t size, uint8_t kind,
                        size_t *length);
bool nal_starts_keyframe(const nal_format *format, const uint8_t *payload, size_t size);

#endif
