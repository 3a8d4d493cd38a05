#include "nack.h"

void nack_free(nack_list *it) {
    free(it->of);
    *it = (nack_list){0};
}

/* The place of the first one that is not before `sequence`. */
static size_t place_of(const nack_list *it, int64_t sequence) {
    size_t low = 0, high = it->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (it->of[middle].sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool nack_contains(const nack_list *it, int64_t sequence) {
    size_t at = place_of(it, sequence);
    return at < it->count && it->of[at].sequence == sequence;
}

bool nack_asked(const nack_list *it, int64_t sequence) {
    return it->count && nack_contains(it, sequence) && it->of[place_of(it, sequence)].tries > 0;
}

static void cut_out(nack_list *it, size_t at, size_t count) {
    if (count == 0)
        return;
    it->count -= count;
    memmove(it->of + at, it->of + at + count, (it->count - at) * sizeof *it->of);
}

/* Every number from `first` to before `end` is missing; the oldest ones make room. */
static bool miss(nack_list *it, int64_t first, int64_t end, double when) {
    size_t more = (size_t)(end - first);
    if (it->count + more > NACK_MAX_MISSING)
        cut_out(it, 0, it->count + more - NACK_MAX_MISSING);
    missing *of = grown(it->of, it->count + more, &it->capacity, sizeof *of, 16);
    if (of == NULL)
        return false;
    it->of = of;
    for (int64_t lost = first; lost < end; lost++)
        it->of[it->count++] = (missing){lost, when, 0};
    return true;
}

bool nack_receive(nack_list *it, int64_t sequence, double now) {
    if (!it->known) {
        it->known = true;
        it->highest = sequence;
        return true;
    }
    if (sequence <= it->highest) {
        if (it->count && nack_contains(it, sequence))
            cut_out(it, place_of(it, sequence), 1);
        return true;
    }
    int64_t first = it->highest + 1;
    it->highest = sequence;
    if (first == sequence)
        return true;
    if (first < sequence - NACK_MAX_MISSING)
        first = sequence - NACK_MAX_MISSING;
    return miss(it, first, sequence, now + NACK_OVERTAKEN);
}

void nack_forget_before(nack_list *it, int64_t sequence) {
    if (it->count)
        cut_out(it, 0, place_of(it, sequence));
}

size_t nack_handle_timer(nack_list *it, double now, int64_t *due) {
    size_t asked = 0, kept = 0;
    for (size_t i = 0; i < it->count; i++) {
        missing one = it->of[i];
        if (one.when <= now) {
            due[asked++] = one.sequence;
            one.when = now + NACK_INTERVAL;
            if (++one.tries >= NACK_TRIES)
                continue;
        }
        it->of[kept++] = one;
    }
    it->count = kept;
    return asked;
}

double nack_deadline(const nack_list *it) {
    double soonest = NEVER;
    for (size_t i = 0; i < it->count; i++)
        soonest = earlier(it->of[i].when, soonest);
    return soonest;
}
