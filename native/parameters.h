/* What was negotiated for one m-line; twin of slicer/rtp/parameters.py. */
#ifndef SLICER_PARAMETERS_H
#define SLICER_PARAMETERS_H

#include "codec.h"
#include "keyframe_requests.h"

#define MAX_LAYERS 8 /* of simulcast, in one m-line */
#define MAX_NAMED_SSRCS 16

enum { /* what the sender obeys */
    FEEDBACK_NACK = 1,
    FEEDBACK_PLI = 2,
    FEEDBACK_FIR = 4,
    FEEDBACK_REMB = 8,
    FEEDBACK_TRANSPORT_CC = 16,
};

/* The name of a layer, of `size` bytes. */
typedef struct rid {
    const char *text;
    size_t size;
} rid;

/* The place of a track among those of its anchor: a kind and a role. */
enum { SLOT_VIDEO = 1, SLOT_AUX = 2, SLOTS = 4 };

typedef struct parameters {
    bool video;
    bool aux; /* the role of its track */
    const codec *codecs[128]; /* by payload type */
    int16_t rtx[128];         /* the payload type it repeats, or -1 */
    int16_t red[128];         /* the payload type of its blocks (RFC 2198), or -1 */
    unsigned feedback;
    /* RFC 8285 ids of header extensions; -1: none. A description may map all 14 ids of a one-byte header
     * to one of them. */
    int transport_cc_ids[14], mid_ids[14], rid_ids[14], orientation_ids[14], level_ids[14];
    const char *mid; /* of mid_size bytes; of none where the section has no name */
    size_t mid_size;
    rid rids[MAX_LAYERS];
    size_t rid_count; /* 0: no simulcast */
    uint32_t ssrcs[MAX_NAMED_SSRCS]; /* those that the sender named (RFC 5576) */
    size_t ssrc_count;
    uint32_t max_bitrate; /* bit/s that the sender is asked to stay below; 0: it is not */
    keyframe_requests *requests; /* shared with other connections, and outlives this; NULL: not */
} parameters;

static inline uint8_t slot_of(const parameters *it) {
    return (uint8_t)((it->video ? SLOT_VIDEO : 0) | (it->aux ? SLOT_AUX : 0));
}

#endif
