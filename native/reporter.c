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

/* RFC 3550 6.1: what does not fit into one report goes into another behind it. */
static void write_reports(reporter *it, double now, rtcp_writer *to) {
    report_block blocks[RTCP_MAX_COUNT];
    size_t count = 0;
    bool written = false;
    for (size_t i = 0; i < it->stream_count; i++) {
        if (!it->streams[i]->has_source)
            continue;
        if (count == RTCP_MAX_COUNT) {
            rtcp_write_receiver_report(to, it->ssrc, blocks, count);
            written = true;
            count = 0;
        }
        blocks[count++] = reception_report(&it->streams[i]->source.reception, now);
    }
    if (count > 0 || !written)
        rtcp_write_receiver_report(to, it->ssrc, blocks, count);
    rtcp_write_description(to, it->ssrc, it->cname);
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

static void write_nacks(reporter *it, double now, rtcp_writer *to) {
    uint16_t missing[NACK_MAX_MISSING];
    for (size_t i = 0; i < it->stream_count; i++) {
        stream *stream = it->streams[i];
        size_t count = stream->has_source ? stream_missing(stream, now, missing) : 0;
        if (count > 0)
            rtcp_write_nack(to, it->ssrc, stream->source.ssrc, missing, count);
    }
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

static void write_head(reporter *it, bool full, double now, rtcp_writer *to) {
    if (!full) {
        rtcp_write_receiver_report(to, it->ssrc, NULL, 0);
        return;
    }
    it->report_at = now + REPORT_INTERVAL;
    write_reports(it, now, to);
    write_remb(it, to);
}

bool reporter_is_idle(const reporter *it, const bool *keyframes, double now) {
    if (it->report_at <= now || transport_reporter_is_due(it->transport, now))
        return false;
    for (size_t i = 0; i < it->stream_count; i++) {
        const stream *stream = it->streams[i];
        if (!stream->has_source)
            continue;
        bool asks = stream->source.has_nacks && nack_deadline(&stream->source.nacks) <= now;
        if (keyframes[i] || asks)
            return false;
    }
    return true;
}

bool reporter_handle_timer(reporter *it, const bool *keyframes, double now, buffer *out) {
    rtcp_writer to = {out, false};
    size_t start = out->size;
    bool full = it->report_at <= now;
    write_head(it, full, now, &to);
    size_t head = out->size;
    write_nacks(it, now, &to);
    for (size_t i = 0; i < it->stream_count; i++)
        if (keyframes[i] && it->streams[i]->has_source)
            ask_keyframe(it, it->streams[i], now, &to);
    if (transport_reporter_is_due(it->transport, now))
        transport_reporter_write(it->transport, reporter_media_ssrc(it), now, &to);
    if (to.failed)
        COUNT(it->counters, out_of_memory);
    if (!to.failed && (full || out->size > head))
        return true;
    out->size = start;
    return false;
}
