/* Plays a capture to many receivers from one thread: plain RTP, or SRTP where a lane has keys.
 *
 * A lane is one anchor: two streams, a phase, a socket (two where sound has a port of its own). Every
 * millisecond what is due is sent; a frame leaves in bursts of BURST packets a millisecond, so that a
 * keyframe takes some milliseconds, as behind the pacer of a browser. RTCP that comes back is read: a
 * PLI or FIR makes the next frame one of the encoding that is keyframes alone. What is neither RTP nor
 * RTCP (STUN, DTLS) is handed out through a socket, for whoever set the connection up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/udp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core.h"
#include "srtp.h"

#define TICK 0.001
#define BURST 12
#define ROOM 1500
#define BATCH 64
#define NTP_OF_1970 2208988800.0
#define SENDER_REPORT 28

enum { VIDEO, AUDIO, KINDS };
static const double clock_rate[KINDS] = {90000, 48000};
static const double frame_rate[KINDS] = {30, 50};

/* Payloads one after the other; `packets` says where each begins, `frames` the first of each frame. */
typedef struct track {
    const uint8_t *data;
    const uint32_t *packets, *frames;
    uint32_t frame_count;
} track;

typedef struct stream_state {
    uint32_t ssrc, timestamp; /* of the first frame */
    uint32_t octets, packets;
    uint64_t frame; /* the next one, counted on over all rounds */
    uint32_t packet; /* of that frame */
    uint16_t sequence;
    uint8_t payload_type;
    uint8_t mid; /* one character, 0: none */
} stream_state;

/* Filled in by bench/peers/sender.py, which knows this layout. */
typedef struct lane {
    double begin; /* CLOCK_MONOTONIC of the first frame */
    srtp *send, *receive;
    stream_state streams[KINDS];
    int32_t sockets[KINDS];      /* connected; twice the same where bundled */
    int32_t report_sockets[KINDS]; /* where sender reports go; -1: none */
    uint8_t mid_id, transport_id, time_id; /* header extensions, 0: none */
    uint8_t keyframe_wanted, from_keyframes;
    uint16_t transport_sequence, picture;
    double report_at;
    uint64_t sent, failed, requests, keyframes, nacked, lost, reports, malformed;
} lane;

typedef struct sender {
    track video, keyframes, audio;
    lane *lanes;
    uint32_t lane_count;
    int32_t hand_out; /* a datagram socket that takes [u32 lane][bytes]; -1: none */
    uint8_t has_picture_ids; /* VP8: bytes 2 and 3 of a payload number the frame */
    volatile uint8_t stop;
    int32_t epoll;
    double late; /* the longest time that a tick came too late */
} sender;

size_t sender_lane_size(void) { return sizeof(lane); }
size_t sender_size(void) { return sizeof(sender); }

