#include "demultiplexer.h"

#define STRAGGLE 2.0
#define FEWEST_BITS 6

bool demultiplexer_init(demultiplexer *it, counters *counters) {
    *it = (demultiplexer){.counters = counters, .bits = FEWEST_BITS};
    it->known = calloc((size_t)1 << it->bits, sizeof *it->known);
    return it->known != NULL;
}

void demultiplexer_free(demultiplexer *it) {
    for (size_t i = 0; i < it->count; i++)
        free(it->sections[i]);
    free(it->sections);
    free(it->known);
    *it = (demultiplexer){0};
}

/* Whether it is of a codec in our table. */
static bool is_codec(const parameters *parameters, int payload_type) {
    if (payload_type < 0 || payload_type > 127 || parameters->codecs[payload_type] == NULL)
        return false;
    return codec_is_readable(parameters->codecs[payload_type], parameters->video);
}

/* ---- what is known of SSRCs ---- */

static size_t home_of(const demultiplexer *it, uint32_t ssrc) {
    return ssrc * UINT32_C(0x9E3779B1) >> (32 - it->bits);
}

static void put(demultiplexer *it, known_ssrc one) {
    size_t at = home_of(it, one.ssrc), last = ((size_t)1 << it->bits) - 1;
    while (it->known[at].section != NULL)
        at = (at + 1) & last;
    it->known[at] = one;
}

/* Free a place (Knuth, TAOCP 6.4, algorithm R). A search ends at a free place, so each entry behind the
 * hole that a search from its home would miss moves into it, which makes a hole where it was. */
static void take_out(demultiplexer *it, known_ssrc *one) {
    size_t last = ((size_t)1 << it->bits) - 1, hole = (size_t)(one - it->known);
    for (size_t next = (hole + 1) & last; it->known[next].section != NULL; next = (next + 1) & last) {
        size_t distance = (next - home_of(it, it->known[next].ssrc)) & last;
        if (distance < ((next - hole) & last))
            continue;
        it->known[hole] = it->known[next];
        hole = next;
    }
    it->known[hole].section = NULL;
}

static void strike(section *it, uint32_t ssrc) {
    size_t at = 0;
    while (it->ssrcs[at] != ssrc)
        at++;
    it->ssrc_count--;
    memmove(&it->ssrcs[at], &it->ssrcs[at + 1], (it->ssrc_count - at) * sizeof *it->ssrcs);
}

static void forget_oldest(demultiplexer *it, section *of) {
    known_ssrc *oldest = demultiplexer_find(it, of->ssrcs[0]);
    for (size_t i = 1; i < of->ssrc_count; i++) {
        known_ssrc *one = demultiplexer_find(it, of->ssrcs[i]);
        oldest = one->heard < oldest->heard ? one : oldest;
    }
    strike(of, oldest->ssrc);
    take_out(it, oldest);
    COUNT(it->counters, ssrc_forgotten);
}

/* Give this SSRC to this section, and take it from any other. */
static void learn(demultiplexer *it, uint32_t ssrc, double now, known_ssrc *known,
                  section *section) {
    if (known != NULL && known->section == section) {
        known->heard = now;
        return;
    }
    if (known != NULL) {
        strike(known->section, known->ssrc);
        take_out(it, known);
        COUNT(it->counters, ssrc_moved);
    }
    if (section->ssrc_count == DEMULTIPLEXER_MAX_SSRCS)
        forget_oldest(it, section);
    section->ssrcs[section->ssrc_count++] = ssrc;
    put(it, (known_ssrc){ssrc, section, now});
}

static size_t ended_at(const demultiplexer *it, uint32_t ssrc) {
    size_t at = 0;
    while (at < it->ended_count && it->ended[at].ssrc != ssrc)
        at++;
    return at;
}

static void end(demultiplexer *it, uint32_t ssrc, double now) {
    size_t at = ended_at(it, ssrc);
    if (at == it->ended_count && at == DEMULTIPLEXER_MAX_ENDED) {
        at = 0;
        COUNT(it->counters, ssrc_forgotten);
    }
    if (at < it->ended_count) {
        it->ended_count--;
        memmove(&it->ended[at], &it->ended[at + 1], (it->ended_count - at) * sizeof *it->ended);
    }
    it->ended[it->ended_count++] = (ended_ssrc){ssrc, it->calls, now + STRAGGLE};
}

/* Whether this is a packet of an ended section, and so not of this one. */
static bool is_ended(const demultiplexer *it, const packet *packet, const section *section) {
    size_t at = ended_at(it, packet->ssrc);
    return at < it->ended_count &&
           (section->since < it->ended[at].call || packet->arrival < it->ended[at].until);
}

/* ---- sections ---- */

static bool is_among(const stream *one, stream *const *streams, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (streams[i] == one)
            return true;
    return false;
}

static bool has_section(const demultiplexer *it, const stream *stream) {
    for (size_t i = 0; i < it->count; i++)
        if (it->sections[i]->stream == stream)
            return true;
    return false;
}

static bool has_place_of(const stream *before, const stream *after) {
    const parameters *one = before->parameters, *other = after->parameters;
    return before->owner == after->owner && one->video == other->video &&
           one->mid_size == other->mid_size && !memcmp(one->mid, other->mid, one->mid_size);
}

/* The first stream that is new and has this one's place, or NULL. */
static stream *heir_of(const demultiplexer *it, const stream *before, stream *const *streams,
                       size_t count) {
    for (size_t i = 0; i < count; i++)
        if (has_place_of(before, streams[i]) && !has_section(it, streams[i]))
            return streams[i];
    return NULL;
}

