/* libFuzzer: bytes as a life of a ring (first byte even) or of a stream (odd): packets with jumps,
 * losses, repairs and strangers, pops, flushes, sleep. Each datagram has memory of its own, which
 * goes as soon as the contract lets it go, and says its sequence number in its payload. */
#include "codecs.h"
#include "stream.h"

#define CHECK(what) ((what) ? (void)0 : abort())
#define MAX_BATCH 64

typedef struct script {
    const uint8_t *at, *end;
} script;

static int next(script *it) { return it->at < it->end ? *it->at++ : 0; }

/* Datagrams of the present batch. */
typedef struct batch {
    uint8_t *of[MAX_BATCH];
    size_t count;
} batch;

static void batch_free(batch *it) {
    while (it->count)
        free(it->of[--it->count]);
}

/* Header, `before` (RFC 4588's number) and the sequence number once more; NULL without memory. */
static uint8_t *datagram(batch *batch, int payload_type, uint32_t sequence, uint32_t timestamp,
                         uint32_t ssrc, int original) {
    uint8_t *data = batch->count < MAX_BATCH ? malloc(16) : NULL;
    if (data == NULL)
        return NULL;
    data[0] = 0x80;
    data[1] = (uint8_t)payload_type;
    write16(data + 2, sequence);
    write32(data + 4, timestamp);
    write32(data + 8, ssrc);
    write16(data + 12, original < 0 ? sequence : (uint32_t)original);
    write16(data + 14, original < 0 ? sequence : (uint32_t)original);
    batch->of[batch->count++] = data;
    return data;
}

static void says_its_number(const packet *it) {
    CHECK(it->size >= 2 && read16(it->payload) == (uint16_t)it->sequence);
}

/* A ring alone. */

typedef struct lane {
    ring ring;
    turns out;
    batch batch;
    int64_t sequence, last;
    bool begun; /* whether `last` was given since the ring opened */
    double now;
} lane;

static void lane_given(lane *it) {
    for (size_t i = 0; i < it->out.count; i++) {
        const turn *turn = &it->out.of[i];
        says_its_number(&turn->packet);
        CHECK(!it->begun || turn->packet.sequence > it->last);
        CHECK(!turn->contiguous || (it->begun && turn->packet.sequence == it->last + 1));
        it->begun = true;
        it->last = turn->packet.sequence;
    }
    turns_clear(&it->out);
}

static void lane_pop(lane *it) {
    ring_pop(&it->ring, it->now, &it->out);
    lane_given(it);
    batch_free(&it->batch);
    CHECK(ring_deadline(&it->ring) > it->now);
}

static void lane_flush(lane *it) {
    ring_flush(&it->ring, &it->out);
    lane_given(it);
    it->begun = false;
    CHECK(it->ring.held == 0 && it->ring.slots == NULL);
}

static void lane_moved(lane *it) {
    turns orphans = {0};
    lane_flush(it);
    ring_orphans(&it->ring, &orphans);
    for (size_t i = 0; i < orphans.count; i++) {
        CHECK(orphans.of[i].packet.memory != NULL);
        int refused = ring_insert(&it->ring, &orphans.of[i].packet);
        CHECK(refused == NOT_REFUSED || refused == COUNT_out_of_memory);
    }
    orphans.count = 0;
    turns_free(&orphans);
}

static void lane_put(lane *it, bool skip) {
    packet one;
    uint8_t *data = datagram(&it->batch, 96, (uint32_t)it->sequence, 0, 1, -1);
    if (data == NULL || packet_parse(&one, data, 16) != NOT_REFUSED)
        return;
    one.sequence = it->sequence;
    one.arrival = it->now;
    int refused = skip ? ring_skip(&it->ring, &one) : ring_insert(&it->ring, &one);
    if (refused == COUNT_moved)
        lane_moved(it);
    CHECK(it->ring.held <= RING_CAPACITY && it->ring.orphans.count < RING_CAPACITY / 2);
}

static void lane_restart(lane *it) {
    ring_restart(&it->ring);
    it->begun = false;
    CHECK(it->ring.held == 0 && ring_deadline(&it->ring) == NEVER);
}

