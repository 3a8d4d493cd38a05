#include "audio.h"

#define HOLE 2 /* seconds */
#define ABANDONED 3.0
#define HELD_UP 30.0
#define SETTLING 20
#define PREROLL 0.16
#define MAX_SLICE_BYTES ((size_t)64 << 20)
#define PACKET_OVERHEAD 150
#define SILENCE 127
#define FEWEST_PACKETS 16
#define PACKETS_AHEAD 512
#define BYTES_AHEAD ((size_t)64 << 10)

void audio_cutter_init(audio_cutter *it, uint64_t track, int64_t seconds, double wait,
                       const activity *activity, counters *counters) {
    *it = (audio_cutter){.track = track,
                         .activity = activity,
                         .counters = counters,
                         .seconds = seconds,
                         .wait = wait,
                         .epoch = -1,
                         .level = NO_LEVEL,
                         .loudest = NO_LEVEL};
}

/* Forget all packets; there is none to come soon. */
static void drop(audio_cutter *it) {
    free(it->packets);
    it->packets = NULL;
    it->count = it->capacity = 0;
    buffer_free(&it->bytes);
}

void audio_cutter_free(audio_cutter *it) {
    drop(it);
    mapper_release(it->mapper);
    it->mapper = NULL;
}

static int64_t end_of(const audio_packet *packet) { return packet->timestamp + packet->duration; }

/* As the reference counts it, whose packets have a cost of their own. */
static size_t weight(const audio_cutter *it) {
    return it->bytes.size + it->count * PACKET_OVERHEAD;
}

static void begin(audio_cutter *it, int64_t start) {
    it->open = true;
    it->began = NAN;
    it->settles_at = start + SETTLING * (int64_t)it->codec->clock_rate;
    it->start = start;
    it->end = start + it->seconds * (int64_t)it->codec->clock_rate;
    it->loudest = it->next > start ? it->level : SILENCE; /* a packet across the cut */
}

/* Where the payload of packet `index` begins; behind the last one: where all end. */
static size_t offset_of(const audio_cutter *it, size_t index) {
    return index < it->count ? it->packets[index].offset : it->bytes.size;
}

/* The packets from `first` on become the first ones, their bytes being in place already. */
static void renumber(audio_packet *packets, size_t count, size_t from) {
    for (size_t i = 0; i < count; i++)
        packets[i].offset -= from;
}

/* Forget the packets before `first`. */
static void forget_before(audio_cutter *it, size_t first) {
    if (first == 0)
        return;
    size_t from = offset_of(it, first);
    it->count -= first;
    it->bytes.size -= from;
    memmove(it->packets, it->packets + first, it->count * sizeof *it->packets);
    memmove(it->bytes.data, it->bytes.data + from, it->bytes.size);
    renumber(it->packets, it->count, from);
}

/* Room for the next slice: half of what this one took, so that it mostly grows once. Not more, since
 * what a long slice needed is not kept for the next one. */
static size_t half(size_t size, size_t most) { return size / 2 < most ? size / 2 : most; }

/* Give everything held to `cut` and go on with a copy of the packets from `first` on: so nothing
 * long is copied. */
static bool hand_over(audio_cutter *it, size_t first, audio_cut *cut) {
    size_t count = it->count - first, from = offset_of(it, first);
    size_t capacity = FEWEST_PACKETS + count + half(it->count, PACKETS_AHEAD);
    audio_packet *packets = malloc(capacity * sizeof *packets);
    buffer bytes = {0};
    if (packets == NULL || !buffer_reserve(&bytes, half(it->bytes.size, BYTES_AHEAD)) ||
        !buffer_append(&bytes, it->bytes.data + from, it->bytes.size - from)) {
        buffer_free(&bytes);
        free(packets);
        return false;
    }
    memcpy(packets, it->packets + first, count * sizeof *packets);
    renumber(packets, count, from);
    cut->packets = it->packets;
    cut->bytes = it->bytes.data;
    it->packets = packets;
    it->count = count;
    it->capacity = capacity;
    it->bytes = bytes;
    return true;
}

/* Give the first `covering` packets as the slice from `start` to where the next one begins. */
static void give(audio_cutter *it, int64_t start, double began, int8_t level, size_t covering,
                 size_t first, outputs *out) {
    output one = {.kind = OUTPUT_AUDIO};
    one.as.audio = (audio_cut){
        .track = it->track,
        .codec = it->codec,
        .start = start,
        .end = it->start,
        .epoch = it->epoch,
        .began = isnan(began) ? mapper_at(it->mapper, start) : began,
        .count = covering,
        .level = level,
    };
    if (!hand_over(it, first, &one.as.audio)) {
        forget_before(it, first);
        COUNT(it->counters, out_of_memory);
    } else if (!outputs_add(out, &one)) {
        COUNT(it->counters, out_of_memory);
    }
}

