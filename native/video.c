#include "video.h"

/* slicer/slicing/video.py has the reasons. */
#define ASK_AGAIN 0.5
#define PATIENCE 4.0
#define ANSWER 1.0
#define MISSES 2
#define PROBE 60.0
#define PROBE_SOON 5.0
#define ANSWERS 2
#define SILENT 1.0
#define LATE 0.75
#define MISSING_AFTER 10.0
#define MAX_PENDING_FRAMES 300
#define MAX_PENDING_BYTES ((size_t)16 << 20)
/* What an empty group may keep for the next one. */
#define KEPT_BYTES ((size_t)32 << 10)
#define KEPT_FRAMES 64

/* ---- answers ---- */

static void forget_probes(answers *it) {
    it->shortest = INFINITY;
    it->answered = 0;
    it->probing = false;
}

static void begin(answers *it) {
    it->asking_since = it->asked = it->borrowed = NAN;
    it->has_keyframe = false;
    it->misses = 0;
    it->keyframe_at = -INFINITY;
    it->mode = it->can_ask ? GRABBER_TRYING : GRABBER_KEEPING;
    forget_probes(it);
}

static void answers_init(answers *it, bool can_ask, counters *counters) {
    *it = (answers){.counters = counters, .can_ask = can_ask, .intact = true, .seen = -INFINITY};
    begin(it);
}

static double waited(const answers *it, double now) {
    return isnan(it->asking_since) ? 0.0 : now - it->asking_since;
}

static void give_up(answers *it) {
    it->mode = GRABBER_KEEPING;
    COUNT(it->counters, unanswered);
    forget_probes(it);
}

static void forsake(answers *it, double now) {
    it->forsaken = it->intact = true;
    it->asking_since = now;
    it->asked = it->borrowed = NAN;
    it->probing = false;
}

static bool answers_observe(answers *it, bool due, bool contiguous, double now) {
    if (it->mode == GRABBER_ASLEEP && due)
        it->mode = GRABBER_ASKING;
    it->due = due;
    bool back = now - it->seen > SILENT;
    if (now > it->seen)
        it->seen = now;
    if (back)
        it->borrowed = NAN;
    else if (now >= it->borrowed + ANSWER)
        forsake(it, now);
    bool asks = it->mode == GRABBER_TRYING || it->mode == GRABBER_ASKING;
    if (asks && (isnan(it->asking_since) || back)) {
        it->asking_since = now;
        it->intact = true;
    } else if (!contiguous) {
        it->intact = false;
    }
    return back;
}

static void satisfied(answers *it) {
    it->mode = GRABBER_ASLEEP;
    it->asking_since = it->asked = NAN;
}

static void try_soon(answers *it, double now) {
    it->asking_since = now + ASK_AGAIN;
    it->asked = NAN;
    it->intact = true;
}

static void judge_try(answers *it, double now) {
    double since = waited(it, now);
    if (since <= ASK_AGAIN || !it->intact) {
        it->misses = 0;
        if (it->due) {
            it->mode = GRABBER_ASKING;
            it->asking_since = now;
            it->intact = true;
        } else {
            satisfied(it);
        }
        return;
    }
    it->misses++;
    if (since > ANSWER || it->misses >= MISSES)
        give_up(it);
    else
        try_soon(it, now);
}

static void judge_answer(answers *it, double now) {
    double since = waited(it, now);
    it->asking_since = now;
    if (isnan(it->asked) || !it->intact) {
        it->intact = true;
        return;
    }
    it->misses += since > ASK_AGAIN ? 1 : -1;
    if (it->misses < 0)
        it->misses = 0;
    if (since > ANSWER || it->misses >= MISSES)
        give_up(it);
}

static void judge_probe(answers *it, double since, double now) {
    if (isnan(it->asked) || now - it->asked >= ANSWER) {
        it->shortest = earlier(it->shortest, since);
        return;
    }
    if (!it->probing || (it->shortest / 2 <= since && since <= 2 * it->shortest))
        return;
    it->probing = false;
    if (++it->answered < ANSWERS)
        return;
    it->mode = GRABBER_ASKING;
    it->asking_since = now;
    it->intact = true;
    it->misses = 0;
}

static void answers_keyframe_began(answers *it, int64_t timestamp, double now) {
    if (it->mode == GRABBER_ASLEEP || (it->has_keyframe && timestamp == it->keyframe))
        return;
    if (!isnan(it->borrowed) && !it->own)
        it->in_vain = 0;
    double since = now - it->keyframe_at;
    bool first = !it->has_keyframe;
    it->has_keyframe = true;
    it->keyframe = timestamp;
    it->keyframe_at = now;
    it->borrowed = NAN;
    if (it->mode == GRABBER_ASKING)
        judge_answer(it, now);
    else if (it->mode == GRABBER_KEEPING)
        judge_probe(it, since, now);
    else if (first)
        try_soon(it, now);
    else if (!isnan(it->asked))
        judge_try(it, now);
}

