/* What a receiver report says of one source; twin of slicer/rtp/reception.py. */
#ifndef SLICER_RECEPTION_H
#define SLICER_RECEPTION_H

#include "core.h"

typedef struct report_block {
    uint32_t ssrc;
    uint8_t fraction_lost;
    int64_t packets_lost; /* clamped to 24 bits when written */
    uint32_t highest_sequence, jitter, lsr, dlsr;
} report_block;

typedef struct reception {
    uint32_t ssrc;
    double rate;
    bool based, reported;
    int64_t base, highest, received, expected_prior, received_prior;
    double transit, jitter;
    uint64_t report_ntp;
    double report_at;
} reception;

void reception_init(reception *it, uint32_t ssrc, double clock_rate);
void reception_restart(reception *it);
void reception_reported(reception *it, uint64_t ntp, double now);
report_block reception_report(reception *it, double now);

static inline void reception_receive(reception *it, int64_t sequence, int64_t timestamp,
                                     double arrival) {
    double transit = arrival * it->rate - (double)timestamp;
    if (!it->based) {
        it->based = true;
        it->base = it->highest = sequence;
    } else {
        it->jitter += (fabs(transit - it->transit) - it->jitter) / 16;
    }
    it->transit = transit;
    if (it->highest < sequence)
        it->highest = sequence;
    it->received++;
}

#endif
