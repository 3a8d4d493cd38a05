#include "candidates.h"

#define FEWEST_HELD 2

void candidate_free(candidate *it) {
    for (size_t i = 0; i < it->count; i++)
        packet_free(&it->of[i]);
    free(it->of);
    *it = (candidate){0};
}

/* Forget the first `count` packets. */
static void candidate_forget(candidate *it, size_t count) {
    for (size_t i = 0; i < count; i++)
        packet_free(&it->of[i]);
    it->count -= count;
    memmove(it->of, it->of + count, it->count * sizeof *it->of);
}

void candidates_free(candidates *it) {
    for (size_t i = 0; i < it->count; i++)
        candidate_free(&it->of[i]);
    it->count = 0;
}

candidate candidates_remove(candidates *it, size_t at) {
    candidate removed = it->of[at];
    it->count--;
    memmove(&it->of[at], &it->of[at + 1], (it->count - at) * sizeof *it->of);
    return removed;
}

void candidates_drop(candidates *it, double before, counters *counters) {
    for (size_t i = 0; i < it->count;) {
        candidate *one = &it->of[i];
        size_t kept = 0;
        for (size_t j = 0; j < one->count; j++) {
            if (one->of[j].arrival > before)
                one->of[kept++] = one->of[j];
            else
                packet_free(&one->of[j]);
        }
        counters->of[COUNT_parallel_ssrc] += one->count - kept;
        one->count = kept;
        if (kept > 0) {
            i++;
            continue;
        }
        candidate removed = candidates_remove(it, i);
        candidate_free(&removed);
    }
}

static bool belong_together(const packet *first, const packet *second) {
    int64_t apart = ((second->sequence - first->sequence + STREAM_NEARBY) & 0xFFFF) - STREAM_NEARBY;
    return apart != 0 && -STREAM_NEARBY <= apart && apart <= STREAM_NEARBY &&
           second->arrival - first->arrival < STREAM_PROBATION;
}

static size_t place_of(const candidates *it, uint32_t ssrc) {
    size_t at = 0;
    while (at < it->count && it->of[at].ssrc != ssrc)
        at++;
    return at;
}

bool candidates_repeat(const candidates *it, const packet *one) {
    size_t at = place_of(it, one->ssrc);
    if (at == it->count)
        return false;
    const candidate *held = &it->of[at];
    return held->of[held->count - 1].sequence == one->sequence;
}

/* The candidate of this packet with room for it: without those held that it does not belong to. */
static candidate make_room(candidates *it, const packet *one, counters *counters) {
    size_t at = place_of(it, one->ssrc);
    if (at == it->count) {
        if (it->count == STREAM_MAX_CANDIDATES) {
            candidate stranger = candidates_remove(it, 0);
            counters->of[COUNT_probation] += stranger.count;
            candidate_free(&stranger);
        }
        return (candidate){.ssrc = one->ssrc};
    }
    candidate found = candidates_remove(it, at);
    size_t dropped = found.count == STREAM_MAX_HELD ? 1 : 0;
    if (!belong_together(&found.of[found.count - 1], one))
        dropped = found.count;
    counters->of[COUNT_probation] += dropped;
    candidate_forget(&found, dropped);
    return found;
}

bool candidates_hold(candidates *it, packet *one, counters *counters) {
    candidate held = make_room(it, one, counters);
    packet *of = grown(held.of, held.count + 1, &held.capacity, sizeof *of, FEWEST_HELD);
    bool kept = of != NULL && packet_keep(one);
    held.of = of != NULL ? of : held.of;
    if (kept)
        held.of[held.count++] = *one;
    else
        packet_free(one);
    if (held.count > 0)
        it->of[it->count++] = held;
    else
        candidate_free(&held);
    return kept;
}