/* `borrowed`: when another connection did; NAN where we do. */
static void ask(answers *it, double now, double borrowed) {
    it->own = isnan(borrowed);
    bool after_another = it->own && !isnan(it->borrowed);
    if (isnan(it->asked) || after_another)
        it->asking_since = now;
    it->in_vain += after_another;
    if (after_another && it->in_vain >= MISSES) {
        it->forsaken = true;
        it->borrowed = NAN;
    }
    it->asked = now;
    if (isnan(it->borrowed))
        it->borrowed = borrowed;
    if (it->mode == GRABBER_KEEPING) {
        if (it->probing)
            it->answered = 0;
        it->probing = true;
    } else if (waited(it, now) >= PATIENCE) {
        give_up(it);
    }
}

static double answers_deadline(const answers *it, bool keeps) {
    if (!it->can_ask || it->mode == GRABBER_ASLEEP)
        return NEVER;
    if (isnan(it->asked))
        return isnan(it->asking_since) ? NEVER : it->asking_since;
    if (it->seen <= it->asked) /* nobody is sending: nobody to ask */
        return NEVER;
    if (it->mode != GRABBER_KEEPING)
        return it->asked + ASK_AGAIN;
    if (!keeps)
        return it->asked + PROBE_SOON;
    double due = it->asked + (it->answered ? PROBE_SOON : PROBE);
    if (it->keyframe_at >= due)
        return it->keyframe_at + ASK_AGAIN;
    return it->shortest < INFINITY ? due + earlier(PROBE, 2 * it->shortest) : due;
}

/* ---- the group that is kept ---- */

static void forget_ends(frame_grabber *it) {
    free(it->ends);
    it->ends = NULL;
    it->capacity = 0;
}

static void drop_group(frame_grabber *it) {
    it->has_group = false;
    it->pending.size = it->count = 0;
    if (it->pending.capacity > KEPT_BYTES)
        buffer_free(&it->pending);
    if (it->capacity > KEPT_FRAMES)
        forget_ends(it);
}

static void begin_group(frame_grabber *it, int64_t keyframe) {
    drop_group(it);
    it->has_group = true;
    it->keyframe = keyframe;
    it->first = 0;
}

static bool add(frame_grabber *it, const frame *frame) {
    size_t *ends = grown(it->ends, it->count + 1, &it->capacity, sizeof *ends, 4);
    it->ends = ends != NULL ? ends : it->ends;
    if (ends == NULL || !buffer_append(&it->pending, frame->data, frame->size)) {
        COUNT(it->counters, out_of_memory);
        drop_group(it);
        return false;
    }
    it->ends[it->count++] = it->pending.size;
    return true;
}

/* The cut takes a copy of the frames; false without memory. */
static bool copy(frame_grabber *it, picture_cut *cut) {
    cut->ends = malloc(it->count * sizeof *cut->ends);
    if (cut->ends == NULL || !buffer_append(&cut->frames, it->pending.data, it->pending.size)) {
        free(cut->ends);
        cut->ends = NULL;
        COUNT(it->counters, out_of_memory);
        return false;
    }
    memcpy(cut->ends, it->ends, it->count * sizeof *cut->ends);
    cut->count = it->count;
    cut->first = it->first;
    return true;
}

/* The cut takes the frames over. */
static void take(frame_grabber *it, picture_cut *cut) {
    cut->frames = it->pending;
    cut->ends = it->ends;
    cut->count = it->count;
    cut->first = it->first;
    it->first += it->count;
    it->pending = (buffer){0};
    it->ends = NULL;
    it->count = it->capacity = 0;
}

/* *stays*: the frames stay in the group as well; without memory for a copy they do not. */
static output cut_of(frame_grabber *it, const frame *frame, const ordered *last, bool stays) {
    output one = {.kind = OUTPUT_FRAMES};
    one.as.picture = (picture_cut){
        .track = it->track,
        .codec = last->codec,
        .timestamp = frame->timestamp,
        .epoch = it->epoch,
        .keyframe = it->keyframe,
    };
    if (!stays || !copy(it, &one.as.picture))
        take(it, &one.as.picture);
    return one;
}

static void give(frame_grabber *it, output *one, outputs *out) {
    if (!outputs_add(out, one))
        COUNT(it->counters, out_of_memory);
}

static void hand_over(frame_grabber *it, const frame *frame, const ordered *last, outputs *out) {
    COUNT(it->counters, frames_ahead);
    output one = cut_of(it, frame, last, false);
    give(it, &one, out);
}

/* Whether the picture of this media time waited too long. */
static bool is_late(const frame_grabber *it, int64_t timestamp, double clock_rate) {
    if (isnan(it->overdue))
        return false;
    double behind = (double)(timestamp - it->overdue_from);
    return it->answers.seen - it->overdue > LATE || behind > LATE * clock_rate;
}

