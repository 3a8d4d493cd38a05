#include "stream.h"

#include "red.h"

#define OPENING 0.05
/* Without retransmission only reordering is waited for. */
#define PATIENCE 0.2
#define PATIENCE_NACK 0.6
/* The sender's clock against arrivals, in seconds; slicer/rtp/stream.py has the reasons. */
#define EARLY 0.5
#define EARLY_AFTER_LOSS 3.0
#define BACK 0.5
#define CHANGES 0.5
#define COMES_BACK 2.0
#define OVERTAKEN 0.05

void ordereds_clear(ordereds *it) {
    for (size_t i = 0; i < it->count; i++) {
        packet_free(&it->of[i].packet);
        mapper_release(it->of[i].mapper);
    }
    it->count = 0;
}

void ordereds_free(ordereds *it) {
    ordereds_clear(it);
    free(it->of);
    *it = (ordereds){0};
}

static bool ordereds_reserve(ordereds *it) {
    ordered *of = grown(it->of, it->count + 1, &it->capacity, sizeof *of, 16);
    if (of == NULL)
        return false;
    it->of = of;
    return true;
}

static void source_init(source *it, uint32_t ssrc, double clock_rate, bool nack) {
    *it = (source){.ssrc = ssrc, .has_nacks = nack};
    reception_init(&it->reception, ssrc, clock_rate);
    ring_init(&it->ring, OPENING, nack ? PATIENCE_NACK : PATIENCE);
}

static void source_free(source *it) {
    nack_free(&it->nacks);
    ring_free(&it->ring);
}

bool stream_init(stream *it, const parameters *parameters, counters *counters,
                 sender_clock *sender) {
    size_t place;
    if (!sender_clock_place(sender, &place))
        return false;
    *it = (stream){
        .parameters = parameters,
        .counters = counters,
        .sender = sender,
        .place = place,
        .nack = parameters->feedback & FEEDBACK_NACK,
        .until = NEVER,
        .epoch = -1,
        .back = parameters->video ? BACK : 0.0,
    };
    layers_init(&it->layers, parameters, counters);
    mapper *first = sender_clock_begin(sender, place, 1.0);
    if (first == NULL)
        return false;
    it->mapper = mapper_retain(first);
    return true;
}

void stream_free(stream *it) {
    if (it->has_source)
        source_free(&it->source);
    candidates_free(&it->candidates);
    ordereds_free(&it->given_up);
    turns_free(&it->turns);
    mapper_release(it->mapper);
    sender_clock_end(it->sender, it->place);
    *it = (stream){0};
}

static inline bool jumped(const stream *it, int64_t timestamp, double arrival, bool contiguous) {
    double step = (double)(timestamp - it->last), rate = it->codec->clock_rate;
    double early = contiguous ? EARLY : EARLY_AFTER_LOSS;
    if (-it->back * rate <= step && step <= early * rate)
        return false;
    return step <= 0.0 || mapper_skew(it->mapper, timestamp, arrival) < -early;
}

static bool begin_epoch(stream *it, const codec *codec) {
    mapper *fresh = sender_clock_begin(it->sender, it->place, codec->clock_rate);
    if (fresh == NULL)
        return false;
    mapper_release(it->mapper);
    it->mapper = mapper_retain(fresh);
    it->codec = codec;
    it->epoch++;
    return true;
}

/* Media time goes on with this packet, or begins anew; false where there is no memory for that. */
static inline bool advance(stream *it, const packet *one, bool contiguous) {
    const codec *codec = it->parameters->codecs[one->payload_type];
    bool begins = codec != it->codec;
    if (!begins && jumped(it, one->timestamp, one->arrival, contiguous)) {
        COUNT(it->counters, clock_jumped);
        begins = true;
    }
    if (begins && !begin_epoch(it, codec))
        return false;
    mapper_arrived(it->mapper, one->timestamp, one->arrival);
    it->last = one->timestamp;
    return true;
}

static bool place(stream *it, turn *turn, ordereds *out) {
    if (!advance(it, &turn->packet, turn->contiguous) || !ordereds_reserve(out)) {
        packet_free(&turn->packet);
        COUNT(it->counters, out_of_memory);
        return false;
    }
    ordered *placed = &out->of[out->count++];
    placed->packet = turn->packet;
    placed->codec = it->codec;
    placed->mapper = mapper_retain(it->mapper);
    placed->epoch = it->epoch;
    placed->contiguous = turn->contiguous;
    return true;
}

