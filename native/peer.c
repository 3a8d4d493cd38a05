#define _GNU_SOURCE
#ifdef __linux__
#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

#include "address.h"
#include "peer.h"
#include "rtcp.h"

#define RECEIVE_BUFFER (1 << 20)
/* Where more would come, the next look is soon: the kernel may hold little over a hundred. */
#define PACKETS_A_LONG_TICK 64.0
/* Seconds after which an unread packet is decrypted all the same: it proves that the peer is there. */
#define PROOF_EVERY 1.0

static void set_address(peer *it) {
    const transport *to = &it->transport;
    it->address_size =
        address_write(&it->address, to->address, to->address_size, to->number, to->scope);
}

static bool send_to(peer *it, const void *data, size_t size) {
    const struct sockaddr *to = (const struct sockaddr *)&it->address;
    return it->transport.fd >= 0 &&
           sendto(it->transport.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, to, it->address_size) ==
               (ssize_t)size;
}

static void transmit(peer *it, buffer *compound) {
    bool sent = false;
    if (it->transport.outbound == NULL) /* plain RTP, or no socket any more */
        sent = it->transport.inbound == NULL && send_to(it, compound->data, compound->size);
    else if (buffer_reserve(compound, SRTP_MAX_TRAILER)) {
        size_t size;
        sent = srtp_protect_rtcp(it->transport.outbound, compound->data, compound->size, &size) &&
               send_to(it, compound->data, size);
    }
    if (!sent)
        COUNT(&it->counters, rtcp_unsent);
}

/* Send the RTCP among what the bundle gave; move the cuts to `cuts`. */
static void dispatch(peer *it, outputs *from, outputs *cuts, size_t room) {
    for (size_t i = 0; i < from->count; i++) {
        output *one = &from->of[i];
        if (one->kind == OUTPUT_TRANSMIT) {
            transmit(it, &one->as.transmit);
            output_free(one);
        } else if (cuts->count >= room) {
            COUNT(&it->counters, cuts_dropped);
            output_free(one);
        } else if (!outputs_add(cuts, one)) {
            COUNT(&it->counters, out_of_memory);
        }
    }
    from->count = 0;
}

static void hand_back(peer *it, const uint8_t *data, size_t size,
                      const struct sockaddr_storage *from) {
    others *waiting = &it->others;
    if (waiting->count == PLANE_MAX_OTHERS) {
        COUNT(&it->counters, others_dropped);
        return; /* STUN and DTLS repeat what is not answered */
    }
    other one, *of = grown(waiting->of, waiting->count + 1, &waiting->capacity, sizeof *of, 4);
    if (of == NULL) {
        COUNT(&it->counters, out_of_memory);
        return;
    }
    waiting->of = of;
    address_read(from, &one);
    one.offset = waiting->bytes.size;
    one.size = size;
    if (buffer_append(&waiting->bytes, data, size))
        waiting->of[waiting->count++] = one;
    else
        COUNT(&it->counters, out_of_memory);
}

/* STUN checks of the pair in use are answered here; the rest goes to ICE in Python. */
static void take_stun(peer *it, const uint8_t *data, size_t size,
                      const struct sockaddr_storage *from, double now) {
    if (it->transport.agent != NULL && address_equal(from, &it->address)) {
        uint8_t answer[STUN_MAX_RESPONSE];
        size_t answer_size;
        other address;
        address_read(from, &address);
        bool proven;
        if (stun_check_answered(&it->check, it->transport.agent, data, size, &proven)) {
            if (proven)
                it->heard = now;
            return;
        }
        if (stun_receive(it->transport.agent, data, size, address.address, address.address_size,
                         address.number, answer, &answer_size) == STUN_ANSWERED) {
            send_to(it, answer, answer_size);
            it->heard = now;
            return;
        }
    }
    hand_back(it, data, size, from);
}

/* Read alone by who watches: in no order with anything. */
static void tally(_Atomic uint64_t *what, size_t more) {
    atomic_fetch_add_explicit(what, more, memory_order_relaxed);
}

