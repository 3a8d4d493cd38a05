/* From a sender's NTP clock to our *now*; twin of slicer/rtp/clock_offset.py. */
#ifndef SLICER_CLOCK_OFFSET_H
#define SLICER_CLOCK_OFFSET_H

#include "core.h"

typedef struct clock_offset {
    double value;
    bool confirmed, assumed, learns;
    double at, began, learns_at, least, sum, slope;
    size_t count; /* of the block, as least and sum are */
    struct clock_offset_point {
        double now, value;
    } since, later; /* valid where it learns */
} clock_offset;

void clock_offset_init(clock_offset *it);
void clock_offset_assume(clock_offset *it, double value);
void clock_offset_confirm(clock_offset *it, double value, double now);
void clock_offset_move(clock_offset *it, double seconds);
void clock_offset_add(clock_offset *it, double value, double now);

#endif