/* What could not be placed leaves a hole before the next one. */
static void place_turns(stream *it, ordereds *out) {
    for (size_t i = 0; i < it->turns.count; i++) {
        if (place(it, &it->turns.of[i], out))
            continue;
        if (i + 1 < it->turns.count)
            it->turns.of[i + 1].contiguous = false;
        else
            it->source.ring.contiguous = false;
    }
    it->turns.count = 0;
}

static void give_up(stream *it) {
    if (!it->has_source)
        return;
    it->counters->of[COUNT_out_of_memory] += ring_flush(&it->source.ring, &it->turns);
    place_turns(it, &it->given_up);
}

static void give_given_up(stream *it, ordereds *out) {
    for (size_t i = 0; i < it->given_up.count; i++) {
        ordered *one = &it->given_up.of[i];
        if (ordereds_reserve(out)) {
            out->of[out->count++] = *one;
        } else {
            packet_free(&one->packet);
            mapper_release(one->mapper);
            COUNT(it->counters, out_of_memory);
            if (i + 1 < it->given_up.count)
                one[1].contiguous = false;
        }
    }
    it->given_up.count = 0;
}

static inline void note(stream *it, const packet *one) {
    source *source = &it->source;
    unwrapper_move(&source->sequences, one->sequence);
    unwrapper_move(&source->timestamps, one->timestamp);
    source->last_arrival = one->arrival;
    reception_receive(&source->reception, one->sequence, one->timestamp, one->arrival);
    if (source->has_nacks) {
        if (nack_asked(&source->nacks, one->sequence))
            COUNT(it->counters, retransmitted);
        if (!nack_receive(&source->nacks, one->sequence, one->arrival))
            COUNT(it->counters, out_of_memory);
    }
    if (it->candidates.count)
        candidates_drop(&it->candidates, one->arrival - OVERTAKEN, it->counters);
}

static bool follows(const source *it, int64_t sequence) {
    return it->sequences.known && sequence - 1 == it->sequences.last;
}

/* Whether this packet, the newest one, ends the sleep; media time goes on meanwhile. */
static bool wakes(stream *it, const packet *one) {
    int64_t epoch = it->epoch;
    if (!advance(it, one, follows(&it->source, one->sequence)))
        COUNT(it->counters, out_of_memory);
    bool begins = it->epoch != epoch && it->until < NEVER;
    return begins || (double)one->timestamp >= it->until;
}

/* As `ring_insert`, of a stream that sleeps. */
static int pass_over(stream *it, packet *one) {
    int refused = ring_skip(&it->source.ring, one);
    if (refused != NOT_REFUSED)
        return refused;
    if (wakes(it, one)) {
        stream_wake(it);
        ring_restart_at(&it->source.ring, one->sequence);
        return ring_insert(&it->source.ring, one);
    }
    packet_free(one);
    return COUNT_asleep;
}

/* Put an unwrapped packet of the current source where it belongs; true where the source moved. */
static inline bool put(stream *it, packet *one) {
    int refused = it->asleep ? pass_over(it, one) : ring_insert(&it->source.ring, one);
    if (refused != NOT_REFUSED)
        it->counters->of[refused]++;
    if (refused == COUNT_moved)
        return true;
    /* A packet that may be noise, or that was lost for want of memory, must not move the statistics. */
    if (refused != COUNT_stray && refused != COUNT_out_of_memory)
        note(it, one);
    return false;
}

/* The source goes on with other sequence numbers; what is held is given out first. */
static void move(stream *it) {
    source *source = &it->source;
    turns orphans = {0};
    ring_orphans(&source->ring, &orphans);
    give_up(it);
    reception_restart(&source->reception);
    nack_free(&source->nacks);
    for (size_t i = 0; i < orphans.count; i++) /* one behind the other: the ring moves once */
        put(it, &orphans.of[i].packet);
    orphans.count = 0;
    turns_free(&orphans);
}

static inline void insert_own(stream *it, packet *one) {
    one->sequence = unwrapper_peek(&it->source.sequences, 16, one->sequence);
    one->timestamp = unwrapper_peek(&it->source.timestamps, 32, one->timestamp);
    if (put(it, one))
        move(it);
}

