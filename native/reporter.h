/* What we report and ask for about one anchor's streams; twin of slicer/rtp/rtcp/reporter.py, and of
 * what it uses of reports.py and feedback.py. */
#ifndef SLICER_REPORTER_H
#define SLICER_REPORTER_H

#include "audio.h"
#include "stream.h"
#include "transport_reporter.h"

typedef struct reporter {
    counters *counters;
    uint32_t ssrc;
    transport_reporter *transport;
    stream **streams; /* set and replaced by the owner */
    size_t stream_count;
    char cname[24];   /* "slicer-%08x" of the SSRC */
    double report_at; /* NEVER: nothing came yet */
    uint32_t fir_count;
    bool keyframe_was_asked;
    uint32_t keyframe_ssrc;
    double keyframe_asked;
} reporter;

/* `transport`, which is the connection's, and `counters` outlive it. */
void reporter_init(reporter *it, uint32_t ssrc, transport_reporter *transport, counters *counters);
/* The body of a sender report, whole. */
void reporter_receive(reporter *it, const uint8_t *body, double now);
/* Whether there is nothing to say, as at most ticks: then nothing need be written. */
bool reporter_is_idle(const reporter *it, const bool *keyframes, double now);
/* Add the compounds due now, one for each source, byte for byte the reference's. `keyframes`: whether
 * each stream, by its index, needs a keyframe. */
void reporter_handle_timer(reporter *it, const bool *keyframes, double now, outputs *out);
/* The SSRC of the first stream with a source; 0 where there is none. */
uint32_t reporter_media_ssrc(const reporter *it);

/* An RTP packet of any stream came. */
static inline void reporter_arrived(reporter *it, double arrival) {
    if (it->report_at == NEVER)
        it->report_at = arrival;
}

static inline double reporter_deadline(const reporter *it) { return it->report_at; }

#endif
