/* When a keyframe was last asked for of one source, by whichever task; twin of
 * slicer/slicing/keyframe_requests.py. Connections that share it have locks of their own, so it is
 * atomic. */
#ifndef SLICER_KEYFRAME_REQUESTS_H
#define SLICER_KEYFRAME_REQUESTS_H

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct keyframe_requests {
    _Atomic double last; /* -INFINITY: never */
} keyframe_requests;

static inline void keyframe_requests_init(keyframe_requests *it) {
    atomic_init(&it->last, -INFINITY);
}

static inline double keyframe_requests_last(const keyframe_requests *it) {
    return atomic_load_explicit(&it->last, memory_order_relaxed);
}

static inline void keyframe_requests_note(keyframe_requests *it, double now) {
    atomic_store_explicit(&it->last, now, memory_order_relaxed);
}

static inline bool keyframe_requests_claim(keyframe_requests *it, double now, double interval) {
    double last = keyframe_requests_last(it);
    do {
        if (now < last + interval)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&it->last, &last, now, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

#endif
