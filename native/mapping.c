#include "mapping.h"

#define AGREE 0.02
#define CREEP 700e-6
#define PLAUSIBLE 0.5
#define TOO_EARLY 0.5
#define TOO_LATE 3.0
#define FALL 0.05
#define STEP 0.1

static void rise_or_fall(mapper *it, double delay, int64_t timestamp) {
    if (delay < earlier(it->before, suffix_minima_least(&it->delays)) - FALL) {
        it->fell = timestamp;
        it->has_fallen = true;
    }
    suffix_minima_add(&it->delays, delay, timestamp);
}

/* For each packet: what is as late as the last one was, within a grain, is done with here. */
void mapper_arrived(mapper *it, int64_t timestamp, double arrival) {
    double delay = arrival - (double)timestamp / it->rate;
    if (arrival >= it->arrivals.until || delay < it->arrivals.current)
        sliding_minimum_add(&it->arrivals, delay, arrival);
    it->newest = timestamp;
    level *top = it->delays.levels + it->delays.count - 1;
    if (it->delays.count && delay >= top->delay && delay < top->delay + GRAIN)
        top->timestamp = timestamp;
    else
        rise_or_fall(it, delay, timestamp);
}

/* ---- reports ---- */

static double *value_of(mapper *it) { return &it->regimes[it->count - 1].value; }

static void add_regime(mapper *it, int64_t since, double value) {
    if (it->count == MAPPING_MAX_REGIMES) {
        it->count--;
        memmove(it->regimes, it->regimes + 1, it->count * sizeof *it->regimes);
    }
    it->regimes[it->count++] = (regime){since, value};
}

/* Where a clock stood still more than once since the last report: at each step up to `least`. `value`: NTP
 * less arrivals. */
static void begin_regimes_between(mapper *it, double value, double least) {
    double before = it->before;
    int64_t last = it->last;
    for (size_t i = 0; i < it->delays.count; i++) {
        level here = it->delays.levels[i];
        if (here.delay < least && here.delay - before >= STEP)
            add_regime(it, last + 1, value + here.delay);
        before = here.delay;
        last = here.timestamp;
    }
}

static void begin_regime(mapper *it, int64_t since, double value, double least) {
    add_regime(it, since, value);
    double first = value + it->offset->value;
    least = first > least ? first : least;
    sliding_minimum_begin_at(&it->arrivals, least);
    it->delays.count = 0;
    suffix_minima_add(&it->delays, least, it->newest);
}

static void confirm(mapper *it, double delay, double now) {
    it->confirmed = true;
    double late = delay - it->offset->value;
    if (it->offset->confirmed && !(-TOO_EARLY <= late && late <= TOO_LATE)) {
        clock_offset_init(&it->own);
        it->offset = &it->own;
    }
    if (!it->offset->confirmed)
        clock_offset_confirm(it->offset, delay, now);
}

/* Go on with the regime; `delay`: the report's own (arrival - NTP). */
static void agree(mapper *it, double apart, double delay, double now) {
    double most = CREEP * (now - it->believed);
    double step = -most > apart ? -most : apart;
    *value_of(it) += earlier(most, step);
    delay = earlier(suffix_minima_least(&it->delays) - *value_of(it), delay);
    if (!it->confirmed)
        confirm(it, delay, now);
    clock_offset_add(it->offset, delay, now);
}

static void begin(mapper *it, double value, double delay) {
    it->regimes[0] = (regime){MAPPING_NONE, value};
    it->count = 1;
    if (!it->offset->confirmed)
        clock_offset_assume(it->offset, earlier(it->arrivals.value - value, delay));
}

/* Begin a regime where all packets from one on are as late as the report says. */
static bool stood_still(mapper *it, double apart, double value) {
    double least, late = *value_of(it) + it->offset->value + apart - AGREE;
    int64_t last = it->last;
    suffix_minima_rise(&it->delays, it->before + apart - AGREE, &last, &least);
    if (least == NEVER && it->confirmed && it->before < late) {
        last = it->last;
        suffix_minima_rise(&it->delays, late, &last, &least);
    }
    if (apart < 0.0 || least == NEVER)
        return false;
    begin_regimes_between(it, value - least, least);
    begin_regime(it, last + 1, value, least);
    return true;
}

