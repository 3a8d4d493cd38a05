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
} audio_cut;

typedef struct picture_cut {
    uint64_t track;
    const codec *codec;
    int64_t timestamp, due, epoch;
    double began;
    buffer frames; /* whole access units end to end, from a keyframe on */
    size_t *ends;  /* where each one ends */
    size_t count;
} picture_cut;

/* Everything a receiver gives, in order. */
typedef struct output {
    enum { OUTPUT_AUDIO, OUTPUT_PICTURE, OUTPUT_TRANSMIT } kind;
    union {
        audio_cut audio;
        picture_cut picture;
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
    const codec *codec;
    mapper *mapper; /* a reference, of the epoch; NULL before the first */
    bool open;
    audio_packet *packets;
    size_t count, capacity;
    buffer bytes;  /* the packets' payloads, end to end */
    int64_t start, end, next;
    double heard, looks_at;
} audio_cutter;

/* `activity` and `counters` outlive the cutter. */
void audio_cutter_init(audio_cutter *it, uint64_t track, int64_t seconds, const activity *activity,
                       counters *counters);
void audio_cutter_free(audio_cutter *it);
void audio_cutter_receive(audio_cutter *it, const ordered *ordered, outputs *out);
void audio_cutter_handle_timer(audio_cutter *it, double now, outputs *out);
void audio_cutter_flush(audio_cutter *it, outputs *out);
double audio_cutter_deadline(const audio_cutter *it);

#endif
