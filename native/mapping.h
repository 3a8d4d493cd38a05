/* Media time to *now*; twin of slicer/rtp/mapping.py, which has the theory of operation. */
#ifndef SLICER_MAPPING_H
#define SLICER_MAPPING_H

#include "clock_offset.h"
#include "minima.h"

#define MAPPING_MAX_REGIMES 32
#define MAPPING_NONE (-((int64_t)1 << 62))

typedef struct regime {
    int64_t since; /* its first media time */
    double value;  /* NTP less media time */
} regime;

/* Counted references: a cutter keeps the mapper of the epoch it cuts. The clock outlives them all. */
typedef struct mapper {
    size_t references;
    double rate;
    struct sender_clock *sender;
    clock_offset *offset; /* the sender's, or its own */
    clock_offset own;
    double pending; /* NAN: none */
    int64_t settled;
    sliding_minimum arrivals;
    regime regimes[MAPPING_MAX_REGIMES];
    size_t count;
    bool confirmed, has_report, has_fallen;
    double report_ntp;
    int64_t report_timestamp;
    double believed, before;
    int64_t last, newest, fell;
    suffix_minima delays;
} mapper;

typedef struct sender_clock {
    clock_offset offset;
    mapper **of; /* by the stream's place; each one a reference, NULL where the place is free */
    size_t count, capacity;
} sender_clock;

void sender_clock_init(sender_clock *it);
void sender_clock_free(sender_clock *it);
/* A free place for a stream, its until `sender_clock_end`; false where there is no memory. */
bool sender_clock_place(sender_clock *it, size_t *place);
void sender_clock_end(sender_clock *it, size_t place);
/* Begin the stream's new epoch. Gives its mapper, a reference of the clock's own: retain it to keep
 * it. NULL where there is no memory; the old one is then still the stream's. */
mapper *sender_clock_begin(sender_clock *it, size_t stream, double clock_rate);

static inline mapper *mapper_retain(mapper *it) {
    it->references++;
    return it;
}

/* NULL is let pass. */
static inline void mapper_release(mapper *it) {
    if (it != NULL && --it->references == 0)
        free(it);
}

void mapper_arrived(mapper *it, int64_t timestamp, double arrival);
bool mapper_reported(mapper *it, double ntp, int64_t timestamp, double now);
double mapper_skew(const mapper *it, int64_t timestamp, double arrival);
/* When a packet of this timestamp arrives at the earliest. */
double mapper_arrival(const mapper *it, int64_t timestamp);
double mapper_at(const mapper *it, int64_t timestamp);

#endif
