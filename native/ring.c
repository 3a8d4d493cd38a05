#include "ring.h"

void ring_init(ring *it, double opening, double patience) {
    *it = (ring){
        .opening = opening,
        .patience = patience,
        .floor = INT64_MIN,
        .opens_at = NEVER,
        .hole_since = NAN,
    };
}

/* One block for both; it is there only while a packet waits, for a stream in order needs none. */
static bool make_slots(ring *it) {
    if (it->slots != NULL)
        return true;
    it->slots = malloc(RING_CAPACITY * (sizeof(packet) + 1));
    if (it->slots == NULL)
        return false;
    it->taken = (uint8_t *)(it->slots + RING_CAPACITY);
    memset(it->taken, 0, RING_CAPACITY);
    return true;
}

static void free_slots(ring *it) {
    for (size_t i = 0; it->held && i < RING_CAPACITY; i++) {
        if (it->taken[i]) {
            packet_free(&it->slots[i]);
            it->held--;
        }
    }
    free(it->slots);
    it->slots = NULL;
    it->taken = NULL;
}

void ring_free(ring *it) {
    free_slots(it);
    turns_free(&it->ready);
    turns_free(&it->orphans);
}

static size_t slot_of(int64_t sequence) {
    return (size_t)((uint64_t)sequence % RING_CAPACITY); /* of a negative one as well */
}

/* The next taken slot from `at` on, or RING_CAPACITY. */
static size_t next_taken(const ring *it, size_t at) {
    while (at < RING_CAPACITY && !it->taken[at]) {
        uint64_t eight = 0;
        if (at % sizeof eight == 0)
            memcpy(&eight, it->taken + at, sizeof eight);
        at += at % sizeof eight == 0 && eight == 0 ? sizeof eight : 1;
    }
    return at;
}

static int64_t first_held(const ring *it) {
    size_t at = next_taken(it, 0);
    int64_t first = it->slots[at].sequence;
    for (; at < RING_CAPACITY; at = next_taken(it, at + 1))
        if (it->slots[at].sequence < first)
            first = it->slots[at].sequence;
    return first;
}

/* When the hole at `next` was first seen: a repaired packet behind it is younger. */
static double since(ring *it) {
    if (isnan(it->hole_since)) {
        double least = NEVER;
        for (size_t at = next_taken(it, 0); at < RING_CAPACITY; at = next_taken(it, at + 1))
            least = earlier(it->slots[at].arrival, least);
        it->hole_since = least;
    }
    return it->hole_since;
}

/* Hold packets outside of the window until enough of them follow each other. */
static int stray(ring *it, packet *one, bool late) {
    turns *orphans = &it->orphans;
    if (orphans->count) {
        int64_t last = orphans->of[orphans->count - 1].packet.sequence;
        if (one->sequence == last) {
            packet_free(one);
            return COUNT_duplicate;
        }
        if (one->sequence != last + 1)
            turns_clear(orphans);
    }
    if (!packet_keep(one) || !turns_add(orphans, one, false))
        return COUNT_out_of_memory;
    bool moved = orphans->count >= RING_JUMPED;
    if (late) {
        bool silent = one->arrival - it->taken_at >= RING_FELL_SILENT;
        moved = (silent && orphans->count >= RING_FELL_BACK) || orphans->count >= RING_CAPACITY / 2;
    }
    if (moved)
        return COUNT_moved;
    return late ? COUNT_late : COUNT_stray;
}

static void note(ring *it, const packet *one) {
    it->taken_at = one->arrival;
    if (it->orphans.count)
        turns_clear(&it->orphans);
}

static int hold(ring *it, packet *one) {
    size_t slot = slot_of(one->sequence);
    if (it->held && it->taken[slot]) {
        packet_free(one);
        return COUNT_duplicate;
    }
    if (!packet_keep(one) || !make_slots(it)) {
        packet_free(one);
        return COUNT_out_of_memory;
    }
    it->slots[slot] = *one;
    it->taken[slot] = 1;
    it->held++;
    if (it->highest < one->sequence)
        it->highest = one->sequence;
    return NOT_REFUSED;
}

