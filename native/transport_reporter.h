/* Acknowledges every packet of a connection to the sender's congestion control; twin of
 * slicer/rtp/rtcp/transport_reporter.py. */
#ifndef SLICER_TRANSPORT_REPORTER_H
#define SLICER_TRANSPORT_REPORTER_H

#include "core.h"
#include "rtcp.h"

#define TRANSPORT_MAX_PACKETS 500

typedef struct transport_arrival {
    int64_t sequence;
    double arrival;
} transport_arrival;

typedef struct transport_reporter {
    counters *counters;
    uint32_t ssrc;
    bool is_agreed; /* whether any section takes the feedback; set by the owner */
    double arrivals_at; /* NEVER: not set */
    transport_arrival *arrivals; /* TRANSPORT_MAX_PACKETS of them, made when first needed */
    size_t arrival_count;
    bool has_next;
    int64_t next;
    unwrapper sequences;
    uint32_t feedback_count;
} transport_reporter;

/* `counters` outlives it. */
void transport_reporter_init(transport_reporter *it, uint32_t ssrc, counters *counters);
void transport_reporter_free(transport_reporter *it);
/* As `transport_reporter_arrived`, wherever the packet is in the order. */
void transport_reporter_note(transport_reporter *it, uint16_t number, double arrival);
/* Write the feedback due now, if any; `media_ssrc`: any source of the connection, or 0. */
void transport_reporter_write(transport_reporter *it, uint32_t media_ssrc, double now,
                              rtcp_writer *to);

/* A packet with this number came; nearly all of them in order. */
static inline void transport_reporter_arrived(transport_reporter *it, uint16_t number,
                                              double arrival) {
    size_t count = it->arrival_count;
    if (count > 0 && count < TRANSPORT_MAX_PACKETS) {
        int64_t sequence = unwrapper_peek(&it->sequences, 16, number);
        if (sequence > it->arrivals[count - 1].sequence) {
            unwrapper_move(&it->sequences, sequence);
            it->arrivals[count] = (transport_arrival){sequence, arrival};
            it->arrival_count = count + 1;
            return;
        }
    }
    transport_reporter_note(it, number, arrival);
}

static inline bool transport_reporter_is_due(const transport_reporter *it, double now) {
    return it->arrivals_at <= now;
}

#endif
