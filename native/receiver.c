#include "receiver.h"

/* Room for packets in order that is kept from batch to batch. */
#define KEPT_ORDEREDS 256
#define NO_EPOCH (-2)

receiver *receiver_new(uint64_t anchor, uint32_t ssrc, ordereds *scratch,
                       transport_reporter *transport, const activity *activity) {
    receiver *it = calloc(1, sizeof *it);
    if (it == NULL)
        return NULL;
    it->anchor = anchor;
    it->scratch = scratch;
    it->activity = activity;
    for (size_t i = 0; i < SLOTS; i++)
        it->epochs[i] = NO_EPOCH;
    it->deadline = NEVER;
    it->heard = -NEVER;
    sender_clock_init(&it->sender);
    reporter_init(&it->reporter, ssrc, transport, &it->counters);
    return it;
}

/* ---- tracks, audio or video ---- */

static bool is_video(const track *it) { return it->slot & SLOT_VIDEO; }

static stream *stream_of_track(const track *it) {
    return is_video(it) ? it->as.video.stream : it->as.audio.stream;
}

static void track_free(track *it) {
    if (is_video(it))
        video_track_free(&it->as.video);
    else
        audio_track_free(&it->as.audio);
}

static void track_attach(track *it, uint64_t number, const slice_spec *spec) {
    if (is_video(it))
        video_track_attach(&it->as.video, number, spec);
    else
        audio_track_attach(&it->as.audio, number, spec);
}

static void track_detach(track *it, uint64_t number, ordereds *scratch, outputs *out) {
    if (is_video(it))
        video_track_detach(&it->as.video, number, out);
    else
        audio_track_detach(&it->as.audio, number, scratch, out);
}

static void track_flush(track *it, ordereds *scratch, outputs *out) {
    if (is_video(it))
        video_track_flush(&it->as.video, scratch, out);
    else
        audio_track_flush(&it->as.audio, scratch, out);
}

static double track_deadline(const track *it) {
    return is_video(it) ? video_track_deadline(&it->as.video) : audio_track_deadline(&it->as.audio);
}

static double track_expects(const track *it, double now) {
    return is_video(it) ? video_track_expects(&it->as.video, now)
                        : audio_track_expects(&it->as.audio, now);
}

/* The track of a slot among these, or NULL. */
static track *track_at(track *tracks, size_t count, uint8_t slot) {
    for (size_t i = 0; i < count; i++)
        if (tracks[i].slot == slot)
            return &tracks[i];
    return NULL;
}

void receiver_end_stream(stream *ended) {
    stream_free(ended);
    free(ended);
}

