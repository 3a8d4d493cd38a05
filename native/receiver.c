#include "receiver.h"

/* Room for packets in order that is kept from batch to batch. */
#define KEPT_ORDEREDS 256
#define NO_EPOCH (-2)

receiver *receiver_new(uint64_t anchor, uint32_t ssrc, counters *counters, ordereds *scratch,
                       transport_reporter *transport, const activity *activity) {
    receiver *it = calloc(1, sizeof *it);
    if (it == NULL)
        return NULL;
    it->anchor = anchor;
    it->counters = counters;
    it->scratch = scratch;
    it->activity = activity;
    it->audio_epoch = it->video_epoch = NO_EPOCH;
    it->deadline = NEVER;
    it->heard = -NEVER;
    sender_clock_init(&it->sender);
    reporter_init(&it->reporter, ssrc, transport, counters);
    return it;
}

void receiver_end_stream(stream *ended) {
    stream_free(ended);
    free(ended);
}

void receiver_free(receiver *it) {
    if (it == NULL)
        return;
    audio_track_free(&it->audio);
    video_track_free(&it->video);
    for (size_t i = 0; i < it->count; i++)
        receiver_end_stream(it->streams[i]);
    sender_clock_free(&it->sender);
    free(it->streams);
    free(it->asking);
    free(it);
}

/* ---- sections ---- */

static stream *new_stream(receiver *it, const parameters *parameters) {
    stream *one = calloc(1, sizeof *one);
    if (one != NULL && stream_init(one, parameters, it->counters, &it->sender)) {
        one->owner = it;
        return one;
    }
    COUNT(it->counters, out_of_memory);
    free(one);
    return NULL;
}

/* The stream of this section, out of those there are, or a new one; NULL where there is no memory. */
static stream *stream_of(receiver *it, const parameters *parameters) {
    for (size_t i = 0; i < it->count; i++) {
        stream *one = it->streams[i];
        if (one == NULL || one->parameters != parameters)
            continue;
        it->streams[i] = NULL;
        return one;
    }
    return new_stream(it, parameters);
}

/* In later epochs than the track before, so that cuts stay in order. */
static void begin_after(stream *stream, int64_t epoch) {
    if (epoch != NO_EPOCH && stream->epoch <= epoch)
        stream->epoch = epoch + 1;
}

static void replace_audio(receiver *it, stream *first) {
    audio_track before = it->audio;
    it->audio = (audio_track){0};
    it->has_audio = first != NULL;
    if (first != NULL) {
        audio_track_init(&it->audio, first, it->activity);
        begin_after(first, it->audio_epoch);
        for (size_t i = 0; i < before.count; i++) {
            const audio_cutter *cutter = &before.cutters[i];
            slice_spec spec = {.seconds = cutter->seconds, .wait = cutter->wait};
            audio_track_attach(&it->audio, cutter->track, &spec);
        }
    }
    audio_track_free(&before);
}

static void replace_video(receiver *it, stream *first) {
    video_track before = it->video;
    it->video = (video_track){0};
    it->has_video = first != NULL;
    if (first != NULL) {
        video_track_init(&it->video, first);
        begin_after(first, it->video_epoch);
        for (size_t i = 0; i < before.count; i++)
            video_track_attach(&it->video, before.grabbers[i].track, &before.grabbers[i].spec);
    }
    video_track_free(&before);
}

static void end_audio(receiver *it, outputs *out) {
    audio_track_flush(&it->audio, it->scratch, out);
    it->audio_epoch = it->audio.stream->epoch;
    stream_doze(it->audio.stream, INFINITY);
}

static void end_video(receiver *it, outputs *out) {
    video_track_flush(&it->video, it->scratch, out);
    it->video_epoch = it->video.stream->epoch;
    stream_doze(it->video.stream, INFINITY);
}

/* The first stream of a kind is cut. All last cuts come first, in the order of the tracks. */
static void replace_tracks(receiver *it, stream *audio, stream *video, outputs *out) {
    bool new_audio = !it->has_audio || it->audio.stream != audio;
    bool new_video = !it->has_video || it->video.stream != video;
    if (it->has_video && it->video_first && new_video)
        end_video(it, out);
    if (it->has_audio && new_audio)
        end_audio(it, out);
    if (it->has_video && !it->video_first && new_video)
        end_video(it, out);
    if (new_audio)
        replace_audio(it, audio);
    if (new_video)
        replace_video(it, video);
}

