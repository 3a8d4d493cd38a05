#include "reception.h"

void reception_init(reception *it, uint32_t ssrc, double clock_rate) {
    *it = (reception){.ssrc = ssrc, .rate = clock_rate};
}

void reception_restart(reception *it) {
    it->based = false;
    it->received = it->expected_prior = it->received_prior = 0;
}

void reception_reported(reception *it, uint64_t ntp, double now) {
    it->reported = true;
    it->report_ntp = ntp;
    it->report_at = now;
}

static uint8_t fraction_lost(int64_t lost, int64_t expected) {
    if (lost <= 0 || expected <= 0)
        return 0;
    int64_t fraction = lost * 256 / expected;
    return fraction < 255 ? (uint8_t)fraction : 255;
}

/* A number as 32 bits hold it; what is no number is 0. */
static uint32_t clamped(double value) {
    if (!(value > 0.0))
        return 0;
    return value < 4294967295.0 ? (uint32_t)value : 0xFFFFFFFFu;
}

report_block reception_report(reception *it, double now) {
    int64_t expected = it->based ? it->highest - it->base + 1 : 0;
    int64_t interval = expected - it->expected_prior;
    int64_t lost = interval - (it->received - it->received_prior);
    it->expected_prior = expected;
    it->received_prior = it->received;
    return (report_block){
        .ssrc = it->ssrc,
        .fraction_lost = fraction_lost(lost, interval),
        .packets_lost = expected - it->received,
        .highest_sequence = (uint32_t)it->highest,
        .jitter = clamped(it->jitter),
        .lsr = it->reported ? (uint32_t)(it->report_ntp >> 16) : 0,
        .dlsr = it->reported ? clamped(nearbyint((now - it->report_at) * 65536)) : 0,
    };
}