static void begin(ring *it, const packet *one) {
    it->open = true;
    it->next = it->highest = one->sequence;
    it->opens_at = it->opening != 0.0 ? one->arrival + it->opening : NEVER;
}

int ring_insert(ring *it, packet *one) {
    int64_t sequence = one->sequence;
    if (!it->open && sequence < it->floor)
        return stray(it, one, true);
    if (!it->open)
        begin(it, one);
    else if (it->opens_at != NEVER && it->highest - RING_CAPACITY < sequence &&
             sequence < it->next)
        it->next = sequence;
    int64_t ahead = sequence - it->next;
    if (ahead < 0 || ahead >= RING_CAPACITY)
        return stray(it, one, ahead < 0);
    if (ahead == 0 && it->held == 0 && it->opens_at == NEVER) {
        if (!turns_add(&it->ready, one, it->contiguous))
            return COUNT_out_of_memory;
        it->contiguous = true;
        it->next = sequence + 1;
    } else {
        int refused = hold(it, one);
        if (refused != NOT_REFUSED)
            return refused;
    }
    note(it, one);
    return NOT_REFUSED;
}

int ring_skip(ring *it, packet *one) {
    if (!ring_takes(it, one->sequence))
        return stray(it, one, !it->open || one->sequence < it->next);
    it->open = true;
    it->next = one->sequence + 1;
    it->opens_at = NEVER;
    note(it, one);
    return NOT_REFUSED;
}

static void give_ready(ring *it, turns *out, size_t *lost) {
    if (out->count == 0) {
        turns empty = *out;
        *out = it->ready;
        it->ready = empty;
        return;
    }
    bool whole = true;
    for (size_t i = 0; i < it->ready.count; i++) {
        whole = turns_add(out, &it->ready.of[i].packet, whole && it->ready.of[i].contiguous);
        *lost += !whole;
    }
    it->contiguous = whole && it->contiguous;
    it->ready.count = 0;
}

/* The packet whose turn it is, into `out`; false where it is not there. */
static bool take(ring *it, turns *out, size_t *lost) {
    size_t slot = slot_of(it->next);
    if (!it->taken[slot])
        return false;
    it->taken[slot] = 0;
    it->held--;
    it->next++;
    it->hole_since = NAN;
    it->contiguous = turns_add(out, &it->slots[slot], it->contiguous);
    *lost += !it->contiguous;
    return true;
}

size_t ring_pop(ring *it, double now, turns *out) {
    size_t lost = 0;
    give_ready(it, out, &lost);
    if (it->opens_at != NEVER) {
        if (now < it->opens_at && it->held < RING_CAPACITY / 2)
            return lost;
        it->opens_at = NEVER;
    }
    if (it->held == 0)
        return lost;
    while (it->held) {
        if (take(it, out, &lost))
            continue;
        if (since(it) + it->patience > now)
            return lost;
        it->next = first_held(it);
        it->contiguous = false;
    }
    free_slots(it);
    return lost;
}

size_t ring_flush(ring *it, turns *out) {
    it->opens_at = NEVER;
    size_t lost = ring_pop(it, NEVER, out);
    it->open = it->contiguous = false;
    it->floor = INT64_MIN;
    return lost;
}

void ring_restart(ring *it) { ring_restart_at(it, it->open ? it->next : it->floor); }

void ring_restart_at(ring *it, int64_t at) {
    it->floor = at;
    free_slots(it);
    turns_clear(&it->ready);
    turns_clear(&it->orphans);
    it->open = it->contiguous = false;
    it->opens_at = NEVER;
    it->hole_since = NAN;
    it->opening = 0.0;
}

void ring_orphans(ring *it, turns *out) {
    turns empty = *out;
    *out = it->orphans;
    it->orphans = empty;
}

bool ring_lacks(const ring *it, int64_t sequence) {
    return it->held && it->open && it->next <= sequence && sequence < it->highest &&
           !it->taken[slot_of(sequence)];
}

double ring_deadline(ring *it) {
    if (it->held == 0)
        return NEVER;
    return it->opens_at != NEVER ? it->opens_at : since(it) + it->patience;
}
