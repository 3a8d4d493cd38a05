/* Inside the plane: what plane.c (the thread, the list) and peer.c (one connection's socket) share. */
#ifndef SLICER_PEER_H
#define SLICER_PEER_H

#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

#include "plane.h"

#ifndef UDP_GRO /* of Linux 5.0, which headers of manylinux do not have; older kernels refuse it */
#define UDP_GRO 104
#endif

/* Room beside what is read for a timestamp, a count of dropped datagrams, and a datagram's size. */
#define CONTROL_ROOM                                                                                 \
    (CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t)) + CMSG_SPACE(sizeof(int)))
/* Bytes of what is read at once: as many datagrams as the kernel joins to one. */
#define BATCH_ROOM 65536

struct peer {
    plane *plane;
    bundle *bundle;
    void *owner;
    pthread_mutex_t lock;
    transport transport; /* fd -1: none yet */
    struct sockaddr_storage address;
    socklen_t address_size;
    counters counters;
    outputs waiting;
    others others;
    double deadline, heard, last_arrival, ran; /* `ran`: the time of the last timers */
    double looked, look, phase; /* at last; next; its place on the grid of long ticks */
    uint32_t dropped; /* by the kernel, as it last reported */
    unsigned empty_looks;
    bool listed;
    bool ready; /* under the plane's ready_lock */
    stun_check check;
};

typedef struct batch {
    struct mmsghdr messages[PLANE_BATCH];
    struct iovec pieces[PLANE_BATCH];
    struct sockaddr_storage from[PLANE_BATCH];
    _Alignas(struct cmsghdr) uint8_t control[PLANE_BATCH][CONTROL_ROOM];
    uint8_t bytes[]; /* PLANE_BATCH places, as the pieces say */
} batch;

struct plane {
    pthread_mutex_t lock, ready_lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool running, stopping;
    int event, stamping;
    peer **peers;
    size_t count, capacity;
    peer **ready;
    size_t ready_count;
    batch *batch;
    outputs scratch;
    double realtime_offset; /* CLOCK_REALTIME minus CLOCK_MONOTONIC */
    _Atomic uint64_t ticks, cpu_ns, media, refused, other;
};

static inline double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* `room`: bytes to read at once, at most BATCH_ROOM. NULL without memory; `free` gives it back. */
batch *batch_new(size_t room);
/* Reset what recvmmsg has written over. */
static inline void batch_restore(batch *it, size_t used) {
    for (size_t i = 0; i < used; i++) {
        it->messages[i].msg_hdr.msg_namelen = sizeof it->from[i];
        it->messages[i].msg_hdr.msg_controllen = CONTROL_ROOM;
        it->messages[i].msg_hdr.msg_flags = 0;
    }
}
/* Look at a peer, its lock held, and say in `look` when to look again. */
void peer_look(plane *plane, peer *it, double now);
/* Both with the plane's lock held. */
bool plane_list(plane *it, peer *one);
void plane_unlist(plane *it, peer *one);
bool plane_start(plane *it);

#endif
