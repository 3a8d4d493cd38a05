#include "track.h"

void audio_track_init(audio_track *it, stream *stream, const activity *activity) {
    *it = (audio_track){.stream = stream, .activity = activity};
    report_wait_init(&it->wait, stream);
    stream_doze(stream, INFINITY);
}

void audio_track_free(audio_track *it) {
    for (size_t i = 0; i < it->count; i++)
        audio_cutter_free(&it->cutters[i]);
    free(it->cutters);
    report_wait_free(&it->wait);
    *it = (audio_track){0};
}

void audio_track_attach(audio_track *it, uint64_t track, const slice_spec *spec) {
    counters *counters = it->stream->counters;
    audio_cutter *cutters =
        grown(it->cutters, it->count + 1, &it->capacity, sizeof *cutters, 1);
    if (cutters == NULL) {
        COUNT(counters, out_of_memory);
        return;
    }
    it->cutters = cutters;
    audio_cutter_init(&cutters[it->count++], track, spec->seconds, spec->wait, it->activity,
                      counters);
    stream_wake(it->stream);
}

/* Let what a cutter has put behind the first `before` outputs wait. */
static void wait_for_report(audio_track *it, const audio_cutter *cutter, size_t before, double now,
                            outputs *out) {
    if (out->count > before)
        report_wait_add(&it->wait, out, before, cutter->wait, now);
}

static inline void cut(audio_track *it, ordereds *packets, double now, outputs *out) {
    size_t before = out->count;
    for (size_t i = 0; i < packets->count; i++) {
        for (size_t j = 0; j < it->count; j++) {
            audio_cutter_receive(&it->cutters[j], &packets->of[i], out);
            wait_for_report(it, &it->cutters[j], before, now, out);
        }
    }
    ordereds_clear(packets);
}

static void cut_what_is_held(audio_track *it, ordereds *scratch, outputs *out) {
    stream_flush(it->stream, scratch);
    cut(it, scratch, 0.0, out);
}

static void flush_cutter(audio_track *it, audio_cutter *cutter, outputs *out) {
    size_t before = out->count;
    audio_cutter_flush(cutter, out);
    if (out->count > before)
        report_wait_add(&it->wait, out, before, 0.0, 0.0);
}

void audio_track_detach(audio_track *it, uint64_t track, ordereds *scratch, outputs *out) {
    size_t at = 0;
    while (at < it->count && it->cutters[at].track != track)
        at++;
    if (at == it->count)
        return;
    bool last = it->count == 1;
    if (last)
        cut_what_is_held(it, scratch, out);
    flush_cutter(it, &it->cutters[at], out);
    report_wait_flush_track(&it->wait, track, out);
    audio_cutter_free(&it->cutters[at]);
    it->count--;
    memmove(&it->cutters[at], &it->cutters[at + 1], (it->count - at) * sizeof *it->cutters);
    if (last)
        stream_doze(it->stream, INFINITY);
}

void audio_track_receive(audio_track *it, double now, ordereds *scratch, outputs *out) {
    stream_drain(it->stream, now, scratch);
    cut(it, scratch, now, out);
    size_t before = out->count;
    for (size_t i = 0; i < it->count; i++) {
        audio_cutter_handle_timer(&it->cutters[i], now, out);
        wait_for_report(it, &it->cutters[i], before, now, out);
    }
    if (it->wait.count || it->wait.unsettled_count)
        report_wait_release(&it->wait, now, out);
}

void audio_track_flush(audio_track *it, ordereds *scratch, outputs *out) {
    cut_what_is_held(it, scratch, out);
    for (size_t i = 0; i < it->count; i++)
        flush_cutter(it, &it->cutters[i], out);
    report_wait_flush(&it->wait, out);
}

double audio_track_deadline(const audio_track *it) {
    double first = report_wait_deadline(&it->wait);
    for (size_t i = 0; i < it->count; i++)
        first = earlier(first, audio_cutter_deadline(&it->cutters[i]));
    return first;
}

/* A cut is complete when the packet comes that reaches the slice's end; the mapper of its epoch tells
 * when media of that time arrives. One that is overdue is left to the next long tick: the sender may
 * have stopped, and a read every tick would find nothing. */
double audio_track_expects(const audio_track *it, double now) {
    double first = NEVER;
    for (size_t i = 0; i < it->count; i++) {
        const audio_cutter *cutter = &it->cutters[i];
        double end = cutter->open ? mapper_arrival(cutter->mapper, cutter->end) : NEVER;
        if (end > now - OVERDUE)
            first = earlier(first, end);
    }
    return first;
}

void video_track_init(video_track *it, stream *stream) {
    *it = (video_track){.stream = stream, .epoch = -1};
    keyframe_requests_init(&it->own);
    it->alone_until = -INFINITY;
    report_wait_init(&it->wait, stream);
    it->can_ask = stream->parameters->feedback & (FEEDBACK_PLI | FEEDBACK_FIR);
    stream_doze(stream, INFINITY);
}