static void repair(stream *it, packet *one, uint8_t payload_type) {
    source *source = &it->source;
    if (!it->has_source || !packet_restore(one, payload_type, source->ssrc)) {
        COUNT(it->counters, padding);
        packet_free(one);
        return;
    }
    one->sequence = unwrapper_peek(&source->sequences, 16, one->sequence);
    one->timestamp = unwrapper_peek(&source->timestamps, 32, one->timestamp);
    if (!source->has_nacks || !nack_contains(&source->nacks, one->sequence)) {
        COUNT(it->counters, needless_retransmission);
        packet_free(one);
        return;
    }
    COUNT(it->counters, retransmitted);
    nack_receive(&source->nacks, one->sequence, one->arrival);
    if (ring_insert(&source->ring, one) == COUNT_out_of_memory)
        COUNT(it->counters, out_of_memory);
}

static size_t retired_at(const stream *it, uint32_t ssrc) {
    size_t at = 0;
    while (at < it->retired_count && it->retired[at] != ssrc)
        at++;
    return at;
}

static void forget_retired(stream *it, size_t at) {
    it->retired_count--;
    memmove(it->retired + at, it->retired + at + 1,
            (it->retired_count - at) * sizeof *it->retired);
}

static void retire(stream *it, uint32_t next) {
    size_t at = retired_at(it, next);
    if (at < it->retired_count)
        forget_retired(it, at);
    if (retired_at(it, it->source.ssrc) == it->retired_count)
        it->retired[it->retired_count++] = it->source.ssrc;
    if (it->retired_count > STREAM_MAX_RETIRED)
        forget_retired(it, 0);
}

static void take_over(stream *it, size_t at) {
    candidate next = candidates_remove(&it->candidates, at);
    if (it->has_source) {
        give_up(it);
        retire(it, next.ssrc);
        COUNT(it->counters, ssrc_changed);
        source_free(&it->source);
    }
    const codec *codec = it->parameters->codecs[next.of[0].payload_type];
    source_init(&it->source, next.ssrc, codec->clock_rate, it->nack && !it->asleep);
    it->has_source = true;
    it->codec = NULL;
    for (size_t i = 0; i < next.count; i++)
        insert_own(it, &next.of[i]);
    next.count = 0;
    candidate_free(&next);
}

/* Whether a candidate's packets came after the current source's last one, and not beside it. */
static bool is_next(const stream *it, const candidate *one) {
    double heard = it->source.last_arrival;
    return it->has_source && one->count > 1 &&
           (one->of[0].arrival > heard || one->of[one->count - 1].arrival > heard + OVERTAKEN);
}

/* Whether this source is of another layer than the current one. */
static bool is_other_layer(const stream *it, uint32_t ssrc) {
    return it->parameters->rid_count && it->has_source &&
           layers_of(&it->layers, ssrc) != layers_of(&it->layers, it->source.ssrc);
}

/* When this candidate takes over, if the current source stays silent. */
static double takes_over_at(const stream *it, const candidate *one) {
    if (!is_next(it, one))
        return NEVER;
    bool back = it->parameters->video && retired_at(it, one->ssrc) < it->retired_count &&
                !is_other_layer(it, one->ssrc);
    return one->of[0].arrival + (back ? COMES_BACK : CHANGES);
}

/* The first candidate whose time has come takes over; at the end (now: NEVER), any that came after. */
static void change_source(stream *it, double now) {
    size_t at = 0;
    while (at < it->candidates.count && !(takes_over_at(it, &it->candidates.of[at]) <= now &&
                                          is_next(it, &it->candidates.of[at])))
        at++;
    if (at < it->candidates.count)
        take_over(it, at);
}

/* Hold a packet of another SSRC, until it shows whether its source takes over. */
static void on_probation(stream *it, packet *one) {
    if (!candidates_hold(&it->candidates, one, it->counters)) {
        COUNT(it->counters, out_of_memory);
        return;
    }
    size_t last = it->candidates.count - 1;
    if (!it->has_source && it->candidates.of[last].count > 1)
        take_over(it, last);
}

static inline void take(stream *it, packet *one) {
    if (!it->has_source || one->ssrc != it->source.ssrc)
        on_probation(it, one);
    else
        insert_own(it, one);
}

/* Fill a hole with a packet that a later one repeated. */
static void fill_in(stream *it, packet *one) {
    source *source = &it->source;
    one->sequence = unwrapper_peek(&source->sequences, 16, one->sequence);
    one->timestamp = unwrapper_peek(&source->timestamps, 32, one->timestamp);
    if (!ring_lacks(&source->ring, one->sequence))
        return;
    int64_t sequence = one->sequence;
    double arrival = one->arrival;
    if (ring_insert(&source->ring, one) == COUNT_out_of_memory) {
        COUNT(it->counters, out_of_memory);
        return;
    }
    COUNT(it->counters, restored_by_red);
    if (source->has_nacks)
        nack_receive(&source->nacks, sequence, arrival);
}

