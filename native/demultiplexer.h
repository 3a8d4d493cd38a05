/* Which section of a bundle a packet belongs to (RFC 8843 9.2); twin of slicer/rtp/demultiplexer.py.
 *
 * What is known of SSRCs is one open-addressing table, at most half full: a packet of a known SSRC
 * costs a multiplication and mostly one look. Its size is set when sections change, so nothing is
 * allocated for a packet.
 */
#ifndef SLICER_DEMULTIPLEXER_H
#define SLICER_DEMULTIPLEXER_H

#include "stream.h"

#define DEMULTIPLEXER_MAX_SSRCS 16 /* known of one section */
#define DEMULTIPLEXER_MAX_ENDED 256

typedef struct section {
    stream *stream;
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
} demultiplexer;

/* `counters` outlives it. False where there is no memory. */
bool demultiplexer_init(demultiplexer *it, counters *counters);
void demultiplexer_free(demultiplexer *it);
/* These are the streams from now on. One there is no memory for gets no packets, and is counted. */
void demultiplexer_replace(demultiplexer *it, stream *const *streams, size_t count, double now);
/* The stream of a packet with these header extension elements; NULL where it has none. */
stream *demultiplexer_route(demultiplexer *it, const packet *packet, const header_elements *found);

/* What is known of an SSRC, retransmissions' included; NULL where nothing is. */
static inline known_ssrc *demultiplexer_find(const demultiplexer *it, uint32_t ssrc) {
    size_t at = ssrc * UINT32_C(0x9E3779B1) >> (32 - it->bits), last = ((size_t)1 << it->bits) - 1;
    while (it->known[at].section != NULL && it->known[at].ssrc != ssrc)
        at = (at + 1) & last;
    return it->known[at].section != NULL ? &it->known[at] : NULL;
}

/* Native only, for packets that are not authenticated yet: what is known of this packet's SSRC where
 * `demultiplexer_route` would learn nothing new from the packet, else NULL. */
known_ssrc *demultiplexer_peek(const demultiplexer *it, const packet *packet, const header_elements *found);

#endif
