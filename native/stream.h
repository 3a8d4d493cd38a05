/* One m-line's packets, from the wire into order; twin of slicer/rtp/stream.py, which has the theory of
 * operation.
 *
 * Memory contract: `stream_insert` takes over a packet whose payload still lies in the receive buffer.
 * `stream_drain` moves it to `out`, whose owner frees it. So a batch ends with a drain, before the
 * buffer is written again; between batches a stream holds only copies (the ring, the candidates).
 */
#ifndef SLICER_STREAM_H
#define SLICER_STREAM_H

#include "candidates.h"
#include "layers.h"
#include "mapping.h"
#include "nack.h"
#include "packet.h"
#include "reception.h"
#include "ring.h"

#define STREAM_MAX_RETIRED 16

/* What is known of one SSRC. */
typedef struct source {
    uint32_t ssrc;
    unwrapper sequences, timestamps;
    reception reception;
    bool has_nacks;
    nack_list nacks;
    ring ring;
    double last_arrival;
} source;

/* A packet in its place; `mapper` is a reference. */
typedef struct ordered {
    packet packet;
    const codec *codec;
    mapper *mapper;
    int64_t epoch;
    bool contiguous;
} ordered;

typedef struct ordereds {
    ordered *of;
    size_t count, capacity;
} ordereds;

void ordereds_clear(ordereds *it); /* frees packets, releases mappers, keeps the room */
void ordereds_free(ordereds *it);

typedef struct stream {
    const parameters *parameters;
    counters *counters;
    layers layers; /* of use where there are rids */
    sender_clock *sender;
    size_t place; /* in the sender clock */
    void *owner;  /* the caller's, who sets it */
    bool asleep, nack, has_source;
    double until; /* media time in ticks, or infinity */
    int64_t epoch;
    mapper *mapper; /* a reference */
    source source;  /* valid where has_source */
    const codec *codec;
    double back;
    int64_t last; /* media time of the last packet in order */
    candidates candidates;
    uint32_t retired[STREAM_MAX_RETIRED + 1]; /* oldest first */
    size_t retired_count;
    ordereds given_up;
    turns turns; /* scratch */
} stream;

/* `parameters`, `counters` and `sender` outlive the stream. False where there is no memory. */
bool stream_init(stream *it, const parameters *parameters, counters *counters,
                 sender_clock *sender);
void stream_free(stream *it);
/* Takes over a parsed packet, its arrival set; its bytes must live until `stream_drain`. */
void stream_insert(stream *it, packet *packet);
/* Append what is in its place to `out`. */
void stream_drain(stream *it, double now, ordereds *out);
void stream_flush(stream *it, ordereds *out);
void stream_doze(stream *it, double until);
void stream_wake(stream *it);
/* Wire sequence numbers to ask for again now, room for NACK_MAX_MISSING; gives their number. */
size_t stream_missing(stream *it, double now, uint16_t *missing);
double stream_deadline(stream *it);

/* Native only, for packets that need not even be decrypted: true where inserting this packet would
 * do nothing but count it as asleep (and note it for the reports). Nothing is changed.
 *
 * It must foresee exactly what `stream_insert` does with a stream that sleeps. Where it says true too
 * often, a packet that should wake the stream, or begin an epoch, is lost unread; where too seldom,
 * packets are decrypted for nothing. tests/native holds it to the reference, which inserts them all. */
bool stream_would_sleep(const stream *it, const packet *packet);

#endif
