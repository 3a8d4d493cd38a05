#define _GNU_SOURCE
#include "plane.h"

#ifdef __linux__

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

#define FEWEST_PEERS 8

void others_clear(others *it) {
    it->count = 0;
    it->bytes.size = 0;
}

void others_free(others *it) {
    free(it->of);
    buffer_free(&it->bytes);
    *it = (others){0};
}

/* Note that something waits in this peer; true where it does. */
static bool announce(plane *plane, peer *it) {
    if (!it->waiting.count && !it->others.count)
        return false;
    pthread_mutex_lock(&plane->ready_lock);
    if (!it->ready) /* there is room for every peer: made when the peer was listed */
        plane->ready[plane->ready_count++] = it;
    it->ready = true;
    pthread_mutex_unlock(&plane->ready_lock);
    return true;
}

static void wake(plane *plane) {
    uint64_t one = 1;
    ssize_t written = write(plane->event, &one, sizeof one);
    (void)written; /* full means that it is readable already */
}

/* Look at the peers whose time has come; gives when the next one's comes. */
static double look(plane *plane) {
    /* In this order: where others run in between, what came seems later than it was, as by a queue. What
     * seems earlier would lower the path's least delay for good. */
    double realtime = seconds(CLOCK_REALTIME);
    double now = seconds(CLOCK_MONOTONIC), next = now + PLANE_LONG_TICK; /* for a peer that is new */
    plane->realtime_offset = realtime - now;
    bool ready = false;
    for (size_t i = 0; i < plane->count; i++) {
        peer *one = plane->peers[i];
        pthread_mutex_lock(&one->lock);
        if (one->look <= now) {
            peer_look(plane, one, now);
            ready |= announce(plane, one);
        }
        next = earlier(next, one->look);
        pthread_mutex_unlock(&one->lock);
    }
    if (ready)
        wake(plane);
    atomic_fetch_add(&plane->ticks, 1);
    struct timespec cpu;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    atomic_store(&plane->cpu_ns, (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec);
    return next;
}

static void sleep_until(double when) {
    struct timespec time = {(time_t)when, (long)((when - floor(when)) * 1e9)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        ;
}

static void *run(void *of) {
    plane *plane = of;
    pthread_mutex_lock(&plane->lock);
    while (!plane->stopping) {
        if (plane->count == 0) {
            pthread_cond_wait(&plane->changed, &plane->lock);
            continue;
        }
        double next = look(plane);
        pthread_mutex_unlock(&plane->lock);
        sleep_until(next);
        pthread_mutex_lock(&plane->lock);
    }
    pthread_mutex_unlock(&plane->lock);
    return NULL;
}

/* ---- the plane ---- */

batch *batch_new(size_t room) {
    batch *it = calloc(1, sizeof *it + PLANE_BATCH * room);
    for (size_t i = 0; it != NULL && i < PLANE_BATCH; i++) {
        it->pieces[i] = (struct iovec){it->bytes + i * room, room};
        it->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &it->from[i],
            .msg_namelen = sizeof it->from[i],
            .msg_iov = &it->pieces[i],
            .msg_iovlen = 1,
            .msg_control = it->control[i],
            .msg_controllen = CONTROL_ROOM,
        };
    }
    return it;
}

/* Linux begins to stamp datagrams some time after the first socket of the machine asks for it, and what
 * comes until then is stamped when it is read. This socket asks early, and is never read. */
static int stamping_socket(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    return fd;
}

plane *plane_new(void) {
    plane *it = calloc(1, sizeof *it);
    if (it == NULL)
        return NULL;
    it->batch = batch_new(BATCH_ROOM);
    it->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (it->batch == NULL || it->event < 0) {
        if (it->event >= 0)
            close(it->event);
        free(it->batch);
        free(it);
        return NULL;
    }
    it->stamping = stamping_socket();
    pthread_mutex_init(&it->lock, NULL);
    pthread_mutex_init(&it->ready_lock, NULL);
    pthread_cond_init(&it->changed, NULL);
    return it;
}

void plane_free(plane *it) {
    if (it->running) {
        pthread_mutex_lock(&it->lock);
        it->stopping = true;
        pthread_cond_signal(&it->changed);
        pthread_mutex_unlock(&it->lock);
        pthread_join(it->thread, NULL);
    }
    close(it->event);
    if (it->stamping >= 0)
        close(it->stamping);
    pthread_mutex_destroy(&it->lock);
    pthread_mutex_destroy(&it->ready_lock);
    pthread_cond_destroy(&it->changed);
    outputs_free(&it->scratch);
    free(it->peers);
    free(it->ready);
    free(it->batch);
    free(it);
}

int plane_fileno(const plane *it) { return it->event; }

size_t plane_ready(plane *it, void **owners, size_t room) {
    uint64_t count;
    ssize_t got = read(it->event, &count, sizeof count);
    (void)got; /* nothing there: then nothing waits, or this is a second look */
    pthread_mutex_lock(&it->ready_lock);
    size_t given = it->ready_count < room ? it->ready_count : room;
    for (size_t i = 0; i < given; i++) {
        owners[i] = it->ready[i]->owner;
        it->ready[i]->ready = false;
    }
    it->ready_count -= given;
    memmove(it->ready, it->ready + given, it->ready_count * sizeof *it->ready);
    bool more = it->ready_count > 0;
    pthread_mutex_unlock(&it->ready_lock);
    if (more)
        wake(it);
    return given;
}

void plane_counts(plane *it, plane_stats *out) {
    *out = (plane_stats){
        .ticks = atomic_load(&it->ticks),
        .media = atomic_load(&it->media),
        .refused = atomic_load(&it->refused),
        .other = atomic_load(&it->other),
        .cpu = (double)atomic_load(&it->cpu_ns) * 1e-9,
    };
}

bool plane_start(plane *it) {
    if (it->running)
        return true;
    /* Signals are the main thread's. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    it->running = pthread_create(&it->thread, NULL, run, it) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (it->running)
        pthread_setname_np(it->thread, "slicer-plane");
    return it->running;
}

bool plane_list(plane *it, peer *one) {
    size_t capacity = it->capacity, same = it->capacity; /* of both arrays, that of the smaller one */
    peer **peers = grown(it->peers, it->count + 1, &capacity, sizeof *peers, FEWEST_PEERS);
    if (peers == NULL)
        return false;
    it->peers = peers;
    pthread_mutex_lock(&it->ready_lock);
    peer **ready = grown(it->ready, it->count + 1, &same, sizeof *ready, FEWEST_PEERS);
    if (ready != NULL)
        it->ready = ready;
    pthread_mutex_unlock(&it->ready_lock);
    if (ready == NULL)
        return false;
    it->capacity = capacity;
    one->phase = (double)(it->count / PLANE_ABREAST) * PLANE_TICK;
    it->peers[it->count++] = one;
    return one->listed = true;
}

void plane_unlist(plane *it, peer *one) {
    for (size_t i = 0; i < it->count; i++)
        if (it->peers[i] == one)
            it->peers[i] = it->peers[--it->count];
    pthread_mutex_lock(&it->ready_lock);
    for (size_t i = 0; i < it->ready_count; i++)
        if (it->ready[i] == one)
            it->ready[i] = it->ready[--it->ready_count];
    one->ready = false;
    pthread_mutex_unlock(&it->ready_lock);
    one->listed = false;
}

#else

plane *plane_new(void) { return NULL; }

#endif
