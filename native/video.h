/* The frame grabber; twin of slicer/slicing/video.py, which has the theory of operation. */
#ifndef SLICER_VIDEO_H
#define SLICER_VIDEO_H

#include "audio.h"
#include "spec.h"

typedef enum grabber_mode {
    GRABBER_TRYING,
    GRABBER_ASLEEP,
    GRABBER_ASKING,
    GRABBER_KEEPING
} grabber_mode;

/* Whether a source answers requests for keyframes, and when to send the next one. */
typedef struct answers {
    counters *counters;
    grabber_mode mode;
    bool can_ask, due, intact, probing, has_keyframe; /* due: a picture, at the last packet */
    int misses, answered;
    double seen;
    double asking_since, asked; /* NAN: not */
    double borrowed; /* another connection's first request since a keyframe began; NAN: none */
    bool forsaken, own; /* own: the last request was ours */
    int in_vain;
    int64_t keyframe;
    double keyframe_at, shortest;
} answers;

typedef struct frame_grabber {
    uint64_t track;
    counters *counters;
    answers answers;
    slice_spec spec;
    int64_t epoch;
    bool has_due, told, has_group;
    int64_t due;
    double overdue; /* NAN: not */
    int64_t overdue_from;
    int64_t keyframe; /* of the group that is kept; its frames that no cut has taken yet: */
    buffer pending;
    size_t *ends;
    size_t count, capacity, first;
} frame_grabber;

/* `can_ask`: the source may be asked for keyframes; so it is if the task wants it, too. */
void frame_grabber_init(frame_grabber *it, uint64_t track, const slice_spec *spec, bool can_ask,
                        counters *counters);
void frame_grabber_free(frame_grabber *it);
/* The media time until which packets are of no use; false while they are. */
bool frame_grabber_wakes_at(const frame_grabber *it, int64_t *at);
void frame_grabber_observe(frame_grabber *it, int64_t timestamp, int64_t epoch, bool contiguous,
                           double now);
void frame_grabber_keyframe_began(frame_grabber *it, int64_t timestamp, double now);
void frame_grabber_receive(frame_grabber *it, const frame *frame, bool decodable,
                           const ordered *last, outputs *out);
void frame_grabber_missing(frame_grabber *it, missing_reason reason, outputs *out);
/* Whether a keyframe was asked for, of somebody who sends. */
bool frame_grabber_awaits_answer(const frame_grabber *it, double now);
bool frame_grabber_wants_keyframe(frame_grabber *it, double now);
/* Another connection asked the source at `request`, which may be after `now`. */
void frame_grabber_borrow(frame_grabber *it, double request, double now);
/* Whether that turned out to be no good; told once. */
bool frame_grabber_forsaken(frame_grabber *it);
double frame_grabber_deadline(const frame_grabber *it);

#endif
