/* The native plane: one thread without Python drains every connection's socket now and then.
 *
 *   look: for each port due: recvmmsg → STUN | SRTP → receiver_take …; receiver_handle_timer → RTCP sent
 *         cuts, and what is not ours (DTLS, other STUN), wait in the port; one eventfd write a look
 *
 * Waking for each packet costs more than all the work on it, so nothing waits on a socket: the thread
 * looks at each port every LONG_TICK seconds, and besides when its next cut should be complete. TICK is
 * for who has asked for a picture or a packet, SHORT_TICK for a socket that fills fast. Looks are on a
 * grid, so that one wake-up serves many ports; of many ports, PLANE_ABREAST share a place on it.
 * When a packet came is the kernel's word.
 *
 * Locks: a port's for its receiver and what waits in it; the plane's for the list of ports, held while
 * the thread looks; `ready_lock` for the list of ports in which something waits. Taken in that order:
 * plane, port, ready. Linux only: elsewhere `plane_new` gives NULL.
 */
#ifndef SLICER_PLANE_H
#define SLICER_PLANE_H

#include "receiver.h"
#include "srtp.h"
#include "stun.h"

#define PLANE_TICK 0.02
#define PLANE_LONG_TICK 0.1
#define PLANE_SHORT_TICK 0.01
#define PLANE_ABREAST 64
#define PLANE_BATCH 64 /* datagrams of one system call */
#define PLANE_MAX_BATCHES 8
#define PLANE_ROOM 2048        /* bytes of one datagram; a longer one is cut off and refused */
#define PLANE_QUIET 8          /* empty looks after which a port is looked at half as often */
#define PLANE_MAX_OTHERS 256   /* datagrams that wait for Python in one port; more are dropped */
#define PLANE_MAX_WAITING 1024 /* cuts that wait for Python in one port; more are dropped */

typedef struct plane plane;
typedef struct port port;

/* A datagram that is not ours: `size` bytes at `offset` of the bytes beside it. */
typedef struct other {
    uint8_t address[16];
    uint8_t address_size; /* 4 or 16 */
    uint16_t port;
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

/* Where a port's datagrams come from and go to. All of it is taken over, also on failure. */
typedef struct transport {
    int fd;                  /* a non-blocking UDP socket */
    uint8_t address[16];     /* the peer's, in network order */
    uint8_t address_size;    /* 4 or 16 */
    uint16_t port;
    uint32_t scope;
    srtp *inbound, *outbound; /* NULL: plain RTP */
    stun_agent *agent;        /* NULL: STUN is not ours to answer */
    bool keep;                /* go on with the keys and the agent of the socket before */
} transport;

/* The thread starts with the first port and ends with the plane. */
plane *plane_new(void);
void plane_free(plane *it); /* its ports must have been freed */
/* Readable while something waits in a port. */
int plane_fileno(const plane *it);
/* Give the owners of all ports in which something waits, `room` at most, and forget them. */
size_t plane_ready(plane *it, void **owners, size_t room);
/* Wake-ups so far, and seconds of CPU of the thread. */
void plane_stats(plane *it, uint64_t *ticks, double *cpu);

/* `receiver` outlives the port and is used through it alone from now on. */
port *port_new(plane *plane, receiver *receiver, void *owner);
void port_free(port *it);
/* Read this socket from now on, in place of another one before; false where there is no memory. */
bool port_take(port *it, transport *transport);
/* The peer is at another address. */
void port_redirect(port *it, const uint8_t *address, uint8_t address_size, uint16_t number,
                   uint32_t scope);
/* Send and read nothing from now on, and close the socket. */
void port_release(port *it);

void port_attach(port *it, uint64_t track, bool video, int64_t seconds, outputs *out);
void port_detach(port *it, uint64_t track, bool video, outputs *out);
/* Datagrams that came another way, decrypted. */
void port_receive(port *it, const uint8_t *const *data, const size_t *sizes, size_t count,
                  outputs *out);
void port_flush(port *it, outputs *out);
/* Move what waits to the (empty) lists. */
void port_collect(port *it, outputs *cuts, others *others);
/* When anything came last, in seconds of the monotonic clock. */
double port_heard(port *it);
/* The receiver's counters and the port's own, added up. */
void port_counters(port *it, counters *sum);

#endif