/* Packets ascend and do not overlap: a slice is covered by the first ones, and the last are kept. */
static void cut(audio_cutter *it, int64_t end, outputs *out) {
    int64_t start = it->start;
    double began = it->began;
    int8_t level = it->loudest;
    int64_t keep_from = end - (int64_t)(PREROLL * (double)it->codec->clock_rate);
    size_t covering = it->count, first = it->count;
    while (covering > 0 && it->packets[covering - 1].timestamp >= end)
        covering--;
    while (first > 0 && end_of(&it->packets[first - 1]) > keep_from)
        first--;
    begin(it, end);
    if (covering == 0 || end_of(&it->packets[covering - 1]) <= start)
        forget_before(it, first);
    else
        give(it, start, began, level, covering, first, out);
}

void audio_cutter_flush(audio_cutter *it, outputs *out) {
    if (!it->open)
        return;
    if (it->next > it->start)
        cut(it, it->next, out);
    it->open = false;
    drop(it);
}

static void cut_full(audio_cutter *it, outputs *out) {
    while (it->next >= it->end)
        cut(it, it->end, out);
    if (weight(it) > MAX_SLICE_BYTES) {
        COUNT(it->counters, slice_full);
        cut(it, it->next, out);
    }
}

static void begin_epoch(audio_cutter *it, const ordered *ordered, outputs *out) {
    audio_cutter_flush(it, out);
    mapper *last = it->mapper;
    it->mapper = mapper_retain(ordered->mapper);
    mapper_release(last);
    it->codec = ordered->codec;
    it->epoch = ordered->epoch;
    it->next = ordered->packet.timestamp;
}

/* End the slice where this packet cannot be part of it. */
static void go_on(audio_cutter *it, const ordered *ordered, outputs *out) {
    if (ordered->epoch != it->epoch)
        begin_epoch(it, ordered, out);
    else if (ordered->packet.timestamp - it->next > HOLE * (int64_t)it->codec->clock_rate)
        audio_cutter_flush(it, out);
}

/* Where a packet goes that does not begin where the last one ended. */
static int64_t placed(audio_cutter *it, int64_t timestamp, int duration) {
    int64_t gap = timestamp - it->next;
    int64_t most_early = -(((int64_t)duration + 1) / 2); /* Python's -duration // 2 */
    int64_t odd = gap > 0 ? gap % it->codec->format->granule : 0;
    if (odd || (gap < 0 && gap >= most_early))
        COUNT(it->counters, moved_into_place);
    if (gap < most_early)
        return timestamp;
    return gap < 0 ? it->next : timestamp - odd;
}

static bool append(audio_cutter *it, int64_t timestamp, int duration, const packet *packet) {
    size_t offset = it->bytes.size;
    audio_packet *packets =
        grown(it->packets, it->count + 1, &it->capacity, sizeof *packets, FEWEST_PACKETS);
    if (packets == NULL)
        return false;
    it->packets = packets;
    if (!buffer_append(&it->bytes, packet->payload, packet->size))
        return false;
    it->packets[it->count++] = (audio_packet){
        .timestamp = timestamp,
        .duration = (uint32_t)duration,
        .size = packet->size,
        .offset = offset,
    };
    return true;
}

static void take(audio_cutter *it, int64_t timestamp, int duration, const packet *packet,
                 outputs *out) {
    if (!it->open)
        begin(it, timestamp);
    if (!append(it, timestamp, duration, packet)) { /* as if it had been lost */
        COUNT(it->counters, out_of_memory);
        return;
    }
    it->next = timestamp + duration;
    it->level = packet->level;
    if (it->level < it->loudest)
        it->loudest = it->level;
    if (it->mapper->settled >= it->settles_at && isnan(it->began))
        it->began = mapper_at(it->mapper, it->start);
    it->heard = packet->arrival;
    it->looks_at = packet->arrival + ABANDONED;
    if (it->next >= it->end || weight(it) > MAX_SLICE_BYTES)
        cut_full(it, out);
}

void audio_cutter_receive(audio_cutter *it, const ordered *ordered, outputs *out) {
    const packet *packet = &ordered->packet;
    if (packet->size == 0) /* padding alone */
        return;
    int duration = ordered->codec->format->duration(packet->payload, packet->size);
    if (duration < 0) {
        COUNT(it->counters, malformed_payload);
        return;
    }
    go_on(it, ordered, out);
    int64_t timestamp = packet->timestamp;
    if (timestamp != it->next)
        timestamp = placed(it, timestamp, duration);
    if (timestamp < it->next)
        COUNT(it->counters, overlap);
    else
        take(it, timestamp, duration, packet, out);
}

void audio_cutter_look(audio_cutter *it, double now, outputs *out) {
    if (now - it->heard >= HELD_UP || activity_silent(it->activity, it->heard, now) >= ABANDONED)
        audio_cutter_flush(it, out);
    else
        it->looks_at = earlier(now + ABANDONED, it->heard + HELD_UP);
}
