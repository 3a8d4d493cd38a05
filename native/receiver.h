/* One anchor's media: packets of its streams in, cuts out; twin of slicer/slicing/receiver.py. For
 * bundle.c alone. */
#ifndef SLICER_RECEIVER_H
#define SLICER_RECEIVER_H

#include "reporter.h"
#include "track.h"

/* Of the first stream of a slot. */
typedef struct track {
    uint8_t slot;
    size_t at; /* the index of its stream */
    union {
        audio_track audio;
        video_track video;
    } as;
} track;

typedef struct receiver {
    uint64_t anchor; /* the caller's number for it */
    counters counters;
    const activity *activity; /* the connection's */
    sender_clock sender;
    stream **streams;
    bool *asking; /* for each stream, whether it needs a keyframe */
    size_t count;
    track tracks[SLOTS]; /* in the order of their streams */
    size_t track_count;
    int64_t epochs[SLOTS]; /* of the last track of a slot that has ended; -2: none */
    reporter reporter;
    ordereds *scratch;
    double deadline; /* as it was when something last happened to it */
    double heard;    /* when an RTP packet last came; -NEVER: none has */
    bool touched;    /* since it was last run */
} receiver;

/* `scratch` (room for packets in order), `transport` and `activity` are the bundle's, and outlive it.
 * NULL where there is no memory. */
receiver *receiver_new(uint64_t anchor, uint32_t ssrc, ordereds *scratch,
                       transport_reporter *transport, const activity *activity);
void receiver_free(receiver *it);
/* These sections are sent from now on; one whose `parameters` are at the same address goes on as it
 * is. The others' may be freed when this and the demultiplexer have let go of their streams: they are
 * moved to `ended`, room for `it->count` of them, which is given back as their number. */
size_t receiver_set_sections(receiver *it, const parameters *const *sections, size_t count,
                             stream **ended, outputs *out);
/* Frees a stream that has ended. */
void receiver_end_stream(stream *ended);
void receiver_attach(receiver *it, uint64_t track, uint8_t slot, const slice_spec *spec,
                     outputs *out);
void receiver_detach(receiver *it, uint64_t track, uint8_t slot, outputs *out);
void receiver_handle_timer(receiver *it, double now, outputs *out);
void receiver_flush(receiver *it, outputs *out);
double receiver_deadline(const receiver *it); /* NEVER: none */

/* Take a packet of one of the streams, its arrival set. */
static inline void receiver_insert(receiver *it, stream *stream, packet *packet) {
    it->touched = true;
    reporter_arrived(&it->reporter, packet->arrival);
    stream_insert(stream, packet);
}

/* Native only; see bundle.h. */
double receiver_expects(const receiver *it, double now);

#endif