static void end_section(demultiplexer *it, section *one, double now) {
    for (size_t i = 0; i < one->ssrc_count; i++) {
        take_out(it, demultiplexer_find(it, one->ssrcs[i]));
        end(it, one->ssrcs[i], now);
    }
    free(one);
}

/* This is the section of that stream from now on. */
static void take_stream(section *it, stream *stream, uint64_t since) {
    const parameters *parameters = stream->parameters;
    it->stream = stream;
    it->since = since;
    for (int i = 0; i < 128; i++)
        it->readable[i] = is_codec(parameters, i) || is_codec(parameters, parameters->rtx[i]) ||
                          is_codec(parameters, parameters->red[i]);
}

/* Make room for the SSRCs of so many sections. */
static bool make_room(demultiplexer *it, size_t count) {
    known_ssrc *before = it->known;
    size_t places = (size_t)1 << it->bits;
    unsigned bits = it->bits;
    while ((size_t)1 << bits < 2 * DEMULTIPLEXER_MAX_SSRCS * count)
        bits++;
    if (bits == it->bits)
        return true;
    known_ssrc *known = calloc((size_t)1 << bits, sizeof *known);
    if (known == NULL)
        return false;
    it->known = known;
    it->bits = bits;
    for (size_t i = 0; i < places; i++)
        if (before[i].section != NULL)
            put(it, before[i]);
    free(before);
    return true;
}

static bool add_section(demultiplexer *it, stream *stream) {
    section **sections = grown(it->sections, it->count + 1, &it->capacity, sizeof *sections, 2);
    if (sections == NULL)
        return false;
    it->sections = sections;
    section *one = make_room(it, it->count + 1) ? calloc(1, sizeof *one) : NULL;
    if (one == NULL)
        return false;
    take_stream(one, stream, it->calls);
    it->sections[it->count++] = one;
    return true;
}

/* Learn the SSRCs that the description of this stream names. */
static void learn_named(demultiplexer *it, const stream *stream, double now) {
    for (size_t i = 0; i < it->count; i++)
        for (size_t at = 0; it->sections[i]->stream == stream && at < stream->parameters->ssrc_count;
             at++) {
            uint32_t ssrc = stream->parameters->ssrcs[at];
            learn(it, ssrc, now, demultiplexer_find(it, ssrc), it->sections[i]);
        }
}

void demultiplexer_replace(demultiplexer *it, stream *const *streams, size_t count, double now) {
    it->calls++;
    /* All that were there are looked at before any of them is gone, so that none gets two places. */
    for (size_t i = 0; i < it->count; i++) {
        section *one = it->sections[i];
        if (is_among(one->stream, streams, count))
            continue;
        stream *heir = heir_of(it, one->stream, streams, count);
        if (heir != NULL)
            take_stream(one, heir, it->calls);
    }
    size_t kept = 0;
    for (size_t i = 0; i < it->count; i++) {
        if (is_among(it->sections[i]->stream, streams, count))
            it->sections[kept++] = it->sections[i];
        else
            end_section(it, it->sections[i], now);
    }
    it->count = kept;
    for (size_t i = 0; i < count; i++)
        if (!has_section(it, streams[i]) && !add_section(it, streams[i]))
            COUNT(it->counters, out_of_memory);
    memset(it->users, 0, sizeof it->users);
    for (size_t i = 0; i < it->count; i++)
        for (int type = 0; type < 128; type++)
            if (it->sections[i]->readable[type]) {
                it->by_payload_type[type] = it->sections[i];
                it->users[type]++;
            }
    for (size_t i = 0; i < count; i++)
        learn_named(it, streams[i], now);
}

/* ---- packets ---- */

/* A search of all sections: each SSRC comes here only with a MID that its section does not have. */
static section *named(const demultiplexer *it, const header_element *mid) {
    for (size_t i = 0; i < it->count; i++)
        if (demultiplexer_is_named(it->sections[i], mid))
            return it->sections[i];
    return NULL;
}

static stream *route_by_mid(demultiplexer *it, const packet *packet, known_ssrc *known,
                            const header_element *mid) {
    section *section = named(it, mid);
    if (section == NULL) {
        COUNT(it->counters, unknown_mid);
        return NULL;
    }
    if (!section->readable[packet->payload_type]) {
        COUNT(it->counters, unknown_payload_type);
        return NULL;
    }
    learn(it, packet->ssrc, packet->arrival, known, section);
    return section->stream;
}

static stream *route_by_payload_type(demultiplexer *it, const packet *packet,
                                     known_ssrc *known) {
    unsigned users = it->users[packet->payload_type];
    if (users == 0) {
        COUNT(it->counters, unknown_payload_type);
        return NULL;
    }
    section *section = it->by_payload_type[packet->payload_type];
    if (users > 1 || (known == NULL && is_ended(it, packet, section))) {
        COUNT(it->counters, unroutable);
        return NULL;
    }
    if (known == NULL)
        learn(it, packet->ssrc, packet->arrival, known, section);
    return section->stream;
}

stream *demultiplexer_learn(demultiplexer *it, const packet *packet,
                            const header_element *mid) {
    known_ssrc *known = demultiplexer_find(it, packet->ssrc);
    return mid != NULL ? route_by_mid(it, packet, known, mid)
                       : route_by_payload_type(it, packet, known);
}
