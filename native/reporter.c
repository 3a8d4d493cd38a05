#include "reporter.h"

#include <inttypes.h>
#include <stdio.h>

#define REPORT_INTERVAL 1.0
#define KEYFRAME_INTERVAL 0.3
#define REMB_BITRATE 100000000

void reporter_init(reporter *it, uint32_t ssrc, transport_reporter *transport, counters *counters) {
    *it = (reporter){
        .counters = counters,
        .ssrc = ssrc,
        .transport = transport,
        .report_at = NEVER,
    };
    snprintf(it->cname, sizeof it->cname, "slicer-%08" PRIx32, ssrc);
}

void reporter_receive(reporter *it, const uint8_t *body, double now) {
    uint32_t ssrc = read32(body);
    uint64_t ntp = (uint64_t)read32(body + 4) << 32 | read32(body + 8);
    for (size_t i = 0; i < it->stream_count; i++) {
        stream *stream = it->streams[i];
        if (!stream->has_source || stream->source.ssrc != ssrc)
            continue;
        reception_reported(&stream->source.reception, ntp, now);
        int64_t timestamp = unwrapper_peek(&stream->source.timestamps, 32, read32(body + 12));
        if (!mapper_reported(stream->mapper, (double)ntp / 0x1p32, timestamp, now))
            COUNT(it->counters, report_disbelieved);
    }
}

/* Where there is no transport-wide feedback, and where we want less than the path carries. */
static void write_remb(const reporter *it, rtcp_writer *to) {
    uint32_t ssrcs[255];
    uint64_t bitrate = 0;
    size_t count = 0;
    bool limited = false;
    for (size_t i = 0; i < it->stream_count && count < 255; i++) {
        const stream *stream = it->streams[i];
        uint32_t limit = stream->parameters->max_bitrate;
        if (!stream->has_source || !(stream->parameters->feedback & FEEDBACK_REMB))
            continue;
        ssrcs[count++] = stream->source.ssrc;
        limited = limited || limit > 0;
        bitrate += limit > 0 ? limit : REMB_BITRATE;
    }
    if (count > 0 && (limited || !it->transport->is_agreed))
        rtcp_write_remb(to, it->ssrc, bitrate < REMB_BITRATE ? (uint32_t)bitrate : REMB_BITRATE,
                        ssrcs, count);
}

static void write_nack(const reporter *it, stream *stream, double now, rtcp_writer *to) {
    uint16_t missing[NACK_MAX_MISSING];
    size_t count = stream_missing(stream, now, missing);
    if (count > 0)
        rtcp_write_nack(to, it->ssrc, stream->source.ssrc, missing, count);
}

static void ask_keyframe(reporter *it, const stream *stream, double now, rtcp_writer *to) {
    uint32_t ssrc = stream->source.ssrc;
    if (it->keyframe_was_asked && it->keyframe_ssrc == ssrc
        && now - it->keyframe_asked < KEYFRAME_INTERVAL)
        return;
    it->keyframe_was_asked = true;
    it->keyframe_ssrc = ssrc;
    it->keyframe_asked = now;
    COUNT(it->counters, keyframe_requests);
    if (stream->parameters->feedback & FEEDBACK_PLI)
        rtcp_write_picture_loss(to, it->ssrc, ssrc);
    else
        rtcp_write_full_intra(to, it->ssrc, ssrc, ++it->fir_count);
}

uint32_t reporter_media_ssrc(const reporter *it) {
    for (size_t i = 0; i < it->stream_count; i++)
        if (it->streams[i]->has_source)
            return it->streams[i]->source.ssrc;
    return 0;
}

static void write_head(const reporter *it, stream *stream, bool full, double now,
                       rtcp_writer *to) {
    report_block block = {0};
    if (full && stream != NULL)
        block = reception_report(&stream->source.reception, now);
    rtcp_write_receiver_report(to, it->ssrc, &block, full && stream != NULL);
    if (full)
        rtcp_write_description(to, it->ssrc, it->cname);
}

/* Whether something may have to be asked for. */
static bool may_ask(const stream *stream, bool keyframe, double now) {
    if (!stream->has_source)
        return false;
    return keyframe || (stream->source.has_nacks && nack_deadline(&stream->source.nacks) <= now);
}

bool reporter_is_idle(const reporter *it, const bool *keyframes, double now) {
    if (it->report_at <= now || transport_reporter_is_due(it->transport, now))
        return false;
    for (size_t i = 0; i < it->stream_count; i++)
        if (may_ask(it->streams[i], keyframes[i], now))
            return false;
    return true;
}

/* What goes along with the first compound; whether there is anything. */
static bool write_along(reporter *it, bool full, double now, rtcp_writer *to) {
    size_t start = to->out->size;
    if (full)
        write_remb(it, to);
    if (transport_reporter_is_due(it->transport, now))
        transport_reporter_write(it->transport, reporter_media_ssrc(it), now, to);
    return to->out->size > start;
}

/* The compound of a source, of none where `stream` is NULL. `along`: whether it is the first. */
static bool write_compound(reporter *it, stream *stream, bool full, bool asking, bool along,
                           double now, outputs *out) {
    output one = {.kind = OUTPUT_TRANSMIT};
    rtcp_writer to = {&one.as.transmit, false};
    write_head(it, stream, full, now, &to);
    size_t head = one.as.transmit.size;
    if (stream != NULL)
        write_nack(it, stream, now, &to);
    if (asking)
        ask_keyframe(it, stream, now, &to);
    bool made = full || one.as.transmit.size > head;
    if (along && (made || stream == NULL))
        made = write_along(it, full, now, &to) || made;
    if (!made || to.failed)
        output_free(&one);
    if (to.failed || (made && !outputs_add(out, &one)))
        COUNT(it->counters, out_of_memory);
    return made;
}

void reporter_handle_timer(reporter *it, const bool *keyframes, double now, outputs *out) {
    bool full = it->report_at <= now, along = true;
    if (full)
        it->report_at = now + REPORT_INTERVAL;
    for (size_t i = 0; i < it->stream_count; i++) {
        stream *stream = it->streams[i];
        if (may_ask(stream, keyframes[i], now) || (full && stream->has_source))
            along = !write_compound(it, stream, full, keyframes[i], along, now, out) && along;
    }
    if (along && (full || transport_reporter_is_due(it->transport, now)))
        write_compound(it, NULL, full, false, true, now, out);
}
