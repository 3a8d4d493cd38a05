#include "minima.h"

void sliding_minimum_init(sliding_minimum *it) {
    *it = (sliding_minimum){.value = NEVER, .current = NEVER, .until = -NEVER};
}

void sliding_minimum_add(sliding_minimum *it, double value, double now) {
    if (now >= it->until) {
        bool fresh = now < it->until + WINDOW;
        it->value = fresh ? earlier(it->current, value) : value;
        it->current = value;
        it->until = now + WINDOW;
    } else if (value < it->current) {
        it->current = value;
        it->value = earlier(value, it->value);
    }
}

void sliding_minimum_begin_at(sliding_minimum *it, double value) {
    it->value = it->current = value;
}

void suffix_minima_add(suffix_minima *it, double delay, int64_t timestamp) {
    size_t count = it->count;
    while (count > 0 && it->levels[count - 1].delay > delay)
        count--;
    if (count > 0 && (delay < it->levels[count - 1].delay + GRAIN || count == MAX_LEVELS))
        it->levels[count - 1].timestamp = timestamp;
    else
        it->levels[count++] = (level){delay, timestamp};
    it->count = count;
}

void suffix_minima_forget(suffix_minima *it, int64_t timestamp) {
    size_t kept = 0;
    for (size_t i = 0; i < it->count; i++)
        if (it->levels[i].timestamp > timestamp)
            it->levels[kept++] = it->levels[i];
    it->count = kept;
}

bool suffix_minima_rise(const suffix_minima *it, double threshold, int64_t *last, double *least) {
    *least = NEVER;
    for (size_t i = it->count; i > 0; i--) {
        if (it->levels[i - 1].delay < threshold) {
            *last = it->levels[i - 1].timestamp;
            return true;
        }
        *least = it->levels[i - 1].delay;
    }
    return false;
}