/* Take a packet of RFC 2198, and of those it repeats the ones that are missing. All of them lie in the
 * receive buffer, so whatever becomes of the primary, the others are there. */
static void undo(stream *it, packet *one, uint8_t payload_type) {
    red found;
    if (!red_undo(one, payload_type, &found)) {
        COUNT(it->counters, malformed_payload);
        return;
    }
    if (found.primary.payload_type != payload_type) {
        COUNT(it->counters, unknown_payload_type);
        return;
    }
    take(it, &found.primary);
    if (!it->has_source || it->source.ssrc != one->ssrc)
        return;
    for (size_t i = 0; i < found.count; i++)
        fill_in(it, &found.repeated[i]);
}

void stream_insert(stream *it, packet *one) {
    int repeated = it->parameters->rtx[one->payload_type];
    int payload_type = repeated >= 0 ? repeated : one->payload_type;
    if (it->parameters->codecs[payload_type] == NULL) {
        int block = it->parameters->red[payload_type];
        if (repeated < 0 && block >= 0 && it->parameters->codecs[block] != NULL)
            undo(it, one, (uint8_t)block);
        else
            COUNT(it->counters, unknown_payload_type);
        packet_free(one);
    } else if (repeated >= 0) {
        repair(it, one, (uint8_t)repeated);
    } else {
        take(it, one);
    }
}

void stream_drain(stream *it, double now, ordereds *out) {
    if (it->candidates.count)
        change_source(it, now);
    if (it->given_up.count)
        give_given_up(it, out);
    if (!it->has_source)
        return;
    source *source = &it->source;
    it->counters->of[COUNT_out_of_memory] += ring_pop(&source->ring, now, &it->turns);
    place_turns(it, out);
    if (source->has_nacks && source->ring.open)
        nack_forget_before(&source->nacks, source->ring.next);
}

void stream_flush(stream *it, ordereds *out) {
    change_source(it, NEVER);
    give_up(it);
    give_given_up(it, out);
}

void stream_doze(stream *it, double until) {
    it->asleep = true;
    it->until = until;
    if (!it->has_source)
        return;
    ring_restart(&it->source.ring);
    it->source.has_nacks = false;
    nack_free(&it->source.nacks);
}

void stream_wake(stream *it) {
    if (!it->asleep)
        return;
    it->asleep = false;
    if (!it->has_source)
        return;
    ring_restart(&it->source.ring);
    it->source.has_nacks = it->nack;
    nack_free(&it->source.nacks);
}

size_t stream_missing(stream *it, double now, uint16_t *missing) {
    int64_t due[NACK_MAX_MISSING];
    if (!it->has_source || !it->source.has_nacks)
        return 0;
    size_t count = nack_handle_timer(&it->source.nacks, now, due);
    for (size_t i = 0; i < count; i++)
        missing[i] = (uint16_t)due[i];
    return count;
}

double stream_deadline(stream *it) {
    if (!it->has_source)
        return NEVER;
    source *source = &it->source;
    double first = source->has_nacks ? nack_deadline(&source->nacks) : NEVER;
    for (size_t i = 0; i < it->candidates.count; i++)
        first = earlier(first, takes_over_at(it, &it->candidates.of[i]));
    return earlier(first, ring_deadline(&source->ring));
}

bool stream_would_sleep(const stream *it, const packet *one) {
    const source *source = &it->source;
    if (!it->asleep || !it->has_source || one->ssrc != source->ssrc || it->candidates.count)
        return false;
    uint8_t payload_type = one->payload_type & 0x7F;
    if (it->parameters->rtx[payload_type] >= 0 || it->codec == NULL ||
        it->parameters->codecs[payload_type] != it->codec)
        return false;
    int64_t sequence = unwrapper_peek(&source->sequences, 16, one->sequence);
    int64_t timestamp = unwrapper_peek(&source->timestamps, 32, one->timestamp);
    if (!ring_takes(&source->ring, sequence) || source->ring.orphans.count)
        return false;
    return (double)timestamp < it->until &&
           !jumped(it, timestamp, one->arrival, follows(source, sequence));
}
