#include "report_wait.h"

#include <math.h>

#define AT_ONCE (-NEVER)
#define FEWEST_WAITING 4
#define CORRECTED 0.001

void report_wait_init(report_wait *it, stream *stream) {
    *it = (report_wait){.stream = stream, .looked = MAPPING_NONE, .silent = -1};
}

void report_wait_free(report_wait *it) {
    for (size_t i = 0; i < it->count; i++)
        output_free(&it->of[i].cut);
    free(it->of);
    free(it->unsettled);
    *it = (report_wait){0};
}

static uint64_t track_of(const output *cut) {
    return cut->kind == OUTPUT_AUDIO ? cut->as.audio.track : cut->as.picture.track;
}

static int64_t epoch_of(const output *cut) {
    return cut->kind == OUTPUT_AUDIO ? cut->as.audio.epoch : cut->as.picture.epoch;
}

static int64_t start_of(const output *cut) {
    return cut->kind == OUTPUT_AUDIO ? cut->as.audio.start : cut->as.picture.timestamp;
}

/* Whether the sender has shown that it writes no reports. */
static bool is_silent(const report_wait *it) {
    return it->stream->mapper->settled == MAPPING_NONE && it->stream->epoch == it->silent;
}

/* Whether no report will tell more of this cut's time. */
static bool is_settled(const report_wait *it, const output *cut) {
    return epoch_of(cut) != it->stream->epoch || start_of(cut) <= it->stream->mapper->settled;
}

/* A cut is given; it is provisional where a report that is yet to come may tell more of it. */
static void remember(report_wait *it, output *cut) {
    if (cut->kind == OUTPUT_FRAMES || is_settled(it, cut))
        return;
    if (it->unsettled_count == MAX_UNSETTLED) {
        if (!is_silent(it))
            COUNT(it->stream->counters, unsettled_full);
        it->unsettled_count--;
        memmove(it->unsettled, it->unsettled + 1, it->unsettled_count * sizeof *it->unsettled);
    }
    settled_cut *of = grown(it->unsettled, it->unsettled_count + 1, &it->unsettled_capacity,
                            sizeof *of, FEWEST_WAITING);
    if (of == NULL) {
        COUNT(it->stream->counters, out_of_memory);
        return;
    }
    it->unsettled = of;
    double began = cut->kind == OUTPUT_AUDIO ? cut->as.audio.began : cut->as.picture.began;
    of[it->unsettled_count++] =
        (settled_cut){track_of(cut), epoch_of(cut), start_of(cut), began};
    if (cut->kind == OUTPUT_AUDIO)
        cut->as.audio.provisional = true;
    else
        cut->as.picture.provisional = true;
}

/* Tell what reports have told of the cuts that were given before they came. */
static void correct(report_wait *it, outputs *out) {
    const mapper *mapper = it->stream->mapper;
    int64_t epoch = it->stream->epoch;
    if (it->unsettled_count == 0 ||
        (mapper->settled == it->looked && it->unsettled[0].epoch == epoch))
        return;
    it->looked = mapper->settled;
    size_t kept = 0;
    for (size_t i = 0; i < it->unsettled_count; i++) {
        settled_cut one = it->unsettled[i];
        if (one.epoch != epoch)
            continue;
        if (one.start > mapper->settled) {
            it->unsettled[kept++] = one;
            continue;
        }
        double began = mapper_at(mapper, one.start);
        if (fabs(began - one.began) <= CORRECTED)
            continue;
        one.began = began;
        output told = {.kind = OUTPUT_SETTLED, .as.settled = one};
        if (!outputs_add(out, &told))
            COUNT(it->stream->counters, out_of_memory);
    }
    it->unsettled_count = kept;
}

/* Give a cut with its time as it is known by now. False where there is no memory for it. */
static bool give(const report_wait *it, waiting_cut *one, outputs *out) {
    if (one->until != AT_ONCE && epoch_of(&one->cut) == it->stream->epoch) {
        double began = mapper_at(it->stream->mapper, start_of(&one->cut));
        if (one->cut.kind == OUTPUT_AUDIO)
            one->cut.as.audio.began = began;
        else
            one->cut.as.picture.began = began;
    }
    if (outputs_add(out, &one->cut))
        return true;
    COUNT(it->stream->counters, out_of_memory);
    return false;
}

void report_wait_add(report_wait *it, outputs *out, size_t first, double seconds, double now) {
    size_t count = it->count + (out->count - first);
    waiting_cut *of = grown(it->of, count, &it->capacity, sizeof *of, FEWEST_WAITING);
    if (of == NULL) { /* they stay in `out`, and go at once */
        COUNT(it->stream->counters, out_of_memory);
        return;
    }
    it->of = of;
    for (size_t i = first; i < out->count; i++) {
        bool at_once = seconds <= 0.0 || is_silent(it) || is_settled(it, &out->of[i]);
        it->of[it->count++] = (waiting_cut){at_once ? AT_ONCE : now + seconds, out->of[i]};
    }
    out->count = first;
}

void report_wait_release(report_wait *it, double now, outputs *out) {
    size_t kept = 0, surplus = it->count > MAX_WAITING ? it->count - MAX_WAITING : 0;
    for (size_t i = 0; i < it->count; i++) {
        waiting_cut *one = &it->of[i];
        bool over = one->until <= now;
        if (!over && !is_silent(it) && !is_settled(it, &one->cut)) {
            if (surplus == 0) {
                it->of[kept++] = *one;
                continue;
            }
            COUNT(it->stream->counters, wait_full);
        } else if (over && one->until != AT_ONCE && it->stream->mapper->settled == MAPPING_NONE) {
            it->silent = it->stream->epoch;
        }
        surplus -= surplus > 0;
        if (give(it, one, out))
            remember(it, &out->of[out->count - 1]);
    }
    it->count = kept;
    correct(it, out);
}

void report_wait_flush(report_wait *it, outputs *out) {
    for (size_t i = 0; i < it->count; i++)
        give(it, &it->of[i], out);
    it->count = it->unsettled_count = 0;
}

void report_wait_flush_track(report_wait *it, uint64_t track, outputs *out) {
    size_t kept = 0;
    for (size_t i = 0; i < it->count; i++) {
        if (track_of(&it->of[i].cut) == track)
            give(it, &it->of[i], out);
        else
            it->of[kept++] = it->of[i];
    }
    it->count = kept;
    kept = 0;
    for (size_t i = 0; i < it->unsettled_count; i++)
        if (it->unsettled[i].track != track)
            it->unsettled[kept++] = it->unsettled[i];
    it->unsettled_count = kept;
}

double report_wait_deadline(const report_wait *it) {
    double first = NEVER;
    for (size_t i = 0; i < it->count; i++)
        first = earlier(it->of[i].until, first);
    return first;
}