void video_track_free(video_track *it) {
    for (size_t i = 0; i < it->count; i++)
        frame_grabber_free(&it->grabbers[i]);
    free(it->grabbers);
    depacketizer_free(it->depacketizer);
    report_wait_free(&it->wait);
    *it = (video_track){0};
}

/* Have the layer taken that is high enough for every task; without tasks, as before. */
static void choose_layer(video_track *it) {
    int height = 0;
    bool any = true;
    for (size_t i = 0; i < it->count; i++) {
        int wanted = it->grabbers[i].spec.max_height;
        any = any && wanted > 0;
        height = wanted > height ? wanted : height;
    }
    if (it->count == 0)
        return;
    it->height = it->stream->layers.height = any ? height : 0;
    if (it->depacketizer != NULL)
        it->depacketizer->height = it->height;
}

void video_track_attach(video_track *it, uint64_t track, const slice_spec *spec) {
    counters *counters = it->stream->counters;
    frame_grabber *grabbers =
        grown(it->grabbers, it->count + 1, &it->capacity, sizeof *grabbers, 1);
    if (grabbers == NULL) {
        COUNT(counters, out_of_memory);
        return;
    }
    it->grabbers = grabbers;
    frame_grabber_init(&grabbers[it->count++], track, spec, it->can_ask, counters);
    choose_layer(it);
    stream_wake(it->stream);
}

/* Sleep until the first grabber needs packets again. */
static void rest(video_track *it) {
    double until = INFINITY;
    for (size_t i = 0; i < it->count; i++) {
        int64_t at;
        if (!frame_grabber_wakes_at(&it->grabbers[i], &at))
            return;
        until = earlier(until, (double)at);
    }
    stream_doze(it->stream, until);
    depacketizer_rest(it->depacketizer); /* what sleeps holds no frame's memory */
    it->decodable = false;
}

void video_track_detach(video_track *it, uint64_t track, outputs *out) {
    size_t at = 0;
    while (at < it->count && it->grabbers[at].track != track)
        at++;
    if (at < it->count) {
        frame_grabber_free(&it->grabbers[at]);
        it->count--;
        memmove(&it->grabbers[at], &it->grabbers[at + 1],
                (it->count - at) * sizeof *it->grabbers);
    }
    choose_layer(it);
    rest(it);
    report_wait_flush_track(&it->wait, track, out);
}

/* Whether a keyframe began. */
static bool observe(video_track *it, const ordered *ordered) {
    const packet *packet = &ordered->packet;
    bool starts = ordered->codec->format->starts_keyframe(packet->payload, packet->size);
    for (size_t i = 0; i < it->count; i++) {
        frame_grabber *grabber = &it->grabbers[i];
        frame_grabber_observe(grabber, packet->timestamp, ordered->epoch, ordered->contiguous,
                              packet->arrival);
        if (starts)
            frame_grabber_keyframe_began(grabber, packet->timestamp, packet->arrival);
    }
    if (starts && it->missing == MISSING_KEYFRAME)
        it->missing = MISSING_WHOLE_KEYFRAME;
    return starts;
}

/* The depacketizer for this packet; NULL where there is no memory for it. */
static depacketizer *depacketizer_of(video_track *it, const codec *codec) {
    if (codec != it->codec || it->depacketizer == NULL) {
        depacketizer_free(it->depacketizer);
        it->codec = codec;
        it->depacketizer = depacketizer_new(codec);
        if (it->depacketizer != NULL)
            it->depacketizer->height = it->height;
    }
    return it->depacketizer;
}

static void refuse(video_track *it, bool unsupported) {
    it->decodable = false;
    if (it->depacketizer == NULL || it->depacketizer->open.starved) {
        COUNT(it->stream->counters, out_of_memory);
    } else if (unsupported) {
        COUNT(it->stream->counters, unsupported_payload);
        it->missing = MISSING_PACKETIZATION;
    } else {
        COUNT(it->stream->counters, malformed_payload);
    }
}

/* Note the orientation that a packet tells; gives the one before. */
static uint8_t note_orientation(video_track *it, const packet *packet, bool fresh) {
    uint8_t before = it->orientation;
    if (fresh)
        it->orientation = 0;
    if (packet->orientation != NO_ORIENTATION)
        it->orientation = packet->orientation;
    return before;
}

/* Whether this packet completes a frame, which is then written. */
static bool assemble(video_track *it, const ordered *ordered, frame *frame) {
    const packet *packet = &ordered->packet;
    depacketizer *depacketizer = depacketizer_of(it, ordered->codec);
    bool fresh = ordered->epoch != it->epoch;
    it->epoch = ordered->epoch;
    pushed pushed = PUSHED_MALFORMED;
    if (depacketizer != NULL)
        pushed = depacketizer_push(depacketizer, packet->payload, packet->size, packet->timestamp,
                                   packet->marker, ordered->contiguous, frame);
    if (pushed == PUSHED_MALFORMED || pushed == PUSHED_UNSUPPORTED)
        refuse(it, pushed == PUSHED_UNSUPPORTED);
    bool given = pushed == PUSHED_FRAME || pushed == PUSHED_BARE;
    bool before = given && frame->timestamp != packet->timestamp;
    if (!ordered->contiguous && !before)
        it->decodable = false;
    uint8_t orientation = note_orientation(it, packet, fresh);
    if (!given || (before && fresh)) /* a frame of the last epoch has no place in this one's time */
        return false;
    if (pushed == PUSHED_BARE) {
        COUNT(it->stream->counters, no_parameter_sets);
        it->decodable = false;
        it->missing = MISSING_PARAMETER_SETS;
        return false;
    }
    frame->orientation = before ? orientation : it->orientation;
    return true;
}

