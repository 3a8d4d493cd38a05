/* One stream and all tasks that cut it; twin of slicer/slicing/track.py, for receiver.c alone. */
#ifndef SLICER_TRACK_H
#define SLICER_TRACK_H

#include "depacketizer.h"
#include "report_wait.h"
#include "video.h"

/* Seconds past its time for which a packet is still looked for at each tick. */
#define OVERDUE 0.1
/* Seconds that a track asks by itself, once another connection's request was no good to it. */
#define ALONE 600.0

typedef struct audio_track {
    stream *stream;
    const activity *activity; /* the connection's */
    audio_cutter *cutters;
    size_t count, capacity;
    report_wait wait;
} audio_track;

typedef struct video_track {
    stream *stream;
    bool can_ask, decodable;
    frame_grabber *grabbers;
    size_t count, capacity;
    const codec *codec;
    depacketizer *depacketizer; /* of that codec, or NULL */
    int height; /* that is enough for every task; 0: all there is */
    int64_t epoch;
    missing_reason missing;     /* why there is no picture, if there is none */
    uint8_t orientation; /* the last that a packet told */
    keyframe_requests own; /* by this connection */
    bool alone; /* until then, those that the section shares do not count */
    double alone_until;
    report_wait wait;
} video_track;

/* `scratch` is the caller's room for packets in order, empty before and after each call. */
void audio_track_init(audio_track *it, stream *stream, const activity *activity);
void audio_track_free(audio_track *it);
void audio_track_attach(audio_track *it, uint64_t track, const slice_spec *spec);
void audio_track_detach(audio_track *it, uint64_t track, ordereds *scratch, outputs *out);
void audio_track_receive(audio_track *it, double now, ordereds *scratch, outputs *out);
void audio_track_flush(audio_track *it, ordereds *scratch, outputs *out);
double audio_track_deadline(const audio_track *it);
/* Native only: when the packet that completes the next cut should be here. Before `now` where it is
 * late, NEVER where nothing is expected. */
double audio_track_expects(const audio_track *it, double now);

void video_track_init(video_track *it, stream *stream);
void video_track_free(video_track *it);
void video_track_attach(video_track *it, uint64_t track, const slice_spec *spec);
void video_track_detach(video_track *it, uint64_t track, outputs *out);
void video_track_receive(video_track *it, double now, ordereds *scratch, outputs *out);
void video_track_flush(video_track *it, ordereds *scratch, outputs *out);
double video_track_deadline(const video_track *it);
double video_track_expects(const video_track *it, double now);
bool video_track_wants_keyframe(video_track *it, double now);

#endif
