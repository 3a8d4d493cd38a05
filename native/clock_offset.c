#include "clock_offset.h"

#define ALIKE 0.5
#define BLOCK 7.0
#define LONGEST 20.0
#define CHANCE 0.002
#define SURE 1.5
#define NEAR 0.01
#define RISE 700e-6
#define LONGER 1400e-6
#define OPENING 30.0
#define MAX_SLOPE 250e-6
#define LEARN 120.0
#define FORGET 1800.0

void clock_offset_init(clock_offset *it) { *it = (clock_offset){.least = NEVER}; }

void clock_offset_assume(clock_offset *it, double value) {
    if (!it->assumed || fabs(value - it->value) > ALIKE || value < it->value) {
        it->value = value;
        it->assumed = true;
    }
}

void clock_offset_confirm(clock_offset *it, double value, double now) {
    it->value = value;
    it->confirmed = true;
    it->at = now;
    it->began = now;
    it->learns_at = now + OPENING;
}

void clock_offset_move(clock_offset *it, double seconds) {
    it->value += seconds;
    it->since.value += seconds;
    it->later.value += seconds;
}

static void learn(clock_offset *it, double now) {
    struct clock_offset_point here = {now, it->value};
    if (!it->learns)
        it->since = it->later = here;
    it->learns = true;
    double elapsed = now - it->since.now;
    if (elapsed >= LEARN) {
        double moved = it->value - it->since.value;
        double slope = fabs(moved) > NEAR ? moved / elapsed : 0.0;
        slope = -MAX_SLOPE > slope ? -MAX_SLOPE : slope;
        it->slope = earlier(MAX_SLOPE, slope);
    }
    if (now - it->later.now >= FORGET) {
        it->since = it->later;
        it->later = here;
    }
}

/* By how much the least of the block is above the path's by chance. */
static double chance(const clock_offset *it) {
    return (it->sum / (double)it->count - it->least) / (double)it->count;
}

/* Whether the block says enough of the path's least delay. */
static bool is_over(const clock_offset *it, double elapsed) {
    return elapsed >= BLOCK && (chance(it) <= CHANCE || elapsed >= LONGEST);
}

static void end_block(clock_offset *it, double now) {
    double elapsed = now - it->began;
    double rise = it->least - SURE * chance(it);
    if (rise <= NEAR + LONGER * (elapsed - BLOCK)) {
        it->value += earlier(RISE * elapsed, 0.0 > rise ? 0.0 : rise);
        if (now >= it->learns_at && rise <= NEAR)
            learn(it, now);
    }
    it->began = now;
    it->least = NEVER;
    it->sum = 0.0;
    it->count = 0;
}

void clock_offset_add(clock_offset *it, double value, double now) {
    double elapsed = now - it->at;
    it->value += it->slope * (0.0 > elapsed ? 0.0 : elapsed);
    it->at = it->at > now ? it->at : now;
    double excess = value - it->value;
    if (excess < 0.0) {
        it->value = value;
        it->least = excess = 0.0;
    }
    it->least = earlier(excess, it->least);
    it->sum += excess;
    it->count++;
    if (is_over(it, now - it->began))
        end_block(it, now);
}