static bool leapt(mapper *it, double apart, double value) {
    double least = suffix_minima_least(&it->delays);
    double told = *value_of(it) + it->offset->value;
    if (apart > 0.0 || least > told + earlier(-AGREE, apart / 2))
        return false;
    if (it->has_fallen)
        begin_regime(it, it->fell, value, least);
    else
        *value_of(it) = value;
    return true;
}

static void move_regimes(mapper *it, double seconds) {
    for (size_t i = 0; i < it->count; i++)
        it->regimes[i].value += seconds;
    it->pending = NAN;
}

/* Set the clock that this mapper is on, if another report has said the same. */
static bool set_clock(mapper *it, double seconds) {
    sender_clock *sender = it->sender;
    bool told = false;
    for (size_t i = 0; i < sender->count; i++) {
        const mapper *one = sender->of[i];
        told = told || (one != NULL && one->offset == it->offset &&
                        fabs(one->pending - seconds) <= AGREE);
    }
    for (size_t i = 0; told && i < sender->count; i++)
        if (sender->of[i] != NULL && sender->of[i]->offset == it->offset)
            move_regimes(sender->of[i], seconds);
    if (told)
        clock_offset_move(it->offset, -seconds);
    return told;
}

/* Whether the last regime is believed, by which all packets are so many seconds late. */
static bool borne_out(const mapper *it, double late) {
    return it->confirmed || late <= PLAUSIBLE;
}

/* Look from here on at what packets do. */
static void believe(mapper *it, int64_t timestamp, double now) {
    int64_t told = timestamp < it->newest ? timestamp : it->newest;
    if (borne_out(it, it->arrivals.value - (*value_of(it) + it->offset->value)))
        it->settled = told > it->settled ? told : it->settled;
    it->pending = NAN;
    it->believed = now;
    it->last = told;
    if (it->delays.count)
        it->before = suffix_minima_least(&it->delays);
    suffix_minima_forget(&it->delays, told);
    it->has_fallen = it->has_fallen && it->fell > told;
}

bool mapper_reported(mapper *it, double ntp, int64_t timestamp, double now) {
    if (it->has_report && it->report_ntp == ntp && it->report_timestamp == timestamp)
        return true;
    it->has_report = true;
    it->report_ntp = ntp;
    it->report_timestamp = timestamp;
    double value = ntp - (double)timestamp / it->rate;
    double apart = it->count ? value - *value_of(it) : 0.0;
    if (it->count && fabs(apart) <= AGREE) {
        agree(it, apart, now - ntp + (0.0 > apart ? 0.0 : apart), now);
    } else if (it->count && stood_still(it, apart, value)) {
        /* a regime has begun */
    } else if (!it->confirmed) {
        begin(it, value, now - ntp);
    } else if (!leapt(it, apart, value) && !set_clock(it, apart)) {
        it->pending = apart;
        return false;
    }
    believe(it, timestamp, now);
    return true;
}

/* ---- times ---- */

double mapper_skew(const mapper *it, int64_t timestamp, double arrival) {
    return arrival - (double)timestamp / it->rate - it->arrivals.value;
}

double mapper_arrival(const mapper *it, int64_t timestamp) {
    return (double)timestamp / it->rate + it->arrivals.value;
}

double mapper_at(const mapper *it, int64_t timestamp) {
    size_t at = it->count;
    if (at == 0)
        return mapper_arrival(it, timestamp);
    while (at > 1 && timestamp < it->regimes[at - 1].since)
        at--;
    double told = it->regimes[at - 1].value + it->offset->value;
    if (at == it->count) {
        double late = it->arrivals.value - told;
        if (late < 0.0 || !borne_out(it, late))
            told = it->arrivals.value;
    }
    return (double)timestamp / it->rate + told;
}

/* ---- the sender ---- */

void sender_clock_init(sender_clock *it) {
    *it = (sender_clock){0};
    clock_offset_init(&it->offset);
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
    *fresh = (mapper){
        .references = 1,
        .rate = clock_rate,
        .sender = it,
        .offset = &it->offset,
        .pending = NAN,
        .settled = MAPPING_NONE,
        .before = NEVER,
        .last = MAPPING_NONE,
        .newest = MAPPING_NONE,
    };
    sliding_minimum_init(&fresh->arrivals);
    mapper_release(it->of[stream]);
    it->of[stream] = fresh;
    return fresh;
}