static double now_on(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static const track *track_of(const sender *it, const lane *to, int kind) {
    return kind == AUDIO ? &it->audio : to->from_keyframes ? &it->keyframes : &it->video;
}

/* RFC 8285 4.2, in the order mid, transport-wide number, absolute send time. */
static size_t write_extensions(lane *to, const stream_state *from, uint8_t *at, double now) {
    size_t size = 4;
    if (to->mid_id && from->mid) {
        at[size++] = (uint8_t)(to->mid_id << 4);
        at[size++] = from->mid;
    }
    if (to->transport_id) {
        at[size++] = (uint8_t)(to->transport_id << 4 | 1);
        write16(at + size, to->transport_sequence++);
        size += 2;
    }
    if (to->time_id) {
        uint32_t fixed = (uint32_t)(int64_t)(fmod(now, 64) * (1 << 18));
        at[size++] = (uint8_t)(to->time_id << 4 | 2);
        at[size++] = (uint8_t)(fixed >> 16);
        at[size++] = (uint8_t)(fixed >> 8);
        at[size++] = (uint8_t)fixed;
    }
    if (size == 4)
        return 0;
    while (size % 4)
        at[size++] = 0;
    write16(at, 0xBEDE);
    write16(at + 2, (uint32_t)(size / 4 - 1));
    return size;
}

static uint32_t timestamp_of(const stream_state *from, int kind) {
    double step = clock_rate[kind] / frame_rate[kind];
    return from->timestamp + (uint32_t)(from->frame * (uint64_t)step);
}

/* The packet that is next, protected; its size, or 0 where it cannot be sent. */
static size_t write_packet(const sender *it, lane *to, int kind, uint8_t *out, double now) {
    stream_state *from = &to->streams[kind];
    const track *source = track_of(it, to, kind);
    uint32_t frame = (uint32_t)(from->frame % source->frame_count);
    uint32_t number = source->frames[frame] + from->packet;
    bool last = number + 1 == source->frames[frame + 1];
    uint32_t begin = source->packets[number], size = source->packets[number + 1] - begin;
    bool marker = kind == VIDEO && last;
    out[1] = (uint8_t)(marker << 7 | from->payload_type);
    write16(out + 2, from->sequence++);
    write32(out + 4, timestamp_of(from, kind));
    write32(out + 8, from->ssrc);
    size_t extensions = write_extensions(to, from, out + 12, now);
    out[0] = extensions ? 0x90 : 0x80;
    size_t head = 12 + extensions;
    memcpy(out + head, source->data + begin, size);
    if (kind == VIDEO && it->has_picture_ids)
        write16(out + head + 2, 0x8000 | to->picture);
    from->packets++;
    from->octets += size;
    from->packet++;
    if (last) {
        from->packet = 0;
        from->frame++;
        to->picture = kind == VIDEO ? (to->picture + 1) & 0x7FFF : to->picture;
    }
    size_t whole = head + size;
    if (to->send != NULL && !srtp_protect(to->send, out, whole, &whole))
        return 0;
    return whole;
}

/* Packets of one size, the last may be smaller, go through the kernel as one (udp(7), UDP_SEGMENT) and
 * arrive one by one: so that a core can send what another one is to receive. */
typedef struct group {
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
    unsigned packets;
} group;

static unsigned write_groups(struct iovec *parts, unsigned count, struct mmsghdr *messages,
                             group *groups) {
    unsigned made = 0;
    for (unsigned first = 0, end; first < count; first = end) {
        size_t size = parts[first].iov_len;
        for (end = first + 1; end < count && parts[end].iov_len <= size; end++)
            if (end - first == BURST || parts[end - 1].iov_len < size)
                break;
        group *one = &groups[made];
        one->packets = end - first;
        struct msghdr *message = &messages[made++].msg_hdr;
        *message = (struct msghdr){.msg_iov = parts + first, .msg_iovlen = one->packets};
        if (one->packets == 1)
            continue;
        message->msg_control = one->control;
        message->msg_controllen = sizeof one->control;
        struct cmsghdr *control = CMSG_FIRSTHDR(message);
        *control = (struct cmsghdr){
            .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof(uint16_t))};
        memcpy(CMSG_DATA(control), &(uint16_t){(uint16_t)size}, sizeof(uint16_t));
    }
    return made;
}

static void flush(lane *to, int kind, struct iovec *parts, unsigned count) {
    static group groups[BATCH];
    struct mmsghdr messages[BATCH];
    unsigned made = write_groups(parts, count, messages, groups), done = 0, sent = 0;
    for (int tries = 0; done < made && tries < 4; tries++) {
        int taken = sendmmsg(to->sockets[kind], messages + done, made - done, 0);
        for (; taken > 0; taken--)
            sent += groups[done++].packets;
    }
    to->sent += sent;
    to->failed += count - sent;
}

static void choose_encoding(lane *to, double now) {
    if (to->streams[VIDEO].packet == 0 && to->keyframe_wanted && now >= to->begin) {
        to->from_keyframes = 1;
        to->keyframe_wanted = 0;
        to->keyframes++;
    } else if (to->streams[VIDEO].packet == 0) {
        to->from_keyframes = 0;
    }
}

static double due_of(const lane *to, int kind) {
    const stream_state *from = &to->streams[kind];
    return to->begin + (double)from->frame / frame_rate[kind] + from->packet / BURST * TICK;
}

/* One thread alone sends in a process: the room is everybody's. */
static void send_due(const sender *it, lane *to, int kind, double now) {
    static uint8_t room[BATCH][ROOM + SRTP_MAX_TRAILER];
    struct iovec parts[BATCH];
    unsigned count = 0;
    while (due_of(to, kind) <= now && count < BATCH) {
        if (kind == VIDEO)
            choose_encoding(to, now);
        size_t size = write_packet(it, to, kind, room[count], now);
        if (size == 0) {
            to->failed++;
            continue;
        }
        parts[count] = (struct iovec){room[count], size};
        count++;
    }
    if (count)
        flush(to, kind, parts, count);
}

static size_t write_report(const stream_state *from, int kind, double begin, uint8_t *at) {
    double wall = now_on(CLOCK_REALTIME) + NTP_OF_1970;
    double media = (now_on(CLOCK_MONOTONIC) - begin) * clock_rate[kind];
    write32(at, 0x80C80006);
    write32(at + 4, from->ssrc);
    write32(at + 8, (uint32_t)wall);
    write32(at + 12, (uint32_t)((wall - floor(wall)) * 4294967296.0));
    write32(at + 16, from->timestamp + (uint32_t)(int64_t)media);
    write32(at + 20, from->packets);
    write32(at + 24, from->octets);
    return SENDER_REPORT;
}

