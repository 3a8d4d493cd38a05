#include "reporter.h"

#include <inttypes.h>
#include <stdio.h>

#include "rtcp.h"
#include "transport_feedback.h"

#define REPORT_INTERVAL 1.0
#define TRANSPORT_INTERVAL 0.09
#define KEYFRAME_INTERVAL 0.3

static void note_extensions(reporter *it, const parameters *parameters) {
    size_t ids = sizeof parameters->transport_cc_ids / sizeof *parameters->transport_cc_ids;
    if (!(parameters->feedback & FEEDBACK_TRANSPORT_CC))
        return;
    for (size_t i = 0; i < ids; i++) {
        int id = parameters->transport_cc_ids[i];
        if (id < 0)
            continue;
        it->has_transport_cc = true;
        if (id < 256)
            it->transport_cc[id] = 1;
    }
}

void reporter_init(reporter *it, uint32_t ssrc, stream *streams, size_t stream_count,
                   counters *counters) {
    *it = (reporter){
        .counters = counters,
        .ssrc = ssrc,
        .streams = streams,
        .stream_count = stream_count,
        .report_at = NEVER,
        .arrivals_at = NEVER,
    };
    snprintf(it->cname, sizeof it->cname, "slicer-%08" PRIx32, ssrc);
    for (size_t i = 0; i < stream_count; i++)
        note_extensions(it, streams[i].parameters);
}

void reporter_free(reporter *it) {
    free(it->arrivals);
    it->arrivals = NULL;
    it->arrival_count = 0;
}

/* Note a transport-wide sequence number for the next feedback. They ascend, each once. */
static void acknowledge(reporter *it, uint16_t number, double arrival) {
    if (it->arrivals == NULL)
        it->arrivals = malloc(TRANSPORT_MAX_PACKETS * sizeof *it->arrivals);
    if (it->arrivals == NULL) {
        COUNT(it->counters, out_of_memory);
        return;
    }
    if (it->arrivals_at == NEVER)
        it->arrivals_at = arrival + TRANSPORT_INTERVAL;
    if (it->arrival_count >= TRANSPORT_MAX_PACKETS) {
        COUNT(it->counters, unacknowledged);
        return;
    }
    int64_t sequence = unwrapper_peek(&it->transport_sequences, 16, number);
    unwrapper_move(&it->transport_sequences, sequence);
    size_t place = it->arrival_count;
    while (place > 0 && it->arrivals[place - 1].sequence > sequence)
        place--;
    transport_arrival *at = it->arrivals + place;
    if (place > 0 && at[-1].sequence == sequence)
        return;
    memmove(at + 1, at, (it->arrival_count - place) * sizeof *at);
    *at = (transport_arrival){sequence, arrival};
    it->arrival_count++;
}

/* The transport-wide elements of a header extension, in the order of a dict: of several with one id
 * the last one counts, in the place of the first. */
typedef struct elements {
    size_t count;
    struct {
        const uint8_t *value;
        uint8_t id, size;
    } of[255];
} elements;

static void found_element(elements *it, uint8_t id, const uint8_t *value, size_t size) {
    size_t i = 0;
    while (i < it->count && it->of[i].id != id)
        i++;
    if (i == it->count)
        it->count++;
    it->of[i].value = value;
    it->of[i].id = id;
    it->of[i].size = (uint8_t)size;
}

/* RFC 8285 4.2. */
static void walk_one_byte(const uint8_t *wanted, const packet *packet, elements *found) {
    const uint8_t *block = packet->extension;
    size_t at = 0, size = packet->extension_size;
    while (at < size) {
        uint8_t id = block[at] >> 4, length = (block[at] & 0x0F) + 1;
        if (block[at] == 0) {
            at++;
            continue;
        }
        if (id == 0 || id == 15) /* a padding with a length, or reserved: the rest is ignored */
            return;
        if (at + 1 + length <= size && wanted[id])
            found_element(found, id, block + at + 1, length);
        at += 1 + (size_t)length;
    }
}

/* RFC 8285 4.3. */
static void walk_two_byte(const uint8_t *wanted, const packet *packet, elements *found) {
    const uint8_t *block = packet->extension;
    size_t at = 0, size = packet->extension_size;
    while (at < size) {
        uint8_t id = block[at];
        if (id == 0) {
            at++;
            continue;
        }
        if (at + 2 > size)
            return;
        size_t length = block[at + 1];
        if (at + 2 + length <= size && wanted[id])
            found_element(found, id, block + at + 2, length);
        at += 2 + length;
    }
}

void reporter_arrived(reporter *it, const packet *packet) {
    if (it->report_at == NEVER)
        it->report_at = packet->arrival;
    if (!it->has_transport_cc || packet->extension_size == 0)
        return;
    elements found;
    found.count = 0;
    if (packet->profile == 0xBEDE)
        walk_one_byte(it->transport_cc, packet, &found);
    else if (packet->profile >> 4 == 0x100)
        walk_two_byte(it->transport_cc, packet, &found);
    for (size_t i = 0; i < found.count; i++)
        if (found.of[i].size == 2)
            acknowledge(it, read16(found.of[i].value), packet->arrival);
}

static void receive_sender_report(reporter *it, const uint8_t *body, double now) {
    uint32_t ssrc = read32(body);
    uint64_t ntp = (uint64_t)read32(body + 4) << 32 | read32(body + 8);
    for (size_t i = 0; i < it->stream_count; i++) {
        stream *stream = &it->streams[i];
        if (!stream->has_source || stream->source.ssrc != ssrc)
            continue;
        reception_reported(&stream->source.reception, ntp, now);
        int64_t timestamp = unwrapper_peek(&stream->source.timestamps, 32, read32(body + 12));
        mapper_reported(stream->mapper, (double)ntp / 0x1p32, timestamp, now);
    }
}