/* Whether a grabber may have fallen asleep: there was a picture, or a keyframe began. */
static bool grab_one(video_track *it, const ordered *ordered, double now, outputs *out) {
    frame frame;
    size_t before = out->count;
    bool grabbed = observe(it, ordered);
    if (!assemble(it, ordered, &frame))
        return grabbed;
    if (frame.keyframe) {
        it->decodable = true;
        it->missing = MISSING_KEYFRAME;
    }
    for (size_t i = 0; i < it->count; i++) {
        frame_grabber_receive(&it->grabbers[i], &frame, it->decodable, ordered, out);
        if (out->count == before)
            continue;
        grabbed = true;
        report_wait_add(&it->wait, out, before, it->grabbers[i].spec.wait, now);
    }
    /* A frame that ended before a hole says nothing about what comes after the hole. */
    if (!ordered->contiguous && frame.timestamp != ordered->packet.timestamp)
        it->decodable = false;
    return grabbed;
}

static bool grab(video_track *it, ordereds *packets, double now, outputs *out) {
    bool grabbed = false;
    for (size_t i = 0; i < packets->count; i++)
        grabbed |= grab_one(it, &packets->of[i], now, out);
    ordereds_clear(packets);
    return grabbed;
}

void video_track_receive(video_track *it, double now, ordereds *scratch, outputs *out) {
    stream_drain(it->stream, now, scratch);
    if (grab(it, scratch, now, out))
        rest(it);
    if (it->wait.count || it->wait.unsettled_count)
        report_wait_release(&it->wait, now, out);
    for (size_t i = 0; i < it->count; i++)
        frame_grabber_missing(&it->grabbers[i], it->missing, out);
}

void video_track_flush(video_track *it, ordereds *scratch, outputs *out) {
    stream_flush(it->stream, scratch);
    grab(it, scratch, 0.0, out);
    report_wait_flush(&it->wait, out);
}

/* Whether those of all connections count. A track is moved about, so it keeps no pointer to its own. */
static bool shares(const video_track *it) {
    return it->stream->parameters->requests != NULL && !it->alone;
}

static double last_request(const video_track *it) {
    return keyframe_requests_last(shares(it) ? it->stream->parameters->requests : &it->own);
}

/* Seconds from one request for a keyframe to the next: as long as any task wants them to be. */
static double interval(const video_track *it) {
    double every = 0.0;
    for (size_t i = 0; i < it->count; i++) {
        double one = it->grabbers[i].spec.asks_every;
        if (one < INFINITY && one > every)
            every = one;
    }
    return every;
}

double video_track_deadline(const video_track *it) {
    double asking = NEVER;
    for (size_t i = 0; i < it->count; i++)
        asking = earlier(asking, frame_grabber_deadline(&it->grabbers[i]));
    if (asking != NEVER) /* of most there is none */
        asking = fmax(asking, last_request(it) + interval(it));
    return earlier(asking, report_wait_deadline(&it->wait));
}

/* A keyframe that was asked for may come at any time, while the source sends; else the frame due is
 * expected as an audio cut is. */
double video_track_expects(const video_track *it, double now) {
    double first = NEVER;
    if (it->stream->mapper == NULL)
        return NEVER;
    for (size_t i = 0; i < it->count; i++) {
        const frame_grabber *grabber = &it->grabbers[i];
        if (frame_grabber_awaits_answer(grabber, now))
            return now;
        double due = grabber->has_due ? mapper_arrival(it->stream->mapper, grabber->due) : NEVER;
        if (due > now - OVERDUE)
            first = earlier(first, due);
    }
    return first;
}

bool video_track_wants_keyframe(video_track *it, double now) {
    bool asking = false, forsaken = false;
    for (size_t i = 0; i < it->count; i++)
        forsaken = frame_grabber_forsaken(&it->grabbers[i]) || forsaken;
    if (forsaken)
        it->alone_until = now + ALONE;
    it->alone = now < it->alone_until;
    double every = interval(it), last = last_request(it);
    if (now < last + every) {
        if (last != keyframe_requests_last(&it->own))
            for (size_t i = 0; i < it->count; i++)
                frame_grabber_borrow(&it->grabbers[i], last, now);
        return false;
    }
    for (size_t i = 0; i < it->count; i++)
        asking = frame_grabber_wants_keyframe(&it->grabbers[i], now) || asking;
    keyframe_requests *of = shares(it) ? it->stream->parameters->requests : &it->own;
    if (!asking || !keyframe_requests_claim(of, now, every))
        return false;
    keyframe_requests_note(&it->own, now);
    return true;
}
