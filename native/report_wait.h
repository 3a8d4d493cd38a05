/* Cuts of one stream that wait for a report; twin of slicer/slicing/report_wait.py. */
#ifndef SLICER_REPORT_WAIT_H
#define SLICER_REPORT_WAIT_H

#include "audio.h"

#define MAX_WAITING 64
#define MAX_UNSETTLED 64

typedef struct waiting_cut {
    double until;
    output cut;
} waiting_cut;

typedef struct report_wait {
    stream *stream;
    waiting_cut *of;
    size_t count, capacity;
    settled_cut *unsettled; /* what was given before its report came, as it was given */
    size_t unsettled_count, unsettled_capacity;
    int64_t looked; /* what was settled when they were looked through */
    int64_t silent; /* the epoch in which a wait was over without any report, or -1 */
} report_wait;

void report_wait_init(report_wait *it, stream *stream);
void report_wait_free(report_wait *it);
/* Takes the cuts from place `first` of `out` on out of it. */
void report_wait_add(report_wait *it, outputs *out, size_t first, double seconds, double now);
void report_wait_release(report_wait *it, double now, outputs *out);
void report_wait_flush(report_wait *it, outputs *out);
void report_wait_flush_track(report_wait *it, uint64_t track, outputs *out);
double report_wait_deadline(const report_wait *it);

#endif
