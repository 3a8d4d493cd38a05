/* The audio cutter; twin of slicer/slicing/audio.py. */
#ifndef SLICER_AUDIO_H
#define SLICER_AUDIO_H

#include "activity.h"
#include "stream.h"

typedef struct audio_packet {
    int64_t timestamp;
    uint32_t duration, size;
    size_t offset; /* of its payload in the bytes beside it */
} audio_packet;

/* A decision that [start, end) is one slice. The packets and bytes are the cut's own. */
typedef struct audio_cut {
    uint64_t track; /* the caller's name for who is cut for */
    const codec *codec;
    int64_t start, end, epoch;
    double began;
    audio_packet *packets;
    size_t count;
    uint8_t *bytes;
    bool provisional;
    int8_t level; /* of the loudest packet, or NO_LEVEL where one does not tell */
} audio_cut;

typedef struct picture_cut {
    uint64_t track;
    const codec *codec;
    int64_t timestamp, due, epoch, keyframe;
    double began;
    buffer frames; /* whole access units end to end */
    size_t *ends;  /* where each one ends */
    size_t count, first;
    bool continues, provisional;
    uint8_t orientation;
} picture_cut;

/* Why a picture that is due cannot be had. */
typedef enum missing_reason {
    MISSING_KEYFRAME,
    MISSING_WHOLE_KEYFRAME,
    MISSING_PARAMETER_SETS,
    MISSING_PACKETIZATION,
} missing_reason;

typedef struct picture_missing {
    uint64_t track;
    missing_reason reason;
} picture_missing;

/* A report has told more of a cut that was given before it came. */
typedef struct settled_cut {
    uint64_t track;
    int64_t epoch, start;
    double began;
} settled_cut;

/* Everything a receiver gives, in order. */
typedef struct output {
    enum {
        OUTPUT_AUDIO,
        OUTPUT_PICTURE,
        OUTPUT_FRAMES,
        OUTPUT_MISSING,
        OUTPUT_SETTLED,
        OUTPUT_TRANSMIT
    } kind;
    union {
        audio_cut audio;
        picture_cut picture; /* of OUTPUT_FRAMES, too: no picture is in them */
        picture_missing missing;
        settled_cut settled;
        buffer transmit;
    } as;
} output;

typedef struct outputs {
    output *of;
    size_t count, capacity;
} outputs;

/* Takes over what `one` holds; frees it where there is no memory, and gives false. */
bool outputs_add(outputs *it, output *one);
void output_free(output *it);
void outputs_clear(outputs *it);
void outputs_free(outputs *it);

typedef struct audio_cutter {
    uint64_t track;
    const activity *activity; /* the connection's */
    counters *counters;
    int64_t seconds, epoch;
    double wait; /* seconds that a cut may wait for a report */
    const codec *codec;
    mapper *mapper; /* a reference, of the epoch; NULL before the first */
    bool open;
    audio_packet *packets;
    size_t count, capacity;
    buffer bytes;  /* the packets' payloads, end to end */
    int64_t start, end, next, settles_at;
    double began; /* of the open slice, once it is known well; NAN before */
    double heard, looks_at;
    int8_t level, loudest; /* of the last packet; of the open slice */
} audio_cutter;

/* `activity` and `counters` outlive the cutter. */
void audio_cutter_init(audio_cutter *it, uint64_t track, int64_t seconds, double wait,
                       const activity *activity, counters *counters);
void audio_cutter_free(audio_cutter *it);
void audio_cutter_receive(audio_cutter *it, const ordered *ordered, outputs *out);
void audio_cutter_flush(audio_cutter *it, outputs *out);
/* The timer, once it is due. */
void audio_cutter_look(audio_cutter *it, double now, outputs *out);

static inline double audio_cutter_deadline(const audio_cutter *it) {
    return it->open ? it->looks_at : NEVER;
}

static inline void audio_cutter_handle_timer(audio_cutter *it, double now, outputs *out) {
    if (audio_cutter_deadline(it) <= now)
        audio_cutter_look(it, now, out);
}

#endif