void reporter_receive(reporter *it, const uint8_t *compound, size_t size, double now) {
    if (!rtcp_is_well_formed(compound, size)) {
        COUNT(it->counters, malformed_rtcp);
        return;
    }
    rtcp_packet packet;
    for (size_t position = 0; position < size;) {
        rtcp_read(compound, size, &position, &packet);
        if (packet.type == RTCP_SENDER_REPORT)
            receive_sender_report(it, packet.body, now);
        else if (packet.type == RTCP_BYE) /* perhaps only a mute (RFC 3550 6.6): packets decide */
            COUNT(it->counters, bye);
    }
}

/* RFC 3550 6.1: what does not fit into one report goes into another behind it. */
static void write_reports(reporter *it, double now, rtcp_writer *to) {
    report_block blocks[RTCP_MAX_COUNT];
    size_t count = 0;
    bool written = false;
    for (size_t i = 0; i < it->stream_count; i++) {
        if (!it->streams[i].has_source)
            continue;
        if (count == RTCP_MAX_COUNT) {
            rtcp_write_receiver_report(to, it->ssrc, blocks, count);
            written = true;
            count = 0;
        }
        blocks[count++] = reception_report(&it->streams[i].source.reception, now);
    }
    if (count > 0 || !written)
        rtcp_write_receiver_report(to, it->ssrc, blocks, count);
    rtcp_write_description(to, it->ssrc, it->cname);
}

/* Only where there is no transport-wide feedback: senders obey one of the two. */
static void write_remb(const reporter *it, rtcp_writer *to) {
    uint32_t ssrcs[255];
    size_t count = 0;
    if (it->has_transport_cc)
        return;
    for (size_t i = 0; i < it->stream_count && count < 255; i++) {
        const stream *stream = &it->streams[i];
        if (stream->has_source && stream->parameters->feedback & FEEDBACK_REMB)
            ssrcs[count++] = stream->source.ssrc;
    }
    if (count > 0)
        rtcp_write_remb(to, it->ssrc, ssrcs, count);
}

static void write_nacks(reporter *it, double now, rtcp_writer *to) {
    uint16_t missing[NACK_MAX_MISSING];
    for (size_t i = 0; i < it->stream_count; i++) {
        stream *stream = &it->streams[i];
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

static uint32_t media_ssrc(const reporter *it) {
    for (size_t i = 0; i < it->stream_count; i++)
        if (it->streams[i].has_source)
            return it->streams[i].source.ssrc;
    return 0;
}

static void write_transport_feedback(reporter *it, double now, rtcp_writer *to) {
    if (it->arrival_count == 0 || it->arrivals_at > now)
        return;
    const transport_arrival *arrivals = it->arrivals;
    size_t count = it->arrival_count;
    int64_t begin = it->next_arrival, next = arrivals[count - 1].sequence + 1;
    transport_feedbacks feedbacks;
    transport_feedbacks_begin(&feedbacks, to, it->ssrc, media_ssrc(it), it->feedback_count);
    /* What was lost between two feedbacks is in neither unless the second begins with it. */
    if (it->has_next_arrival && begin < arrivals[0].sequence
        && arrivals[0].sequence < begin + TRANSPORT_MAX_PACKETS)
        transport_feedbacks_take(&feedbacks, begin, NAN);
    for (size_t i = 0; i < count; i++)
        transport_feedbacks_take(&feedbacks, arrivals[i].sequence, arrivals[i].arrival);
    transport_feedbacks_finish(&feedbacks);
    it->feedback_count = feedbacks.count;
    it->next_arrival = next > begin ? next : begin; /* 0 before the first one, as the reference */
    it->has_next_arrival = true;
    it->arrival_count = 0;
    it->arrivals_at = NEVER;
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

/* Nothing to say, as at most ticks: then nothing is written, nor memory taken for it. */
static bool is_idle(const reporter *it, const bool *keyframes, double now) {
    if (it->report_at <= now || (it->arrival_count > 0 && it->arrivals_at <= now))
        return false;
    for (size_t i = 0; i < it->stream_count; i++) {
        const stream *stream = &it->streams[i];
        if (!stream->has_source)
            continue;
        bool asks = stream->source.has_nacks && nack_deadline(&stream->source.nacks) <= now;
        if (keyframes[i] || asks)
            return false;
    }
    return true;
}

bool reporter_handle_timer(reporter *it, const bool *keyframes, double now, buffer *out) {
    if (is_idle(it, keyframes, now))
        return false;
    rtcp_writer to = {out, false};
    size_t start = out->size;
    bool full = it->report_at <= now;
    write_head(it, full, now, &to);
    size_t head = out->size;
    write_nacks(it, now, &to);
    for (size_t i = 0; i < it->stream_count; i++)
        if (keyframes[i] && it->streams[i].has_source)
            ask_keyframe(it, &it->streams[i], now, &to);
    write_transport_feedback(it, now, &to);
    if (to.failed)
        COUNT(it->counters, out_of_memory);
    if (!to.failed && (full || out->size > head))
        return true;
    out->size = start;
    return false;
}

double reporter_deadline(const reporter *it) { return earlier(it->report_at, it->arrivals_at); }