static size_t write_name(uint32_t ssrc, uint8_t *at) {
    static const uint8_t name[] = {1, 6, 'a', 'n', 'c', 'h', 'o', 'r', 0, 0, 0, 0};
    write32(at, 0x81CA0004);
    write32(at + 4, ssrc);
    memcpy(at + 8, name, sizeof name);
    return 8 + sizeof name;
}

static void report(lane *to, double now) {
    to->report_at = now + 1;
    for (int kind = 0; kind < KINDS; kind++) {
        uint8_t out[128];
        if (to->report_sockets[kind] < 0 || to->streams[kind].packets == 0)
            continue;
        size_t size = write_report(&to->streams[kind], kind, to->begin, out);
        size += write_name(to->streams[kind].ssrc, out + size);
        if (to->send != NULL && !srtp_protect_rtcp(to->send, out, size, &size))
            continue;
        (void)!send(to->report_sockets[kind], out, size, 0);
    }
}

static void take_rtcp_packet(lane *from, const uint8_t *data, size_t size) {
    int format = data[0] & 31, type = data[1];
    if (type == 206 && (format == 1 || format == 4)) {
        from->keyframe_wanted = 1;
        from->requests++;
    } else if (type == 205 && format == 1 && size >= 12) {
        from->nacked += (size - 12) / 4;
    } else if (type == 201 || type == 200) {
        size_t at = type == 201 ? 8 : 28;
        from->reports++;
        for (int left = format; left > 0 && at + 24 <= size; left--, at += 24)
            from->lost += data[at + 4]; /* the share lost since the report before */
    }
}

static void take_rtcp(lane *from, uint8_t *data, size_t size) {
    if (from->receive != NULL &&
        srtp_unprotect_rtcp(from->receive, data, size, &size) != NOT_REFUSED) {
        from->malformed++;
        return;
    }
    while (size >= 8) {
        size_t length = 4 + 4 * (size_t)read16(data + 2);
        if (length > size || length < 8) {
            from->malformed++;
            return;
        }
        take_rtcp_packet(from, data, length);
        data += length;
        size -= length;
    }
}

static void take(const sender *it, uint32_t number, int socket) {
    uint8_t data[4 + 2048];
    for (;;) {
        ssize_t size = recv(socket, data + 4, sizeof data - 4, MSG_DONTWAIT);
        if (size < 0)
            return; /* nothing more, or the ICMP error of something sent earlier */
        if (size >= 8 && data[4] >> 6 == 2 && data[5] >= 192 && data[5] <= 223) {
            take_rtcp(&it->lanes[number], data + 4, (size_t)size);
        } else if (size > 0 && it->hand_out >= 0) {
            memcpy(data, &number, 4);
            (void)!send(it->hand_out, data, (size_t)size + 4, MSG_DONTWAIT);
        }
    }
}

static void take_all(const sender *it) {
    struct epoll_event events[BATCH];
    int count = epoll_wait(it->epoll, events, BATCH, 0);
    for (int at = 0; at < count; at++)
        take(it, (uint32_t)(events[at].data.u64 >> 32), (int)(uint32_t)events[at].data.u64);
}

static void watch(const sender *it, uint32_t number, int socket) {
    struct epoll_event event = {.events = EPOLLIN};
    event.data.u64 = (uint64_t)number << 32 | (uint32_t)socket;
    if (socket >= 0) /* one that is watched already stays so */
        (void)epoll_ctl(it->epoll, EPOLL_CTL_ADD, socket, &event);
}

static void tick(sender *it, double now) {
    for (uint32_t number = 0; number < it->lane_count; number++) {
        lane *to = &it->lanes[number];
        if (now < to->begin)
            continue;
        for (int kind = 0; kind < KINDS; kind++)
            if (to->sockets[kind] >= 0)
                send_due(it, to, kind, now);
        if (now >= to->report_at)
            report(to, now);
    }
}

static void wait_until(double when) {
    struct timespec at = {.tv_sec = (time_t)when};
    at.tv_nsec = (long)((when - (double)at.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        ;
}

/* Send until `stop` is set. 0, or an errno. */
int sender_run(sender *it) {
    it->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (it->epoll < 0)
        return errno;
    for (uint32_t number = 0; number < it->lane_count; number++) {
        const lane *one = &it->lanes[number];
        for (int kind = 0; kind < KINDS; kind++) {
            watch(it, number, one->sockets[kind]);
            watch(it, number, one->report_sockets[kind]);
        }
    }
    double next = now_on(CLOCK_MONOTONIC);
    while (!it->stop) {
        double now = now_on(CLOCK_MONOTONIC);
        it->late = fmax(it->late, now - next);
        tick(it, now);
        take_all(it);
        next = fmax(next + TICK, now_on(CLOCK_MONOTONIC) - TICK);
        wait_until(next);
    }
    close(it->epoll);
    return 0;
}