/* Whether it was given to the bundle. */
static bool take_media(peer *it, uint8_t *data, size_t size, bool own, double arrival, double now) {
    srtp *inbound = it->transport.inbound;
    if (inbound == NULL) {
        it->heard = now;
        bundle_take(it->bundle, data, size, arrival);
        return true;
    }
    bool rtcp = is_rtcp(data, size);
    /* What nobody reads need not be decrypted; bundle.h says what such a packet may change. From the
     * peer's own address alone: it is not authenticated, and anybody could send it. */
    if (!rtcp && own && now < it->heard + PROOF_EVERY && srtp_may_skip(inbound, data, size) &&
        bundle_pass_over(it->bundle, data, size, arrival))
        return true;
    size_t plain;
    int refused = rtcp ? srtp_unprotect_rtcp(inbound, data, size, &plain)
                       : srtp_unprotect(inbound, data, size, &plain);
    if (refused != NOT_REFUSED) {
        it->counters.of[refused]++;
        return false;
    }
    it->heard = now;
    bundle_take(it->bundle, data, plain, arrival);
    return true;
}

/* When the kernel received this, on the monotonic clock, and in `each` the bytes of each datagram where it
 * joined several. The time stamp is of the real-time clock, which may be set; so it is kept between the
 * last arrival and `now`. */
static double arrival_of(plane *plane, peer *it, struct msghdr *message, double now, size_t *each) {
    double arrival = now;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(message); one; one = CMSG_NXTHDR(message, one)) {
        if (one->cmsg_level == IPPROTO_UDP && one->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(one), sizeof size);
            *each = size > 0 ? (size_t)size : *each;
        } else if (one->cmsg_level != SOL_SOCKET) {
            continue;
        } else if (one->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(one), sizeof time);
            arrival = (double)time.tv_sec + (double)time.tv_nsec * 1e-9 - plane->realtime_offset;
        } else if (one->cmsg_type == SO_RXQ_OVFL) {
            uint32_t dropped;
            memcpy(&dropped, CMSG_DATA(one), sizeof dropped);
            it->counters.of[COUNT_receive_buffer_full] += (uint32_t)(dropped - it->dropped);
            it->dropped = dropped;
        }
    }
    arrival = arrival < it->last_arrival ? it->last_arrival : arrival;
    return it->last_arrival = arrival > now ? now : arrival;
}

static void take_datagram(plane *plane, peer *it, uint8_t *data, size_t size,
                          const struct sockaddr_storage *from, double arrival, double now) {
    if (size > PLANE_ROOM) {
        COUNT(&it->counters, srtp_oversized);
        tally(&plane->refused, 1);
    } else if (data[0] >> 6 == 2) { /* RFC 7983 */
        bool taken = take_media(it, data, size, address_equal(from, &it->address), arrival, now);
        tally(taken ? &plane->media : &plane->refused, 1);
    } else {
        tally(&plane->other, 1);
        if (data[0] < 4)
            take_stun(it, data, size, from, now);
        else
            hand_back(it, data, size, from);
    }
}

/* Take what was read into a place of the batch: one datagram, or several of one sender and one size, but
 * for the last, which the kernel has joined. Gives how many. */
static size_t take(plane *plane, peer *it, size_t index, double now) {
    struct mmsghdr *message = &plane->batch->messages[index];
    const struct sockaddr_storage *from = &plane->batch->from[index];
    uint8_t *data = plane->batch->pieces[index].iov_base;
    size_t size = message->msg_len, each = BATCH_ROOM, count = 0;
    double arrival = arrival_of(plane, it, &message->msg_hdr, now, &each);
    for (size_t at = 0; at < size; at += each, count++)
        take_datagram(plane, it, data + at, size - at < each ? size - at : each, from, arrival, now);
    return count + !size; /* nothing at all is one, too */
}

