/* What a task asks of one track; twin of AudioSpec and VideoSpec in slicer/slicing/spec.py. */
#ifndef SLICER_SPEC_H
#define SLICER_SPEC_H

#include <stdint.h>

typedef struct slice_spec {
    int64_t seconds;
    double wait; /* seconds that a cut may wait for a report */
    /* Of video alone: seconds between two requests for keyframes, INFINITY where there are none, and
     * the height of a layer that is enough, 0 where the largest is wanted. */
    double asks_every;
    int max_height;
} slice_spec;

#endif
