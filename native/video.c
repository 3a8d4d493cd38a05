#include "video.h"

#define ASK_AGAIN 0.5
#define PATIENCE 4.0
#define PROBE 60.0
#define ANSWER 1.0
#define SILENT 1.0
#define MAX_GOP_FRAMES 1800
#define MAX_GOP_BYTES ((size_t)16 << 20)
/* What an empty group may keep for the next one. */
#define KEPT_BYTES ((size_t)32 << 10)
#define KEPT_FRAMES 64

void frame_grabber_init(frame_grabber *it, uint64_t track, int64_t seconds, double wait,
                        bool can_ask, counters *counters) {
    *it = (frame_grabber){
        .track = track,
        .counters = counters,
        .mode = can_ask ? GRABBER_ASKING : GRABBER_KEEPING,
        .seconds = seconds,
        .wait = wait,
        .epoch = -1,
        .can_ask = can_ask,
        .asking_since = NAN,
        .asked = NAN,
        .seen = -INFINITY,
    };
}

static void forget_ends(frame_grabber *it) {
    free(it->gop_ends);
    it->gop_ends = NULL;
    it->gop_capacity = 0;
}

void frame_grabber_free(frame_grabber *it) {
    buffer_free(&it->gop);
    forget_ends(it);
    it->gop_count = 0;
}

static void drop_gop(frame_grabber *it) {
    it->gop.size = it->gop_count = 0;
    if (it->gop.capacity > KEPT_BYTES)
        buffer_free(&it->gop);
    if (it->gop_capacity > KEPT_FRAMES)
        forget_ends(it);
}

static void ask_anew(frame_grabber *it) {
    it->asking_since = it->asked = NAN;
    drop_gop(it);
    it->mode = it->can_ask ? GRABBER_ASKING : GRABBER_KEEPING;
}

bool frame_grabber_wakes_at(const frame_grabber *it, int64_t *at) {
    *at = it->due;
    return it->mode == GRABBER_ASLEEP;
}

void frame_grabber_observe(frame_grabber *it, int64_t timestamp, int64_t epoch, double now) {
    if (epoch != it->epoch) {
        it->epoch = epoch;
        it->has_due = true;
        it->due = timestamp;
        ask_anew(it);
    }
    if (it->mode == GRABBER_ASLEEP && timestamp >= it->due)
        it->mode = GRABBER_ASKING;
    bool back = now - it->seen > SILENT;
    if (now > it->seen)
        it->seen = now;
    if (it->mode == GRABBER_ASKING && (isnan(it->asking_since) || back))
        it->asking_since = now;
}

void frame_grabber_keyframe_began(frame_grabber *it, double now) {
    if (it->mode == GRABBER_KEEPING && !isnan(it->asked) && now - it->asked < ANSWER)
        it->mode = GRABBER_ASKING;
    if (it->mode == GRABBER_ASKING)
        it->asking_since = now;
}

static void keep(frame_grabber *it, const frame *frame) {
    size_t *ends = grown(it->gop_ends, it->gop_count + 1, &it->gop_capacity, sizeof *ends, 4);
    it->gop_ends = ends != NULL ? ends : it->gop_ends;
    if (ends == NULL || !buffer_append(&it->gop, frame->data, frame->size)) {
        COUNT(it->counters, out_of_memory);
        drop_gop(it);
        return;
    }
    it->gop_ends[it->gop_count++] = it->gop.size;
    if (it->gop_count > MAX_GOP_FRAMES || it->gop.size > MAX_GOP_BYTES) {
        COUNT(it->counters, gop_too_long);
        ask_anew(it);
    }
}

/* The cut takes the group over: it is not needed here any longer. */
static void hand_over(frame_grabber *it, picture_cut *cut) {
    cut->frames = it->gop;
    cut->ends = it->gop_ends;
    cut->count = it->gop_count;
    it->gop = (buffer){0};
    it->gop_ends = NULL;
    it->gop_count = it->gop_capacity = 0;
}

static bool copy(const frame_grabber *it, picture_cut *cut) {
    cut->ends = malloc(it->gop_count * sizeof *cut->ends);
    if (cut->ends == NULL || !buffer_append(&cut->frames, it->gop.data, it->gop.size))
        return false;
    memcpy(cut->ends, it->gop_ends, it->gop_count * sizeof *cut->ends);
    cut->count = it->gop_count;
    return true;
}

static void give(frame_grabber *it, output *one, outputs *out) {
    if (it->mode == GRABBER_ASKING) {
        hand_over(it, &one->as.picture);
        it->mode = GRABBER_ASLEEP;
        it->asking_since = it->asked = NAN;
    } else if (!copy(it, &one->as.picture)) {
        output_free(one);
        COUNT(it->counters, out_of_memory);
        return;
    }
    if (!outputs_add(out, one))
        COUNT(it->counters, out_of_memory);
}

static void grab(frame_grabber *it, int64_t timestamp, const ordered *last, outputs *out) {
    output one = {.kind = OUTPUT_PICTURE};
    one.as.picture = (picture_cut){
        .track = it->track,
        .codec = last->codec,
        .timestamp = timestamp,
        .due = it->due,
        .epoch = it->epoch,
        .began = mapper_at(last->mapper, timestamp),
    };
    int64_t step = it->seconds * (int64_t)last->codec->clock_rate;
    it->due += (1 + (timestamp - it->due) / step) * step; /* `timestamp` is not before `due` */
    give(it, &one, out);
}

void frame_grabber_receive(frame_grabber *it, const frame *frame, bool decodable,
                           const ordered *last, outputs *out) {
    if (!it->has_due || it->mode == GRABBER_ASLEEP)
        return;
    if (frame->keyframe) {
        drop_gop(it);
    } else if (it->mode == GRABBER_ASKING || !decodable || it->gop_count == 0) {
        drop_gop(it);
        return;
    }
    keep(it, frame);
    if (frame->timestamp >= it->due && it->gop_count > 0)
        grab(it, frame->timestamp, last, out);
}

bool frame_grabber_awaits_answer(const frame_grabber *it, double now) {
    return it->mode == GRABBER_ASKING && now - it->seen < SILENT;
}

bool frame_grabber_wants_keyframe(frame_grabber *it, double now) {
    double when = frame_grabber_deadline(it);
    if (when == NEVER || when > now)
        return false;
    it->asked = now;
    double waited = isnan(it->asking_since) ? 0.0 : now - it->asking_since;
    if (it->mode == GRABBER_ASKING && waited >= PATIENCE) {
        it->mode = GRABBER_KEEPING;
        COUNT(it->counters, unanswered);
    }
    return true;
}

double frame_grabber_deadline(const frame_grabber *it) {
    if (!it->can_ask || !it->has_due || it->mode == GRABBER_ASLEEP)
        return NEVER;
    if (isnan(it->asked))
        return isnan(it->asking_since) ? NEVER : it->asking_since;
    if (it->seen <= it->asked) /* nobody is sending: nobody to ask */
        return NEVER;
    return it->asked + (it->mode == GRABBER_ASKING ? ASK_AGAIN : PROBE);
}
