/* Our side of a connection's RTCP; twin of slicer/rtp/reporter.py, and of what it uses of rtcp.py,
 * reports.py, feedback.py and transport_feedback.py. */
#ifndef SLICER_REPORTER_H
#define SLICER_REPORTER_H

#include "stream.h"

#define TRANSPORT_MAX_PACKETS 500

typedef struct transport_arrival {
    int64_t sequence;
    double arrival;
} transport_arrival;

typedef struct reporter {
    counters *counters;
    uint32_t ssrc;
    stream *streams;
    size_t stream_count;
    char cname[24]; /* "slicer-%08x" of the SSRC */
    double report_at, arrivals_at; /* NEVER: not set */
    transport_arrival *arrivals;   /* TRANSPORT_MAX_PACKETS of them, made when first needed */
    size_t arrival_count;
    bool has_next_arrival;
    int64_t next_arrival;
    unwrapper transport_sequences;
    uint32_t feedback_count, fir_count;
    bool has_transport_cc;
    uint8_t transport_cc[256]; /* whether this extension id is a transport-wide number */
    bool keyframe_was_asked;
    uint32_t keyframe_ssrc;
    double keyframe_asked;
} reporter;

/* `streams` and `counters` outlive it. */
void reporter_init(reporter *it, uint32_t ssrc, stream *streams, size_t stream_count,
                   counters *counters);
void reporter_free(reporter *it);
/* An RTP packet of any stream came. */
void reporter_arrived(reporter *it, const packet *packet);
/* The peer's RTCP, decrypted. */
void reporter_receive(reporter *it, const uint8_t *compound, size_t size, double now);
/* Append the compound due now to `out`, byte for byte the reference's; true where there is one.
 * `keyframes`: whether each stream, by its number, needs a keyframe. */
bool reporter_handle_timer(reporter *it, const bool *keyframes, double now, buffer *out);
double reporter_deadline(const reporter *it);

static inline bool is_rtcp(const uint8_t *data, size_t size) {
    return size >= 4 && data[0] >> 6 == 2 && data[1] >= 192 && data[1] <= 223;
}

#endif