void receiver_free(receiver *it) {
    if (it == NULL)
        return;
    for (size_t i = 0; i < it->track_count; i++)
        track_free(&it->tracks[i]);
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
    if (one != NULL && stream_init(one, parameters, &it->counters, &it->sender)) {
        one->owner = it;
        return one;
    }
    COUNT(&it->counters, out_of_memory);
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

/* What is attached to a track goes on with the one that takes its slot. */
static void take_over(track *it, const track *before) {
    if (is_video(it)) {
        const video_track *video = &before->as.video;
        for (size_t i = 0; i < video->count; i++)
            track_attach(it, video->grabbers[i].track, &video->grabbers[i].spec);
        return;
    }
    for (size_t i = 0; i < before->as.audio.count; i++) {
        const audio_cutter *cutter = &before->as.audio.cutters[i];
        slice_spec spec = {.seconds = cutter->seconds, .wait = cutter->wait};
        track_attach(it, cutter->track, &spec);
    }
}

/* Begin the track of a stream in place of the one before of its slot, if there is one. */
static void begin_track(receiver *it, track *to, stream *first, const track *before) {
    if (is_video(to))
        video_track_init(&to->as.video, first);
    else
        audio_track_init(&to->as.audio, first, it->activity);
    begin_after(first, it->epochs[to->slot]);
    if (before != NULL)
        take_over(to, before);
}

static void end_track(receiver *it, track *ended, outputs *out) {
    track_flush(ended, it->scratch, out);
    stream *stream = stream_of_track(ended);
    it->epochs[ended->slot] = stream->epoch;
    stream_doze(stream, INFINITY);
}

/* The first streams of the slots, each as the track that it has or is to have. */
static size_t find_firsts(const receiver *it, track *firsts, stream **streams) {
    size_t count = 0;
    for (size_t i = 0; i < it->count; i++) {
        uint8_t slot = slot_of(it->streams[i]->parameters);
        if (track_at(firsts, count, slot) != NULL)
            continue;
        firsts[count] = (track){.slot = slot, .at = i};
        streams[count++] = it->streams[i];
    }
    return count;
}

/* The first stream of a slot is cut, the others sleep. All last cuts come first, in the order of the
 * tracks before. */
static void set_tracks(receiver *it, outputs *out) {
    track firsts[SLOTS], ended[SLOTS];
    stream *streams[SLOTS];
    size_t count = find_firsts(it, firsts, streams), gone = 0;
    for (size_t i = 0; i < it->track_count; i++) {
        track *before = &it->tracks[i], *after = track_at(firsts, count, before->slot);
        if (after != NULL && streams[after - firsts] == stream_of_track(before)) {
            after->as = before->as;
            streams[after - firsts] = NULL; /* it goes on as it is */
        } else {
            end_track(it, before, out);
            ended[gone++] = *before;
        }
    }
    for (size_t i = 0; i < count; i++)
        if (streams[i] != NULL)
            begin_track(it, &firsts[i], streams[i], track_at(ended, gone, firsts[i].slot));
    for (size_t i = 0; i < gone; i++)
        track_free(&ended[i]);
    memcpy(it->tracks, firsts, sizeof firsts);
    it->track_count = count;
    for (size_t i = 0; i < it->count; i++) {
        stream *one = it->streams[i];
        const track *of = track_at(it->tracks, count, slot_of(one->parameters));
        if (of->at != i && !one->asleep)
            stream_doze(one, INFINITY);
    }
}

size_t receiver_set_sections(receiver *it, const parameters *const *sections, size_t count,
                             stream **ended, outputs *out) {
    stream **streams = calloc(count ? count : 1, sizeof *streams);
    bool *asking = calloc(count ? count : 1, sizeof *asking);
    if (streams == NULL || asking == NULL) {
        COUNT(&it->counters, out_of_memory);
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

void receiver_attach(receiver *it, uint64_t track, uint8_t slot, const slice_spec *spec,
                     outputs *out) {
    struct track *one = track_at(it->tracks, it->track_count, slot);
    if (one == NULL)
        return;
    track_detach(one, track, it->scratch, out);
    track_attach(one, track, spec);
}

void receiver_detach(receiver *it, uint64_t track, uint8_t slot, outputs *out) {
    struct track *one = track_at(it->tracks, it->track_count, slot);
    if (one != NULL)
        track_detach(one, track, it->scratch, out);
}

void receiver_handle_timer(receiver *it, double now, outputs *out) {
    for (size_t i = 0; i < it->track_count; i++) {
        track *one = &it->tracks[i];
        if (is_video(one)) {
            video_track_receive(&one->as.video, now, it->scratch, out);
            it->asking[one->at] = video_track_wants_keyframe(&one->as.video, now);
        } else {
            audio_track_receive(&one->as.audio, now, it->scratch, out);
        }
    }
    if (it->scratch->capacity > KEPT_ORDEREDS)
        ordereds_free(it->scratch);
    if (!reporter_is_idle(&it->reporter, it->asking, now))
        reporter_handle_timer(&it->reporter, it->asking, now, out);
}

void receiver_flush(receiver *it, outputs *out) {
    for (size_t i = 0; i < it->track_count; i++)
        track_flush(&it->tracks[i], it->scratch, out);
}

double receiver_deadline(const receiver *it) {
    double first = reporter_deadline(&it->reporter);
    for (size_t i = 0; i < it->count; i++)
        first = earlier(first, stream_deadline(it->streams[i]));
    for (size_t i = 0; i < it->track_count; i++)
        first = earlier(first, track_deadline(&it->tracks[i]));
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
    for (size_t i = 0; i < it->track_count; i++)
        first = earlier(first, track_expects(&it->tracks[i], now));
    return first;
}
