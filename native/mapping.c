#include "mapping.h"

#define WINDOW 30.0
#define STEP 0.5
#define TRUST 3.0

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

mapper *mapper_retain(mapper *it) {
    it->references++;
    return it;
}

void mapper_release(mapper *it) {
    if (it != NULL && --it->references == 0)
        free(it);
}

bool mapper_delay(const mapper *it, double *delay) {
    if (it->reports.value == NEVER)
        return false;
    *delay = it->arrivals.value - it->reports.value;
    return true;
}

void mapper_arrived(mapper *it, int64_t timestamp, double arrival) {
    sliding_minimum_add(&it->arrivals, arrival - (double)timestamp / it->rate, arrival);
}

void mapper_reported(mapper *it, double ntp, int64_t timestamp, double now) {
    double offset = ntp - (double)timestamp / it->rate;
    if (fabs(offset - it->reports.value) > STEP)
        sliding_minimum_init(&it->reports);
    sliding_minimum_add(&it->reports, offset, now);
}

double mapper_skew(const mapper *it, int64_t timestamp, double arrival) {
    return arrival - (double)timestamp / it->rate - it->arrivals.value;
}

double mapper_arrival(const mapper *it, int64_t timestamp) {
    return (double)timestamp / it->rate + it->arrivals.value;
}

double mapper_at(const mapper *it, int64_t timestamp) {
    double arrived = mapper_arrival(it, timestamp), delay;
    if (!mapper_delay(it, &delay))
        return arrived;
    return arrived - sender_clock_behind(it->sender, delay);
}

bool sender_clock_place(sender_clock *it, size_t *place) {
    *place = 0;
    while (*place < it->count && it->of[*place] != NULL)
        ++*place;
    if (*place < it->count)
        return true;
    mapper **of = grown(it->of, it->count + 1, &it->capacity, sizeof *of, 2);
    if (of == NULL)
        return false;
    it->of = of;
    it->of[it->count++] = NULL;
    return true;
}

void sender_clock_end(sender_clock *it, size_t place) {
    mapper_release(it->of[place]);
    it->of[place] = NULL;
}

void sender_clock_free(sender_clock *it) {
    for (size_t i = 0; i < it->count; i++)
        mapper_release(it->of[i]);
    free(it->of);
    *it = (sender_clock){0};
}

mapper *sender_clock_begin(sender_clock *it, size_t stream, double clock_rate) {
    mapper *fresh = malloc(sizeof *fresh);
    if (fresh == NULL)
        return NULL;
    *fresh = (mapper){.references = 1, .rate = clock_rate, .sender = it};
    sliding_minimum_init(&fresh->arrivals);
    sliding_minimum_init(&fresh->reports);
    mapper_release(it->of[stream]);
    it->of[stream] = fresh;
    return fresh;
}

double sender_clock_behind(const sender_clock *it, double delay) {
    double least = NEVER, one;
    bool comparable = false;
    for (size_t i = 0; i < it->count; i++) {
        if (it->of[i] == NULL || !mapper_delay(it->of[i], &one) || !(fabs(delay - one) < TRUST))
            continue;
        least = earlier(one, least);
        comparable = true;
    }
    return comparable && delay - least > 0.0 ? delay - least : 0.0;
}
