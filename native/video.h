/* The frame grabber; twin of slicer/slicing/video.py. */
#ifndef SLICER_VIDEO_H
#define SLICER_VIDEO_H

#include "audio.h"

typedef enum grabber_mode { GRABBER_ASLEEP, GRABBER_ASKING, GRABBER_KEEPING } grabber_mode;

typedef struct frame_grabber {
    uint64_t track;
    counters *counters;
    grabber_mode mode;
    int64_t seconds, epoch;
    double wait; /* seconds that a cut may wait for a report */
    bool can_ask, has_due;
    int64_t due;
    double asking_since, asked; /* NAN: not */
    double seen;
    buffer gop;
    size_t *gop_ends;
    size_t gop_count, gop_capacity;
} frame_grabber;

void frame_grabber_init(frame_grabber *it, uint64_t track, int64_t seconds, double wait,
                        bool can_ask, counters *counters);
void frame_grabber_free(frame_grabber *it);
/* The media time until which packets are of no use; false while they are. */
bool frame_grabber_wakes_at(const frame_grabber *it, int64_t *at);
void frame_grabber_observe(frame_grabber *it, int64_t timestamp, int64_t epoch, double now);
void frame_grabber_keyframe_began(frame_grabber *it, double now);
void frame_grabber_receive(frame_grabber *it, const frame *frame, bool decodable,
                           const ordered *last, outputs *out);
/* Whether a keyframe was asked for, of somebody who sends. */
bool frame_grabber_awaits_answer(const frame_grabber *it, double now);
bool frame_grabber_wants_keyframe(frame_grabber *it, double now);
double frame_grabber_deadline(const frame_grabber *it);

#endif
