#include "report_wait.h"

#define AT_ONCE (-NEVER)
#define FEWEST_WAITING 4

void report_wait_init(report_wait *it, stream *stream) {
    *it = (report_wait){.stream = stream, .silent = -1};
}

void report_wait_free(report_wait *it) {
    for (size_t i = 0; i < it->count; i++)
        output_free(&it->of[i].cut);
    free(it->of);
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

/* Whether no report will tell more of this cut's time. */
static bool is_settled(const report_wait *it, const output *cut) {
    int64_t settled = it->stream->mapper->settled, epoch = it->stream->epoch;
    bool silent = settled == MAPPING_NONE && epoch == it->silent;
    return epoch_of(cut) != epoch || silent || start_of(cut) <= settled;
}

/* Give a cut with its time as it is known by now. */
static void give(const report_wait *it, waiting_cut *one, outputs *out) {
    if (one->until != AT_ONCE && epoch_of(&one->cut) == it->stream->epoch) {
        double began = mapper_at(it->stream->mapper, start_of(&one->cut));
        if (one->cut.kind == OUTPUT_AUDIO)
            one->cut.as.audio.began = began;
        else
            one->cut.as.picture.began = began;
    }
    if (!outputs_add(out, &one->cut))
        COUNT(it->stream->counters, out_of_memory);
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
        bool at_once = seconds <= 0.0 || is_settled(it, &out->of[i]);
        it->of[it->count++] = (waiting_cut){at_once ? AT_ONCE : now + seconds, out->of[i]};
    }
    out->count = first;
}

void report_wait_release(report_wait *it, double now, outputs *out) {
    size_t kept = 0, surplus = it->count > MAX_WAITING ? it->count - MAX_WAITING : 0;
    for (size_t i = 0; i < it->count; i++) {
        waiting_cut *one = &it->of[i];
        bool over = one->until <= now;
        if (!over && !is_settled(it, &one->cut)) {
            if (surplus == 0) {
                it->of[kept++] = *one;
                continue;
            }
            COUNT(it->stream->counters, wait_full);
        } else if (over && one->until != AT_ONCE && it->stream->mapper->settled == MAPPING_NONE) {
            it->silent = it->stream->epoch;
        }
        surplus -= surplus > 0;
        give(it, one, out);
    }
    it->count = kept;
}

void report_wait_flush(report_wait *it, outputs *out) {
    for (size_t i = 0; i < it->count; i++)
        give(it, &it->of[i], out);
    it->count = 0;
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
}

double report_wait_deadline(const report_wait *it) {
    double first = NEVER;
    for (size_t i = 0; i < it->count; i++)
        first = earlier(it->of[i].until, first);
    return first;
}
