/* Which section of a bundle a packet belongs to (RFC 8843 9.2); twin of slicer/rtp/demultiplexer.py,
 * which has the theory of operation.
 *
 * What is known of SSRCs is one open-addressing table, at most half full: a packet of a known SSRC
 * costs a multiplication and mostly one look. Its size is set when sections change, so nothing is
 * allocated for a packet.
 */
#ifndef SLICER_DEMULTIPLEXER_H
#define SLICER_DEMULTIPLEXER_H

#include "elements.h"
#include "stream.h"

#define DEMULTIPLEXER_MAX_SSRCS 16 /* known of one section */
#define DEMULTIPLEXER_MAX_ENDED 256

typedef struct section {
    stream *stream;
    uint64_t since;                           /* the call of `replace` with which it came */
    bool readable[128];                       /* by payload type */
    uint32_t ssrcs[DEMULTIPLEXER_MAX_SSRCS]; /* those known of it, in the order they came */
    size_t ssrc_count;
} section;

typedef struct known_ssrc {
    uint32_t ssrc;
    section *section; /* NULL: the place is free */
    double heard;
} known_ssrc;

typedef struct ended_ssrc {
    uint32_t ssrc;
    uint64_t call; /* of `replace` with which its section ended */
    double until;
} ended_ssrc;

typedef struct demultiplexer {
    counters *counters;
    section **sections;
    size_t count, capacity;
    section *by_payload_type[128]; /* one of those that use it */
    uint16_t users[128];           /* how many do */
    known_ssrc *known;
    unsigned bits; /* 1 << bits places */
    ended_ssrc ended[DEMULTIPLEXER_MAX_ENDED]; /* oldest first */
    size_t ended_count;
    uint64_t calls; /* of `replace` */
} demultiplexer;

/* `counters` outlives it. False where there is no memory. */
bool demultiplexer_init(demultiplexer *it, counters *counters);
void demultiplexer_free(demultiplexer *it);
/* Replace the streams. One that takes the place of another (the same owner, MID and kind) takes over its
 * SSRCs. One that there is no memory for gets no packets, and is counted. */
void demultiplexer_replace(demultiplexer *it, stream *const *streams, size_t count, double now);
/* What is known of an SSRC, retransmissions' included; NULL where nothing is. */
static inline known_ssrc *demultiplexer_find(const demultiplexer *it, uint32_t ssrc) {
    size_t at = ssrc * UINT32_C(0x9E3779B1) >> (32 - it->bits), last = ((size_t)1 << it->bits) - 1;
    while (it->known[at].section != NULL && it->known[at].ssrc != ssrc)
        at = (at + 1) & last;
    return it->known[at].section != NULL ? &it->known[at] : NULL;
}

/* The element that names the packet's section, the last one if there are several; or NULL. */
static inline const header_element *demultiplexer_mid(const header_elements *found) {
    const header_element *mid = NULL;
    if (!(found->kinds & ELEMENT_MID))
        return NULL;
    for (size_t i = 0; i < found->count; i++)
        if (found->of[i].kinds & ELEMENT_MID)
            mid = &found->of[i];
    return mid;
}

static inline bool demultiplexer_is_named(const section *it, const header_element *mid) {
    const parameters *parameters = it->stream->parameters;
    return parameters->mid_size == mid->size && mid->size > 0 &&
           memcmp(parameters->mid, mid->value, mid->size) == 0;
}

/* The stream of a packet where nothing is to be learnt from it: its SSRC is known, and it carries no
 * MID or that of its section. Else NULL. */
static inline stream *demultiplexer_known(demultiplexer *it, const packet *packet,
                                          const header_element *mid) {
    known_ssrc *known = demultiplexer_find(it, packet->ssrc);
    if (known == NULL || !known->section->readable[packet->payload_type] ||
        (mid != NULL && !demultiplexer_is_named(known->section, mid)))
        return NULL;
    known->heard = packet->arrival;
    return known->section->stream;
}

/* The stream of any other packet; NULL where it has none. */
stream *demultiplexer_learn(demultiplexer *it, const packet *packet, const header_element *mid);

/* The stream of a packet with these header extension elements; NULL where it has none. */
static inline stream *demultiplexer_route(demultiplexer *it, const packet *packet,
                                          const header_elements *found) {
    const header_element *mid = demultiplexer_mid(found);
    stream *known = demultiplexer_known(it, packet, mid);
    return known != NULL ? known : demultiplexer_learn(it, packet, mid);
}

#endif
