/* The native plane: one thread without Python reads the sockets of all connections, at ticks.
 *
 *   look: for each peer due: recvmmsg → STUN | SRTP → bundle_take …; bundle_handle_timer → RTCP sent
 *         cuts, and what is not ours (DTLS, other STUN), wait in the peer; one eventfd write a look
 *
 * Theory of operation. Waking for each packet costs more than all the work on it, so nothing waits on a
 * socket. The thread looks at each peer every LONG_TICK seconds, and besides when its next cut should be
 * complete. TICK is for a peer that was asked for a keyframe or a packet, SHORT_TICK for a socket that
 * fills fast; peer.c has the reasons. Looks are on a grid, so that one wake-up serves many peers; of many
 * peers, PLANE_ABREAST share a place on it. A packet's arrival is the kernel's time stamp, so a look that
 * comes later changes no jitter and no report.
 *
 * Locks. A peer's is for its bundle and what waits in it. The plane's is for the list of peers and the
 * batch, and is held while the thread looks. `ready_lock` is for the list of peers in which something
 * waits. They are taken in this order: plane, peer, ready. The eventfd is written after the peer is on
 * the ready list, and read before that list is emptied: a peer may be found empty, but none is missed.
 *
 * Linux only: elsewhere `plane_new` gives NULL.
 */
#ifndef SLICER_PLANE_H
#define SLICER_PLANE_H

#include "bundle.h"
#include "srtp.h"
#include "stun.h"

#define PLANE_TICK 0.02
#define PLANE_LONG_TICK 0.1
#define PLANE_SHORT_TICK 0.01
#define PLANE_ABREAST 64
#define PLANE_BATCH 64 /* datagrams of one system call; several that the kernel joined are one */
#define PLANE_MAX_BATCHES 8
#define PLANE_ROOM 2048        /* bytes of one datagram; a longer one is refused */
#define PLANE_QUIET 8          /* empty looks after which a peer is looked at half as often */
#define PLANE_MAX_OTHERS 256   /* datagrams that wait for Python in one peer; more are dropped */
#define PLANE_MAX_WAITING 1024 /* cuts that wait for Python in one peer; more are dropped */

typedef struct plane plane;
typedef struct peer peer;

/* A datagram for ICE or DTLS in Python: `size` bytes at `offset` of the bytes beside it. */
typedef struct other {
    uint8_t address[16];
    uint8_t address_size; /* 4 or 16 */
    uint16_t number;
    uint32_t scope;
    size_t offset, size;
} other;

typedef struct others {
    other *of;
    size_t count, capacity;
    buffer bytes;
} others;

void others_clear(others *it);
void others_free(others *it);

/* Where a peer's datagrams come from and go to. All of it is taken over, also on failure. */
typedef struct transport {
    int fd;                  /* a non-blocking UDP socket */
    uint8_t address[16];     /* the peer's, in network order */
    uint8_t address_size;    /* 4 or 16 */
    uint16_t number;
    uint32_t scope;
    srtp *inbound, *outbound; /* NULL: plain RTP */
    stun_agent *agent;        /* NULL: STUN is not ours to answer */
    bool keep;                /* go on with the keys and the agent of the socket before */
} transport;

/* The thread starts with the first peer and ends with the plane. */
plane *plane_new(void);
void plane_free(plane *it); /* its peers must have been freed */
/* Readable while something waits in a peer. */
int plane_fileno(const plane *it);
/* Give the owners of all peers in which something waits, `room` at most, and forget them. */
size_t plane_ready(plane *it, void **owners, size_t room);
/* What the plane has done so far: its wake-ups, seconds of CPU of its thread, and what became of the
 * datagrams that it took: given to a bundle, refused (SRTP), or not media (STUN, DTLS). */
typedef struct plane_stats {
    uint64_t ticks, media, refused, other;
    double cpu;
} plane_stats;

void plane_counts(plane *it, plane_stats *out);

/* `bundle` outlives the peer and is used through it alone from now on. */
peer *peer_new(plane *plane, bundle *bundle, void *owner);
void peer_free(peer *it);
/* Read this socket from now on, in place of another one before; false where there is no memory. */
bool peer_take(peer *it, transport *transport);
/* The peer is at another address. */
void peer_redirect(peer *it, const uint8_t *address, uint8_t address_size, uint16_t number,
                   uint32_t scope);
/* Send and read nothing from now on, and close the socket. */
void peer_release(peer *it);

/* As the bundle's, at the present time, with the cuts that wait first; RTCP is sent. */
void peer_set_sections(peer *it, uint64_t anchor, const parameters *const *sections, size_t count,
                       outputs *out);
void peer_attach(peer *it, uint64_t anchor, uint64_t track, uint8_t slot,
                 const slice_spec *spec, outputs *out);
void peer_detach(peer *it, uint64_t anchor, uint64_t track, uint8_t slot, outputs *out);
/* Datagrams that came another way, decrypted. */
void peer_receive(peer *it, const uint8_t *const *data, const size_t *sizes, size_t number,
                  outputs *out);
/* Read what came since the last look. */
void peer_read(peer *it, outputs *out);
void peer_flush(peer *it, outputs *out);
/* Move what waits to the (empty) lists. */
void peer_collect(peer *it, outputs *cuts, others *others);
/* When anything came last that is proven to be the peer's, in seconds of the monotonic clock: SRTP and
 * STUN that are authenticated; where there are no keys, any RTP. */
double peer_heard(peer *it);
/* As bundle_heard. */
double peer_media_heard(peer *it, uint64_t anchor);
/* As `bundle_counters`; of all, those of the peer are added. */
void peer_counters(peer *it, uint64_t anchor, counters *sum);

#endif
