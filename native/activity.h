/* When a connection was heard; twin of slicer/slicing/activity.py, which has the theory of operation. */
#ifndef SLICER_ACTIVITY_H
#define SLICER_ACTIVITY_H

#include "core.h"

#define ACTIVITY_QUIET 2.0

typedef struct activity {
    double heard, resumed;
} activity;

static inline void activity_init(activity *it) { *it = (activity){-NEVER, -NEVER}; }

static inline void activity_note(activity *it, double now) {
    if (now - it->heard > ACTIVITY_QUIET)
        it->resumed = now;
    it->heard = now;
}

static inline double activity_silent(const activity *it, double last, double now) {
    double since = last > it->resumed ? last : it->resumed;
    return now - it->heard <= ACTIVITY_QUIET ? now - since : 0.0;
}

#endif