/* Which streams are the first of their kinds; the others are to sleep. */
static void set_tracks(receiver *it, outputs *out) {
    stream *audio = NULL, *video = NULL;
    for (size_t i = 0; i < it->count; i++) {
        stream *one = it->streams[i];
        if (one->parameters->video && video == NULL) {
            video = one;
            it->video_at = i;
        } else if (!one->parameters->video && audio == NULL) {
            audio = one;
        }
    }
    replace_tracks(it, audio, video, out);
    it->video_first = video != NULL && it->streams[0] == video;
    for (size_t i = 0; i < it->count; i++) {
        stream *one = it->streams[i];
        if (one != audio && one != video && !one->asleep)
            stream_doze(one, INFINITY);
    }
}

size_t receiver_set_sections(receiver *it, const parameters *const *sections, size_t count,
                             stream **ended, outputs *out) {
    stream **streams = calloc(count ? count : 1, sizeof *streams);
    bool *asking = calloc(count ? count : 1, sizeof *asking);
    if (streams == NULL || asking == NULL) {
        COUNT(it->counters, out_of_memory);
        free(streams);
        free(asking);
        return 0;
    }
    size_t kept = 0, gone = 0;
    for (size_t i = 0; i < count; i++) {
        stream *one = stream_of(it, sections[i]);
        if (one != NULL)
            streams[kept++] = one;
    }
    for (size_t i = 0; i < it->count; i++)
        if (it->streams[i] != NULL)
            ended[gone++] = it->streams[i];
    free(it->streams);
    free(it->asking);
    it->streams = it->reporter.streams = streams;
    it->count = it->reporter.stream_count = kept;
    it->asking = asking;
    set_tracks(it, out);
    return gone;
}

/* ---- tracks ---- */

void receiver_attach(receiver *it, uint64_t track, bool video, const slice_spec *spec,
                     outputs *out) {
    if (video && it->has_video) {
        video_track_detach(&it->video, track, out);
        video_track_attach(&it->video, track, spec);
    } else if (!video && it->has_audio) {
        audio_track_detach(&it->audio, track, it->scratch, out);
        audio_track_attach(&it->audio, track, spec);
    }
}

void receiver_detach(receiver *it, uint64_t track, bool video, outputs *out) {
    if (video && it->has_video)
        video_track_detach(&it->video, track, out);
    else if (!video && it->has_audio)
        audio_track_detach(&it->audio, track, it->scratch, out);
}

static void cut_audio(receiver *it, double now, outputs *out) {
    audio_track_receive(&it->audio, now, it->scratch, out);
}

static void take_pictures(receiver *it, double now, outputs *out) {
    video_track_receive(&it->video, now, it->scratch, out);
    it->asking[it->video_at] = video_track_wants_keyframe(&it->video, now);
}

static void report(receiver *it, double now, outputs *out) {
    if (reporter_is_idle(&it->reporter, it->asking, now))
        return;
    output one = {.kind = OUTPUT_TRANSMIT};
    if (!reporter_handle_timer(&it->reporter, it->asking, now, &one.as.transmit))
        output_free(&one);
    else if (!outputs_add(out, &one))
        COUNT(it->counters, out_of_memory);
}

void receiver_handle_timer(receiver *it, double now, outputs *out) {
    if (it->has_video && it->video_first)
        take_pictures(it, now, out);
    if (it->has_audio)
        cut_audio(it, now, out);
    if (it->has_video && !it->video_first)
        take_pictures(it, now, out);
    if (it->scratch->capacity > KEPT_ORDEREDS)
        ordereds_free(it->scratch);
    report(it, now, out);
}

void receiver_flush(receiver *it, outputs *out) {
    if (it->has_video && it->video_first)
        video_track_flush(&it->video, it->scratch, out);
    if (it->has_audio)
        audio_track_flush(&it->audio, it->scratch, out);
    if (it->has_video && !it->video_first)
        video_track_flush(&it->video, it->scratch, out);
}

double receiver_deadline(const receiver *it) {
    double first = reporter_deadline(&it->reporter);
    for (size_t i = 0; i < it->count; i++)
        first = earlier(first, stream_deadline(it->streams[i]));
    if (it->has_audio)
        first = earlier(first, audio_track_deadline(&it->audio));
    if (it->has_video)
        first = earlier(first, video_track_deadline(&it->video));
    return first;
}

double receiver_expects(const receiver *it, double now) {
    double first = NEVER;
    for (size_t i = 0; i < it->count; i++) {
        stream *stream = it->streams[i];
        /* A packet was asked for: it is a round trip away, and of no use once its hole is given up. */
        if (stream->has_source && stream->source.nacks.count)
            return now;
        /* A hole is given up: that may complete a cut, though no packet comes. */
        first = earlier(first, stream_deadline(stream));
    }
    if (it->has_audio)
        first = earlier(first, audio_track_expects(&it->audio, now));
    if (it->has_video)
        first = earlier(first, video_track_expects(&it->video, now));
    return first;
}
