#include "bundle.h"

#include "demultiplexer.h"
#include "receiver.h"

/* As the longest authentication tag of SRTP (RFC 7714, RFC 3711 has shorter ones). */
#define LONGEST_TAG 16

struct bundle {
    uint32_t ssrc;
    counters counters;
    transport_reporter transport;
    activity activity;
    demultiplexer demultiplexer;
    bool has_elements;
    uint8_t kinds_of[256]; /* of header extension elements, by their id */
    receiver **receivers;
    size_t count, capacity;
    ordereds scratch;
};

bundle *bundle_new(uint32_t ssrc) {
    bundle *it = calloc(1, sizeof *it);
    if (it == NULL)
        return NULL;
    it->ssrc = ssrc;
    activity_init(&it->activity);
    transport_reporter_init(&it->transport, ssrc, &it->counters);
    if (demultiplexer_init(&it->demultiplexer, &it->counters))
        return it;
    free(it);
    return NULL;
}

void bundle_free(bundle *it) {
    if (it == NULL)
        return;
    demultiplexer_free(&it->demultiplexer);
    for (size_t i = 0; i < it->count; i++)
        receiver_free(it->receivers[i]);
    free(it->receivers);
    transport_reporter_free(&it->transport);
    ordereds_free(&it->scratch);
    free(it);
}

/* ---- sections ---- */

static receiver *named(const bundle *it, uint64_t anchor) {
    for (size_t i = 0; i < it->count; i++)
        if (it->receivers[i]->anchor == anchor)
            return it->receivers[i];
    return NULL;
}

double bundle_heard(const bundle *it, uint64_t anchor) {
    const receiver *one = named(it, anchor);
    return one == NULL ? -NEVER : one->heard;
}

static void add_counters(counters *sum, const counters *more) {
    for (size_t i = 0; i < COUNTERS_END; i++)
        sum->of[i] += more->of[i];
}

void bundle_counters(const bundle *it, uint64_t anchor, counters *sum) {
    *sum = anchor ? (counters){{0}} : it->counters;
    for (size_t i = 0; i < it->count; i++)
        if (anchor == 0 || it->receivers[i]->anchor == anchor)
            add_counters(sum, &it->receivers[i]->counters);
}

static receiver *add_receiver(bundle *it, uint64_t anchor) {
    receiver **of = grown(it->receivers, it->count + 1, &it->capacity, sizeof *of, 1);
    if (of != NULL)
        it->receivers = of;
    receiver *one = of == NULL ? NULL
                               : receiver_new(anchor, it->ssrc, &it->scratch, &it->transport,
                                              &it->activity);
    if (one != NULL)
        it->receivers[it->count++] = one;
    else
        COUNT(&it->counters, out_of_memory);
    return one;
}

static void remove_receiver(bundle *it, receiver *one) {
    size_t at = 0;
    while (it->receivers[at] != one)
        at++;
    it->count--;
    memmove(&it->receivers[at], &it->receivers[at + 1], (it->count - at) * sizeof *it->receivers);
    add_counters(&it->counters, &one->counters);
    receiver_free(one);
}

/* Streams that have ended. They are freed last: the demultiplexer still compares their sections with
 * the new ones, and the receivers' tracks have just flushed them. */
typedef struct ended {
    stream *of[BUNDLE_MAX_SECTIONS];
    size_t count;
} ended;

static void replace(receiver *it, const parameters *const *sections, size_t count, ended *ended,
                    outputs *out) {
    ended->count += receiver_set_sections(it, sections, count, &ended->of[ended->count], out);
    it->deadline = receiver_deadline(it);
}

static bool same_mid(const parameters *a, const parameters *b) {
    return a->mid_size > 0 && a->mid_size == b->mid_size &&
           memcmp(a->mid, b->mid, a->mid_size) == 0;
}

