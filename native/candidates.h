/* Sources that are not, or not yet, the current one of a stream; slicer/rtp/stream.py has the theory of
 * operation. Packets are kept: they outlive the receive buffer.
 */
#ifndef SLICER_CANDIDATES_H
#define SLICER_CANDIDATES_H

#include "packet.h"

#define STREAM_MAX_CANDIDATES 8
#define STREAM_MAX_HELD 512
#define STREAM_NEARBY 100
#define STREAM_PROBATION 2.0

/* One source's packets since the current one was heard, oldest first; never empty. */
typedef struct candidate {
    uint32_t ssrc;
    packet *of;
    size_t count, capacity;
} candidate;

typedef struct candidates {
    candidate of[STREAM_MAX_CANDIDATES]; /* by their last packets, oldest first */
    size_t count;
} candidates;

void candidate_free(candidate *it);
void candidates_free(candidates *it);
/* Whether this is the last packet held of its source, once more. */
bool candidates_repeat(const candidates *it, const packet *one);
/* Hold a packet, taking it over, with those of its source that it belongs together with. False where
 * there is no memory. */
bool candidates_hold(candidates *it, packet *one, counters *counters);
/* The current source goes on: drop what was held of others up to then. */
void candidates_drop(candidates *it, double before, counters *counters);
/* Take one out; the caller frees it. */
candidate candidates_remove(candidates *it, size_t at);

#endif