static void grab(frame_grabber *it, const frame *frame, const ordered *last, outputs *out) {
    bool stays = it->answers.mode == GRABBER_TRYING && it->first == 0 && it->count == 1;
    output one = cut_of(it, frame, last, stays);
    picture_cut *cut = &one.as.picture;
    one.kind = OUTPUT_PICTURE;
    cut->due = it->due;
    cut->began = mapper_at(last->mapper, frame->timestamp);
    cut->continues = it->answers.mode != GRABBER_ASKING && !stays;
    cut->orientation = frame->orientation;
    int64_t step = it->spec.seconds * (int64_t)last->codec->clock_rate;
    it->due += (1 + (frame->timestamp - it->due) / step) * step; /* it is not before `due` */
    if (is_late(it, frame->timestamp, last->codec->clock_rate))
        COUNT(it->counters, picture_late);
    it->overdue = NAN;
    it->told = false;
    if (it->answers.mode == GRABBER_ASKING) {
        satisfied(&it->answers);
        drop_group(it);
    }
    give(it, &one, out);
}

/* ---- the grabber ---- */

void frame_grabber_init(frame_grabber *it, uint64_t track, const slice_spec *spec, bool can_ask,
                        counters *counters) {
    *it = (frame_grabber){
        .track = track,
        .counters = counters,
        .spec = *spec,
        .epoch = -1,
        .overdue = NAN,
    };
    answers_init(&it->answers, can_ask && spec->asks_every < INFINITY, counters);
}

void frame_grabber_free(frame_grabber *it) {
    buffer_free(&it->pending);
    forget_ends(it);
    it->count = 0;
}

bool frame_grabber_wakes_at(const frame_grabber *it, int64_t *at) {
    *at = it->due;
    return it->answers.mode == GRABBER_ASLEEP;
}

void frame_grabber_observe(frame_grabber *it, int64_t timestamp, int64_t epoch, bool contiguous,
                           double now) {
    if (epoch != it->epoch) {
        it->epoch = epoch;
        it->has_due = true;
        it->due = timestamp;
        it->overdue = NAN;
        it->told = false;
        drop_group(it);
        begin(&it->answers);
    }
    bool back = answers_observe(&it->answers, timestamp >= it->due, contiguous, now);
    if (timestamp >= it->due && (isnan(it->overdue) || back)) {
        it->overdue = now;
        it->overdue_from = timestamp;
    }
}

void frame_grabber_keyframe_began(frame_grabber *it, int64_t timestamp, double now) {
    answers_keyframe_began(&it->answers, timestamp, now);
    if (it->answers.mode == GRABBER_ASLEEP)
        drop_group(it);
}

void frame_grabber_receive(frame_grabber *it, const frame *frame, bool decodable,
                           const ordered *last, outputs *out) {
    if (!it->has_due || it->answers.mode == GRABBER_ASLEEP)
        return;
    if (frame->keyframe)
        begin_group(it, frame->timestamp);
    else if (it->answers.mode == GRABBER_ASKING || !decodable)
        drop_group(it);
    if (!it->has_group || !add(it, frame))
        return;
    if (frame->timestamp >= it->due)
        grab(it, frame, last, out);
    else if (it->count >= MAX_PENDING_FRAMES || it->pending.size >= MAX_PENDING_BYTES)
        hand_over(it, frame, last, out);
}

void frame_grabber_missing(frame_grabber *it, missing_reason reason, outputs *out) {
    if (it->told || isnan(it->overdue) || it->answers.seen - it->overdue < MISSING_AFTER)
        return;
    it->told = true;
    COUNT(it->counters, picture_missing);
    output one = {.kind = OUTPUT_MISSING, .as.missing = {it->track, reason}};
    give(it, &one, out);
}

bool frame_grabber_awaits_answer(const frame_grabber *it, double now) {
    bool asks = it->answers.mode == GRABBER_TRYING || it->answers.mode == GRABBER_ASKING;
    return asks && now - it->answers.seen < SILENT;
}

bool frame_grabber_wants_keyframe(frame_grabber *it, double now) {
    double when = frame_grabber_deadline(it);
    if (when == NEVER || when > now)
        return false;
    ask(&it->answers, now, NAN);
    return true;
}

void frame_grabber_borrow(frame_grabber *it, double request, double now) {
    double at = earlier(now, request), when = frame_grabber_deadline(it);
    if (when != NEVER && when <= at)
        ask(&it->answers, at, request);
}

bool frame_grabber_forsaken(frame_grabber *it) {
    bool forsaken = it->answers.forsaken;
    it->answers.forsaken = false;
    return forsaken;
}

double frame_grabber_deadline(const frame_grabber *it) {
    return it->has_due ? answers_deadline(&it->answers, it->has_group) : NEVER;
}