static void lane_run(lane *it, int count, bool skip) {
    for (int i = 0; i < count; i++) {
        it->sequence++;
        lane_put(it, skip);
        if (i % 64 == 31)
            ring_pop(&it->ring, it->now, &it->out); /* and on: what is out may wait */
        else if (i % 64 == 63)
            lane_pop(it);
    }
}

static void lane_step(lane *it, script *script) {
    switch (next(script) % 10) {
    case 0:
    case 1:
    case 2:
        lane_run(it, next(script) * 5, false);
        break;
    case 3: /* reordered, doubled, late */
        it->sequence -= next(script) % 40;
        lane_put(it, false);
        break;
    case 4:
        it->sequence += next(script);
        lane_put(it, false);
        break;
    case 5:
        it->sequence += 256 * (next(script) - 128);
        lane_put(it, false);
        break;
    case 6:
        it->now += next(script) / 50.0;
        break;
    case 7:
        lane_flush(it);
        break;
    case 8: /* asleep */
        lane_restart(it);
        lane_run(it, next(script), true);
        lane_restart(it);
        break;
    default:
        break;
    }
    lane_pop(it);
}

static void live_ring(script *script) {
    lane lane = {.now = 1.0, .sequence = next(script) - 128};
    ring_init(&lane.ring, next(script) % 2 ? 0.05 : 0.0, 0.2);
    while (script->at < script->end)
        lane_step(&lane, script);
    lane_flush(&lane);
    batch_free(&lane.batch);
    turns_free(&lane.out);
    ring_free(&lane.ring);
}

/* A stream. */

static const codec VIDEO = {.format = &vp8_format, .clock_rate = 90000, .sprop = ""};
static const codec OTHER = {.format = &vp9_format, .clock_rate = 90000, .index = 1, .sprop = ""};

typedef struct line {
    parameters parameters;
    counters counters;
    sender_clock sender;
    stream stream;
    ordereds out;
    batch batch;
    uint32_t sequence, timestamp, ssrc;
    int payload_type;
    int64_t last;
    double now;
} line;

static void line_given(line *it) {
    for (size_t i = 0; i < it->out.count; i++) {
        const ordered *one = &it->out.of[i];
        says_its_number(&one->packet);
        CHECK(one->mapper->references > 0 && one->epoch <= it->stream.epoch);
        CHECK(!one->contiguous || one->packet.sequence == it->last + 1);
        CHECK(isfinite(mapper_at(one->mapper, one->packet.timestamp)));
        it->last = one->packet.sequence;
    }
    ordereds_clear(&it->out);
}

static void line_drain(line *it, bool flush) {
    if (flush)
        stream_flush(&it->stream, &it->out);
    else
        stream_drain(&it->stream, it->now, &it->out);
    line_given(it);
    batch_free(&it->batch);
}

static void line_holds(const line *it) {
    const stream *stream = &it->stream;
    CHECK(stream->candidates.count <= STREAM_MAX_CANDIDATES);
    CHECK(stream->retired_count <= STREAM_MAX_RETIRED);
    CHECK(stream->source.nacks.count <= NACK_MAX_MISSING);
    CHECK(stream->source.ring.held <= RING_CAPACITY);
    CHECK(!stream->asleep || (!stream->source.has_nacks && stream->source.ring.held == 0));
}

static void line_insert(line *it, const uint8_t *data) {
    packet one;
    if (data == NULL || packet_parse(&one, data, 16) != NOT_REFUSED)
        return;
    one.arrival = it->now;
    bool sleeps = stream_would_sleep(&it->stream, &one);
    counters before = it->counters;
    int64_t epoch = it->stream.epoch;
    stream_insert(&it->stream, &one);
    if (sleeps) {
        before.of[COUNT_asleep]++;
        CHECK(memcmp(&before, &it->counters, sizeof before) == 0);
        CHECK(it->stream.asleep && it->stream.epoch == epoch);
    }
    line_holds(it);
}

