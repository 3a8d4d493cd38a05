/* Media time to *now*; twin of slicer/rtp/mapping.py. */
#ifndef SLICER_MAPPING_H
#define SLICER_MAPPING_H

#include "core.h"

typedef struct sliding_minimum {
    double value, current, until;
} sliding_minimum;

void sliding_minimum_init(sliding_minimum *it);
void sliding_minimum_add(sliding_minimum *it, double value, double now);

/* Counted references: a cutter keeps the mapper of the epoch it cuts. The clock outlives them all. */
typedef struct mapper {
    size_t references;
    double rate;
    struct sender_clock *sender;
    sliding_minimum arrivals, reports;
} mapper;

/* Zero-initialised is empty. */
typedef struct sender_clock {
    mapper **of; /* by the stream's place; each one a reference, NULL where the place is free */
    size_t count, capacity;
} sender_clock;

void sender_clock_free(sender_clock *it);
/* A free place for a stream, its until `sender_clock_end`; false where there is no memory. */
bool sender_clock_place(sender_clock *it, size_t *place);
void sender_clock_end(sender_clock *it, size_t place);
/* Begin the stream's new epoch. Gives its mapper, a reference of the clock's own: retain it to keep
 * it. NULL where there is no memory; the old one is then still the stream's. */
mapper *sender_clock_begin(sender_clock *it, size_t stream, double clock_rate);
double sender_clock_behind(const sender_clock *it, double delay);

mapper *mapper_retain(mapper *it);
void mapper_release(mapper *it); /* NULL is let pass */
bool mapper_delay(const mapper *it, double *delay);
void mapper_arrived(mapper *it, int64_t timestamp, double arrival);
void mapper_reported(mapper *it, double ntp, int64_t timestamp, double now);
double mapper_skew(const mapper *it, int64_t timestamp, double arrival);
/* When a packet of this timestamp arrives at the earliest. */
double mapper_arrival(const mapper *it, int64_t timestamp);
double mapper_at(const mapper *it, int64_t timestamp);

#endif