/* The time at which timers may run: the present only where the socket is `empty`. After a stall of the
 * process it holds seconds of media, and timers that ran ahead of those would take them for silence.
 * It never steps back. */
static double timer_time(peer *it, bool empty, double now) {
    double time = empty ? now : it->last_arrival;
    return it->ran = time > it->ran ? time : it->ran;
}

static void run_bundle(plane *plane, peer *it, double now) {
    bundle_handle_timer(it->bundle, now, &plane->scratch);
    dispatch(it, &plane->scratch, &it->waiting, PLANE_MAX_WAITING);
}

/* Read what is in the socket, PLANE_MAX_BATCHES or as many datagrams as those hold one by one at most: a flood
 * cannot hold the thread. Timers run among them, for what waits is bounded. Gives how many; `empty`: all. */
static size_t drain(plane *plane, peer *it, double now, bool *empty) {
    size_t total = 0, most = PLANE_MAX_BATCHES * PLANE_BATCH;
    *empty = false;
    for (int round = 0; round < PLANE_MAX_BATCHES && total < most && !*empty; round++) {
        int got = recvmmsg(it->transport.fd, plane->batch->messages, PLANE_BATCH, MSG_DONTWAIT, NULL);
        now = seconds(CLOCK_MONOTONIC); /* or what has come since would seem to have come before */
        if (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            continue; /* the ICMP error of something sent earlier: datagrams may be behind it */
        *empty = got < PLANE_BATCH;
        size_t before = total;
        for (int i = 0; i < got; i++) {
            if (total - before >= PLANE_BATCH) {
                run_bundle(plane, it, timer_time(it, false, now));
                before = total;
            }
            total += take(plane, it, (size_t)i, now);
        }
        if (got > 0)
            batch_restore(plane->batch, (size_t)got);
        if (total) /* before the batch's bytes are written over */
            run_bundle(plane, it, timer_time(it, *empty, now));
    }
    return total;
}

/* Whether nothing waits in the socket. */
static bool is_empty(const peer *it) {
    uint8_t byte;
    return it->transport.fd < 0 ||
           (recv(it->transport.fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) < 0 &&
            (errno == EAGAIN || errno == EWOULDBLOCK));
}

static void send_check(peer *it, double now) {
    uint8_t request[STUN_MAX_REQUEST], random[STUN_TRANSACTION];
    size_t size;
    if (getrandom(random, sizeof random, GRND_NONBLOCK) == sizeof random &&
        stun_check_write(&it->check, it->transport.agent, random, now, request, &size))
        send_to(it, request, size);
}

/* The next place after `time` on a grid. */
static double on_grid(double time, double step, double phase) {
    return (floor((time - phase) / step) + 1.0) * step + phase;
}

/* Whether the socket fills fast. A time below PLANE_TICK counts as one: it may have brought one frame. */
static bool fills(size_t got, double since) {
    since = since < PLANE_TICK ? PLANE_TICK : since;
    return (double)got * PLANE_LONG_TICK > PACKETS_A_LONG_TICK * since;
}

/* When to read the socket again. The thread waits on no socket, so this alone bounds three things:
 *
 *   how long a cut waits          the grid of long ticks; sooner where `bundle_expects` says so
 *   what the kernel has to hold   a socket that fills fast is read at the next short tick, before its
 *                                 buffer is full: what does not fit is lost
 *   what an idle connection costs half as many reads after PLANE_QUIET empty ones
 *
 * Too late shows as late cuts, needless second requests and `receive_buffer_full`; too often, in the
 * CPU time of many connections. All times are on grids, so that one wake-up serves many peers. */
static double next_look(const peer *it, size_t got, double now) {
    double look = on_grid(now, PLANE_LONG_TICK, it->phase);
    if (it->empty_looks >= PLANE_QUIET)
        return look + PLANE_LONG_TICK;
    if (fills(got, now - it->looked))
        return on_grid(now, PLANE_SHORT_TICK, 0.0);
    double expected = bundle_expects(it->bundle, now);
    double then = expected <= now ? on_grid(now, PLANE_TICK, 0.0)
                                  : on_grid(expected, PLANE_SHORT_TICK, 0.0);
    return earlier(look, then);
}

void peer_look(plane *plane, peer *it, double now) {
    size_t got = 0;
    bool empty = true;
    if (it->transport.fd >= 0) {
        got = drain(plane, it, now, &empty);
        it->empty_looks = got ? 0 : it->empty_looks + 1;
        if (it->transport.agent != NULL && it->check.due <= now)
            send_check(it, now);
    }
    if (!got && empty && it->deadline <= now)
        run_bundle(plane, it, timer_time(it, true, now));
    if (got || it->deadline <= now)
        it->deadline = bundle_deadline(it->bundle);
    it->look = next_look(it, got, now);
    it->looked = now;
}

/* ---- from outside ---- */

/* Whether the kernel may join datagrams that came together (UDP generic receive offload): a frame then
 * costs one system call's work, and not one for each packet. Whoever reads the socket must know. */
static void join(int fd, int on) { setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on); }