/* Take the sections with these MIDs from another anchor: a MID is one section's. */
static void take_mids(receiver *from, const parameters *const *sections, size_t count,
                      ended *ended, outputs *out) {
    const parameters *left[BUNDLE_MAX_SECTIONS];
    size_t kept = 0;
    for (size_t i = 0; i < from->count; i++) {
        const parameters *own = from->streams[i]->parameters;
        size_t at = 0;
        while (at < count && !same_mid(sections[at], own))
            at++;
        if (at == count)
            left[kept++] = own;
    }
    if (kept < from->count)
        replace(from, left, kept, ended, out);
}

/* Note which header extension elements of these sections matter, and for what. */
static void note_elements(bundle *it, const parameters *parameters) {
    size_t ids = sizeof parameters->mid_ids / sizeof *parameters->mid_ids;
    for (size_t i = 0; i < ids; i++) {
        int transport = parameters->transport_cc_ids[i], mid = parameters->mid_ids[i];
        int orientation = parameters->orientation_ids[i], level = parameters->level_ids[i];
        int rid = parameters->rid_count ? parameters->rid_ids[i] : -1;
        if (transport >= 0 && parameters->feedback & FEEDBACK_TRANSPORT_CC) {
            it->transport.is_agreed = true;
            it->kinds_of[transport & 0xFF] |= ELEMENT_TRANSPORT_CC;
        }
        if (mid >= 0)
            it->kinds_of[mid & 0xFF] |= ELEMENT_MID;
        if (orientation >= 0)
            it->kinds_of[orientation & 0xFF] |= ELEMENT_ORIENTATION;
        if (level >= 0)
            it->kinds_of[level & 0xFF] |= ELEMENT_LEVEL;
        if (rid >= 0)
            it->kinds_of[rid & 0xFF] |= ELEMENT_RID;
        it->has_elements |= mid >= 0 || orientation >= 0 || level >= 0 || rid >= 0;
        it->has_elements |= it->transport.is_agreed;
    }
}

static void sections_changed(bundle *it, double now) {
    stream *streams[BUNDLE_MAX_SECTIONS];
    size_t total = 0;
    it->has_elements = it->transport.is_agreed = false;
    memset(it->kinds_of, 0, sizeof it->kinds_of);
    for (size_t i = 0; i < it->count; i++)
        for (size_t j = 0; j < it->receivers[i]->count; j++) {
            streams[total] = it->receivers[i]->streams[j];
            note_elements(it, streams[total++]->parameters);
        }
    demultiplexer_replace(&it->demultiplexer, streams, total, now);
}

static size_t sections_of_others(const bundle *it, uint64_t anchor) {
    size_t total = 0;
    for (size_t i = 0; i < it->count; i++)
        if (it->receivers[i]->anchor != anchor)
            total += it->receivers[i]->count;
    return total;
}

void bundle_set_sections(bundle *it, uint64_t anchor, const parameters *const *sections,
                         size_t count, double now, outputs *out) {
    ended ended = {.count = 0};
    for (size_t i = 0; i < it->count; i++)
        if (it->receivers[i]->anchor != anchor)
            take_mids(it->receivers[i], sections, count, &ended, out);
    size_t room = BUNDLE_MAX_SECTIONS - sections_of_others(it, anchor);
    if (count > room) {
        it->counters.of[COUNT_sections_refused] += count - room;
        count = room;
    }
    receiver *one = named(it, anchor);
    if (one == NULL && count > 0)
        one = add_receiver(it, anchor);
    if (one != NULL) {
        replace(one, sections, count, &ended, out);
        one->touched = true;
    }
    sections_changed(it, now);
    for (size_t i = 0; i < ended.count; i++)
        receiver_end_stream(ended.of[i]);
    for (size_t i = it->count; i-- > 0;)
        if (it->receivers[i]->count == 0)
            remove_receiver(it, it->receivers[i]);
    bundle_handle_timer(it, now, out);
}

/* ---- tracks ---- */

