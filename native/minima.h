/* Least delays; twin of slicer/rtp/minima.py, which has the theory of operation. */
#ifndef SLICER_MINIMA_H
#define SLICER_MINIMA_H

#include "core.h"

#define WINDOW 30.0
#define GRAIN 0.01
#define MAX_LEVELS 16

typedef struct sliding_minimum {
    double value, current, until;
} sliding_minimum;

void sliding_minimum_init(sliding_minimum *it);
void sliding_minimum_add(sliding_minimum *it, double value, double now);
void sliding_minimum_begin_at(sliding_minimum *it, double value);

typedef struct level {
    double delay;
    int64_t timestamp;
} level;

/* Zero-initialised is empty. */
typedef struct suffix_minima {
    level levels[MAX_LEVELS];
    size_t count;
} suffix_minima;

static inline double suffix_minima_least(const suffix_minima *it) {
    return it->count ? it->levels[0].delay : NEVER;
}
void suffix_minima_add(suffix_minima *it, double delay, int64_t timestamp);
/* Leave out the packets up to this one. */
void suffix_minima_forget(suffix_minima *it, int64_t timestamp);
/* True where there is a packet below `threshold`, the last of which is then written to `last`; `least`
 * is that of those after it. */
bool suffix_minima_rise(const suffix_minima *it, double threshold, int64_t *last, double *least);

#endif