static void line_put(line *it, uint32_t back) {
    uint32_t sequence = it->sequence - back, timestamp = it->timestamp - back * 1800;
    line_insert(it, datagram(&it->batch, it->payload_type, sequence, timestamp, it->ssrc, -1));
}

static void line_run(line *it, int count, int drain_every) {
    for (int i = 0; i < count; i++) {
        it->sequence++;
        it->timestamp += 1800;
        it->now += 0.02;
        line_put(it, 0);
        if (i % drain_every == 0)
            line_drain(it, false);
    }
}

static void line_ask(line *it, script *script) {
    uint16_t missing[NACK_MAX_MISSING];
    size_t count = stream_missing(&it->stream, it->now, missing);
    CHECK(count <= NACK_MAX_MISSING);
    for (size_t i = 0; i < count && i < 20; i++)
        if (next(script) % 2)
            line_insert(it, datagram(&it->batch, 97, (uint32_t)i, it->timestamp, 9, missing[i]));
}

/* Retransmissions of anything, and of a payload type that there is not. */
static void line_probe(line *it, int how) {
    int payload_type = how % 7 ? 97 : 99, original = (int)((it->sequence - (uint32_t)how) & 0xFFFF);
    uint8_t *data = datagram(&it->batch, payload_type, 1, it->timestamp, 9, original);
    if (data != NULL && how % 5 == 0) {
        data[0] |= 0x20; /* padding, behind nothing but a number */
        write16(data + 14, 2);
    }
    line_insert(it, data);
}

static void line_sleep(line *it, int how) {
    if (how == 0)
        stream_wake(&it->stream);
    else if (how == 1)
        stream_doze(&it->stream, NEVER);
    else
        stream_doze(&it->stream, (double)(it->timestamp + 1800u * (uint32_t)how));
}

static void line_report(line *it) {
    mapper_reported(it->stream.mapper, 1000.0 + it->now, it->timestamp, it->now);
    if (it->stream.has_source)
        reception_report(&it->stream.source.reception, it->now);
}

static void line_step(line *it, script *script) {
    int verb = next(script) % 14, how = next(script);
    if (verb < 4)
        line_run(it, how, 1 + how % 60);
    else if (verb == 4)
        line_put(it, (uint32_t)(how % 40));
    else if (verb == 5)
        it->sequence += (uint32_t)how % 8;
    else if (verb == 6)
        it->sequence += 256u * (uint32_t)how;
    else if (verb == 7)
        it->timestamp += (uint32_t)(how - 128) << 20;
    else if (verb == 8)
        it->ssrc = (uint32_t)how % 24;
    else if (verb == 9)
        it->payload_type = how % 2 ? 96 : 98;
    else if (verb == 10)
        line_ask(it, script);
    else if (verb == 11)
        line_sleep(it, how);
    else if (verb == 12)
        line_probe(it, how);
    else
        it->now += how / 50.0;
    if (how % 16 == 0)
        line_report(it);
    CHECK(!isnan(stream_deadline(&it->stream)));
    line_drain(it, how == 255);
}

static void live_stream(script *script) {
    line line = {.now = 1.0, .payload_type = 96, .sequence = 65000, .parameters.video = true};
    for (size_t i = 0; i < 128; i++)
        line.parameters.rtx[i] = line.parameters.red[i] = -1;
    line.parameters.codecs[96] = &VIDEO;
    line.parameters.codecs[98] = &OTHER;
    line.parameters.rtx[97] = 96;
    line.parameters.rtx[99] = 100; /* which is no payload type */
    line.parameters.feedback = next(script) % 4 ? FEEDBACK_NACK : 0;
    if (stream_init(&line.stream, &line.parameters, &line.counters, &line.sender)) {
        while (script->at < script->end)
            line_step(&line, script);
        line_drain(&line, true);
        stream_free(&line.stream);
    }
    ordereds_free(&line.out);
    sender_clock_free(&line.sender);
    batch_free(&line.batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    script script = {data, data + (size < 400 ? size : 400)};
    if (next(&script) % 2)
        live_stream(&script);
    else
        live_ring(&script);
    return 0;
}