void bundle_attach(bundle *it, uint64_t anchor, uint64_t track, uint8_t slot,
                   const slice_spec *spec, double now, outputs *out) {
    receiver *one = named(it, anchor);
    if (one != NULL) {
        receiver_attach(one, track, slot, spec, out);
        one->touched = true;
    }
    bundle_handle_timer(it, now, out);
}

void bundle_detach(bundle *it, uint64_t anchor, uint64_t track, uint8_t slot, double now,
                   outputs *out) {
    receiver *one = named(it, anchor);
    if (one != NULL) {
        receiver_detach(one, track, slot, out);
        one->touched = true;
    }
    bundle_handle_timer(it, now, out);
}

/* ---- datagrams ---- */

/* The receiver that has this source, or NULL. */
static receiver *about(const bundle *it, uint32_t ssrc) {
    const known_ssrc *known = demultiplexer_find(&it->demultiplexer, ssrc);
    return known == NULL ? NULL : known->section->stream->owner;
}

static void receive_rtcp(bundle *it, const uint8_t *compound, size_t size, double now) {
    if (!rtcp_is_well_formed(compound, size)) {
        COUNT(&it->counters, malformed_rtcp);
        return;
    }
    bool named = false, known = false;
    rtcp_packet packet;
    for (size_t position = 0; position < size;) {
        rtcp_read(compound, size, &position, &packet);
        if (packet.type == RTCP_SENDER_REPORT) {
            receiver *one = about(it, read32(packet.body));
            named = true;
            known |= one != NULL;
            if (one != NULL) {
                reporter_receive(&one->reporter, packet.body, now);
                one->touched = true;
            }
        } else if (packet.type == RTCP_BYE) { /* it may be a mute only (RFC 3550 6.6) */
            COUNT(&it->counters, bye);
            named |= packet.count > 0;
            for (size_t i = 0; i < packet.count; i++)
                known |= about(it, read32(packet.body + 4 * i)) != NULL;
        }
    }
    if (named && !known)
        COUNT(&it->counters, unknown_ssrc);
}

/* Take a parsed packet, its arrival set. `sealed`: it is still encrypted, and so not authenticated; false
 * where it must be decrypted first, and then nothing has changed. All that can teach the demultiplexer
 * something stands behind the test of `sealed`: keep it there. Inline in both callers, for it runs for
 * each packet. */
static inline __attribute__((always_inline)) bool admit(bundle *it, packet *packet, bool sealed) {
    header_elements found;
    found.count = found.kinds = 0;
    if (it->has_elements && packet->extension_size)
        elements_find(packet, it->kinds_of, &found);
    const header_element *mid = demultiplexer_mid(&found);
    stream *stream = demultiplexer_known(&it->demultiplexer, packet, mid);
    /* Which layer is taken depends on sizes, which only the plain packet shows. */
    if (sealed && (stream == NULL || stream->parameters->rid_count ||
                   !stream_would_sleep(stream, packet)))
        return false;
    if (stream == NULL)
        stream = demultiplexer_learn(&it->demultiplexer, packet, mid);
    /* Also where it has no stream: the sender would take it for lost. */
    for (size_t i = 0; i < found.count; i++) {
        const header_element *element = &found.of[i];
        if (element->kinds & ELEMENT_TRANSPORT_CC && element->size == 2)
            transport_reporter_arrived(&it->transport, read16(element->value), packet->arrival);
        if (element->kinds & ELEMENT_ORIENTATION && element->size > 0)
            packet->orientation = element->value[0] & ORIENTATION_BITS;
        if (element->kinds & ELEMENT_LEVEL && element->size > 0)
            packet->level = (int8_t)(element->value[0] & LEVEL_BITS);
    }
    if (stream == NULL)
        return true;
    receiver *owner = stream->owner;
    owner->heard = packet->arrival;
    if (!stream->parameters->rid_count || layers_receive(&stream->layers, packet, &found))
        receiver_insert(owner, stream, packet);
    return true;
}

