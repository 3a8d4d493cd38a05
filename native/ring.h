/* The reorder ring; twin of slicer/rtp/ring.py, which has the theory of operation.
 *
 * Memory contract: `ring_insert` takes the packet's memory over whatever it returns, and so does
 * `ring_skip` where it refuses the packet; one that was skipped stays the caller's.
 * A packet that is next in line goes to `ready` as it is, still on the caller's bytes: `ring_pop`
 * must be called before those bytes go. What has to wait is copied. The slots are allocated when the
 * first packet has to wait, and freed when none does: a stream without loss has none.
 */
#ifndef SLICER_RING_H
#define SLICER_RING_H

#include "packet.h"

#define RING_CAPACITY 2048
#define RING_JUMPED 2
#define RING_FELL_BACK 8
#define RING_FELL_SILENT 1.0

typedef struct ring {
    double opening, patience;
    packet *slots; /* RING_CAPACITY of them or NULL; one is taken where `taken` says so */
    uint8_t *taken;
    size_t held;
    turns ready;
    bool open; /* whether `next` is known; where not, what is before `floor` is late */
    int64_t next, highest, floor;
    double opens_at; /* NEVER: not opening */
    bool contiguous;
    double hole_since; /* NAN: not known */
    turns orphans;
    double taken_at;
} ring;

/* Whether a packet of this number is in the window. */
static inline bool ring_takes(const ring *it, int64_t sequence) {
    if (!it->open)
        return sequence >= it->floor;
    return sequence >= it->next && sequence - it->next < RING_CAPACITY;
}

void ring_init(ring *it, double opening, double patience);
void ring_free(ring *it);
/* NOT_REFUSED, or the number of a counter: duplicate, late, stray, moved. */
int ring_insert(ring *it, packet *packet);
int ring_skip(ring *it, packet *packet);
/* Append all packets whose turn it is; gives how many were lost for want of memory. */
size_t ring_pop(ring *it, double now, turns *out);
size_t ring_flush(ring *it, turns *out);
/* Packets before the one whose turn it was are late. */
void ring_restart(ring *it);
/* Those before number `at` are. */
void ring_restart_at(ring *it, int64_t at);
/* Move the packets that showed where the source goes on to the (empty) `out`. */
void ring_orphans(ring *it, turns *out);
/* Whether this packet is waited for: one behind it is held. */
bool ring_lacks(const ring *it, int64_t sequence);
double ring_deadline(ring *it);

#endif