static void give_back(transport *it) {
    if (it->fd >= 0) {
        join(it->fd, 0); /* it may be a duplicate of one that Python reads */
        close(it->fd);
    }
    srtp_free(it->inbound);
    srtp_free(it->outbound);
    free(it->agent);
    *it = (transport){.fd = -1};
}

peer *peer_new(plane *plane, bundle *bundle, void *owner) {
    peer *it = calloc(1, sizeof *it);
    if (it == NULL)
        return NULL;
    it->plane = plane;
    it->bundle = bundle;
    it->owner = owner;
    it->transport.fd = -1;
    it->deadline = NEVER;
    pthread_mutex_init(&it->lock, NULL);
    return it;
}

void peer_free(peer *it) {
    peer_release(it);
    pthread_mutex_destroy(&it->lock);
    outputs_free(&it->waiting);
    others_free(&it->others);
    free(it);
}

static void listen_to(int fd) {
    int on = 1, size = RECEIVE_BUFFER;
    join(fd, 1);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

bool peer_take(peer *it, transport *transport) {
    pthread_mutex_lock(&it->plane->lock);
    pthread_mutex_lock(&it->lock);
    bool taken = (it->listed || plane_list(it->plane, it)) && plane_start(it->plane);
    if (taken) {
        if (transport->keep) {
            transport->inbound = it->transport.inbound;
            transport->outbound = it->transport.outbound;
            transport->agent = it->transport.agent;
            it->transport.inbound = it->transport.outbound = NULL;
            it->transport.agent = NULL;
        }
        give_back(&it->transport);
        it->transport = *transport;
        listen_to(transport->fd);
        set_address(it);
        it->heard = it->last_arrival = seconds(CLOCK_MONOTONIC);
        it->dropped = 0;
        it->look = 0.0;
        it->deadline = bundle_deadline(it->bundle);
        stun_check_begin(&it->check, it->heard);
        pthread_cond_signal(&it->plane->changed);
    } else {
        give_back(transport);
    }
    pthread_mutex_unlock(&it->lock);
    pthread_mutex_unlock(&it->plane->lock);
    return taken;
}

void peer_redirect(peer *it, const uint8_t *address, uint8_t address_size, uint16_t number,
                   uint32_t scope) {
    pthread_mutex_lock(&it->lock);
    memcpy(it->transport.address, address, address_size);
    it->transport.address_size = address_size;
    it->transport.number = number;
    it->transport.scope = scope;
    set_address(it);
    pthread_mutex_unlock(&it->lock);
}

void peer_release(peer *it) {
    pthread_mutex_lock(&it->plane->lock);
    if (it->listed)
        plane_unlist(it->plane, it);
    pthread_mutex_unlock(&it->plane->lock);
    pthread_mutex_lock(&it->lock);
    give_back(&it->transport);
    pthread_mutex_unlock(&it->lock);
}

/* Lock the peer, and read what came since the last look: a track that ends still gets all packets that
 * came before the call. `finish` unlocks it. */
static double catch_up(peer *it) {
    pthread_mutex_lock(&it->plane->lock); /* the batch is the plane's */
    pthread_mutex_lock(&it->lock);
    double now = seconds(CLOCK_MONOTONIC);
    bool empty = true;
    if (it->transport.fd >= 0)
        drain(it->plane, it, now, &empty);
    pthread_mutex_unlock(&it->plane->lock);
    return timer_time(it, empty, now);
}

/* End a call from outside: the cuts that waited go first, then those of the call. */
static void finish(peer *it, outputs *from, outputs *out) {
    dispatch(it, &it->waiting, out, SIZE_MAX);
    dispatch(it, from, out, SIZE_MAX);
    outputs_free(from);
    it->deadline = bundle_deadline(it->bundle);
    it->look = 0.0; /* what is expected may have changed */
    pthread_mutex_unlock(&it->lock);
}

void peer_set_sections(peer *it, uint64_t anchor, const parameters *const *sections, size_t count,
                       outputs *out) {
    outputs from = {0};
    bundle_set_sections(it->bundle, anchor, sections, count, catch_up(it), &from);
    finish(it, &from, out);
}

void peer_attach(peer *it, uint64_t anchor, uint64_t track, uint8_t slot,
                 const slice_spec *spec, outputs *out) {
    outputs from = {0};
    pthread_mutex_lock(&it->lock);
    double now = timer_time(it, is_empty(it), seconds(CLOCK_MONOTONIC));
    bundle_attach(it->bundle, anchor, track, slot, spec, now, &from);
    finish(it, &from, out);
}

void peer_detach(peer *it, uint64_t anchor, uint64_t track, uint8_t slot, outputs *out) {
    outputs from = {0};
    bundle_detach(it->bundle, anchor, track, slot, catch_up(it), &from);
    finish(it, &from, out);
}

void peer_receive(peer *it, const uint8_t *const *data, const size_t *sizes, size_t number,
                  outputs *out) {
    outputs from = {0};
    pthread_mutex_lock(&it->lock);
    double now = seconds(CLOCK_MONOTONIC);
    for (size_t i = 0; i < number; i++)
        bundle_take(it->bundle, data[i], sizes[i], now);
    tally(&it->plane->media, number);
    bundle_handle_timer(it->bundle, timer_time(it, is_empty(it), now), &from);
    it->heard = it->last_arrival = now;
    finish(it, &from, out);
}

void peer_read(peer *it, outputs *out) {
    outputs none = {0};
    catch_up(it);
    finish(it, &none, out);
}

void peer_flush(peer *it, outputs *out) {
    outputs from = {0};
    catch_up(it);
    bundle_flush(it->bundle, &from);
    finish(it, &from, out);
}

void peer_collect(peer *it, outputs *cuts, others *datagrams) {
    pthread_mutex_lock(&it->lock);
    outputs no_cuts = *cuts;
    others no_datagrams = *datagrams;
    *cuts = it->waiting;
    *datagrams = it->others;
    it->waiting = no_cuts;
    it->others = no_datagrams;
    pthread_mutex_unlock(&it->lock);
}

double peer_heard(peer *it) {
    pthread_mutex_lock(&it->lock);
    double heard = it->heard;
    pthread_mutex_unlock(&it->lock);
    return heard;
}

double peer_media_heard(peer *it, uint64_t anchor) {
    pthread_mutex_lock(&it->lock);
    double heard = bundle_heard(it->bundle, anchor);
    pthread_mutex_unlock(&it->lock);
    return heard;
}

void peer_counters(peer *it, uint64_t anchor, counters *sum) {
    pthread_mutex_lock(&it->lock);
    bundle_counters(it->bundle, anchor, sum);
    for (size_t i = 0; anchor == 0 && i < COUNTERS_END; i++)
        sum->of[i] += it->counters.of[i];
    pthread_mutex_unlock(&it->lock);
}

#endif