void bundle_take(bundle *it, const uint8_t *data, size_t size, double arrival) {
    activity_note(&it->activity, arrival);
    if (is_rtcp(data, size)) {
        receive_rtcp(it, data, size, arrival);
        return;
    }
    packet packet;
    int refused = packet_parse(&packet, data, size);
    packet.arrival = arrival;
    if (refused == NOT_REFUSED)
        admit(it, &packet, false);
    else
        it->counters.of[refused]++;
}

/* Read the header of a packet whose payload is still encrypted. False for one with padding: its size
 * is in the last byte, which is encrypted, so only the plain packet shows whether it is well-formed. The
 * payload's size stays 0: nobody reads the payload of a packet that is passed over. */
static bool read_header(packet *it, const uint8_t *data, size_t size) {
    if (size < 12 + LONGEST_TAG || size > MAX_DATAGRAM || data[0] >> 6 != 2 || data[0] & 0x20)
        return false;
    size_t start = 12 + 4 * (size_t)(data[0] & 0x0F), end = size - LONGEST_TAG;
    *it = (packet){
        .sequence = read16(data + 2),
        .timestamp = read32(data + 4),
        .ssrc = read32(data + 8),
        .payload_type = data[1] & 0x7F,
        .marker = data[1] > 127,
    };
    if (data[0] & 0x10) {
        if (start + 4 > end)
            return false;
        it->profile = read16(data + start);
        it->extension_size = (uint16_t)(4 * read16(data + start + 2));
        it->extension = data + start + 4;
        start += 4 + 4 * (size_t)read16(data + start + 2);
    }
    it->payload = data + start;
    return start <= end;
}

bool bundle_pass_over(bundle *it, const uint8_t *data, size_t size, double arrival) {
    packet packet;
    if (is_rtcp(data, size) || !read_header(&packet, data, size))
        return false;
    packet.arrival = arrival;
    if (!admit(it, &packet, true))
        return false;
    activity_note(&it->activity, arrival);
    return true;
}

/* ---- time ---- */

/* Feedback that went along with no receiver's compound goes alone. */
static void write_transport_feedback(bundle *it, double now, outputs *out) {
    output one = {.kind = OUTPUT_TRANSMIT};
    rtcp_writer to = {&one.as.transmit, false};
    uint32_t media_ssrc = 0;
    for (size_t i = 0; i < it->count && media_ssrc == 0; i++)
        media_ssrc = reporter_media_ssrc(&it->receivers[i]->reporter);
    rtcp_write_receiver_report(&to, it->ssrc, NULL, 0);
    transport_reporter_write(&it->transport, media_ssrc, now, &to);
    if (to.failed)
        output_free(&one);
    if (to.failed || !outputs_add(out, &one))
        COUNT(&it->counters, out_of_memory);
}

void bundle_handle_timer(bundle *it, double now, outputs *out) {
    for (size_t i = 0; i < it->count; i++) {
        receiver *one = it->receivers[i];
        if (!one->touched && one->deadline > now)
            continue;
        one->touched = false;
        receiver_handle_timer(one, now, out);
        one->deadline = receiver_deadline(one);
    }
    if (transport_reporter_is_due(&it->transport, now))
        write_transport_feedback(it, now, out);
}

void bundle_flush(bundle *it, outputs *out) {
    for (size_t i = 0; i < it->count; i++) {
        receiver_flush(it->receivers[i], out);
        it->receivers[i]->deadline = receiver_deadline(it->receivers[i]);
    }
}

double bundle_deadline(const bundle *it) {
    double first = it->transport.arrivals_at;
    for (size_t i = 0; i < it->count; i++)
        first = earlier(first, it->receivers[i]->deadline);
    return first;
}

double bundle_expects(const bundle *it, double now) {
    double first = NEVER;
    for (size_t i = 0; i < it->count && first > now; i++)
        first = earlier(first, receiver_expects(it->receivers[i], now));
    return first;
}
