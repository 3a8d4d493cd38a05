#include "transport_feedback.h"

#define TICK 0.00025
#define NOT_RECEIVED INT32_MIN

enum { TICKS_PER_REFERENCE = 256, HEAD = 16, MAX_RUN = 0x1FFF, FORMAT = 15 };
enum { MISSING, SMALL, LARGE, RESERVED };
/* Each chunk but the last stands for at least seven packets. */
enum { MAX_CHUNKS = TRANSPORT_MAX_PACKETS / 7 + 1 };

/* How many packets have which status so far, and how many bytes their differences are. */
typedef struct statuses {
    size_t left, bytes;
} statuses;

static bool take_statuses(statuses *it, unsigned symbol, size_t times) {
    if (times > it->left)
        times = it->left;
    it->left -= times;
    it->bytes += symbol * times;
    return symbol != RESERVED || times == 0;
}

static bool take_chunk(statuses *it, unsigned chunk) {
    if (!(chunk & 0x8000))
        return take_statuses(it, chunk >> 13, chunk & MAX_RUN);
    int bits = chunk & 0x4000 ? 2 : 1;
    for (int shift = 14 - bits; shift >= 0; shift -= bits)
        if (!take_statuses(it, chunk >> shift & ((1u << bits) - 1), 1))
            return false;
    return true;
}

bool transport_feedback_is_whole(const uint8_t *body, size_t size) {
    if (size < HEAD)
        return false;
    statuses found = {read16(body + 10), 0};
    size_t at = HEAD;
    while (found.left > 0) {
        if (size - at < 2 || !take_chunk(&found, read16(body + at)))
            return false;
        at += 2;
    }
    return found.bytes <= size - at;
}

/* A clock that no machine has must not lead to undefined behaviour. */
static int64_t ticks_of(double seconds) {
    double ticks = rint(seconds / TICK);
    ticks = ticks < 0x1p61 ? ticks : 0x1p61;
    return (int64_t)(ticks > -0x1p61 ? ticks : -0x1p61);
}

/* False where it does not fit into this feedback. */
static inline bool fits(transport_feedbacks *it, int64_t sequence, double seconds) {
    int64_t place = sequence - it->base;
    if (place < (int64_t)it->size || place >= TRANSPORT_MAX_PACKETS)
        return false;
    int32_t delta = NOT_RECEIVED;
    if (!isnan(seconds)) {
        int64_t ticks = ticks_of(seconds);
        if (!it->arrived) {
            it->last = ticks - (ticks & (TICKS_PER_REFERENCE - 1));
            it->reference = it->last / TICKS_PER_REFERENCE;
        }
        int64_t difference = ticks - it->last;
        if (difference < INT16_MIN || difference > INT16_MAX)
            return false;
        delta = (int32_t)difference;
        it->last = ticks;
        it->arrived = true;
    }
    while ((int64_t)it->size < place)
        it->deltas[it->size++] = NOT_RECEIVED;
    it->deltas[it->size++] = delta;
    return true;
}

static uint8_t symbol_of(int32_t delta) {
    if (delta == NOT_RECEIVED)
        return MISSING;
    return 0 <= delta && delta <= 0xFF ? SMALL : LARGE;
}

static size_t run_of(const uint8_t *symbols, size_t count) {
    size_t run = 1;
    while (run < count && symbols[run] == symbols[0])
        run++;
    return run;
}

static uint32_t vector_of(const uint8_t *symbols, size_t count, int bits) {
    uint32_t value = 0;
    for (size_t i = 0; i < count; i++)
        value |= (uint32_t)symbols[i] << (14 - bits * ((int)i + 1));
    return value;
}

/* The status chunk that holds most of what comes next (3.1.1). Gives how many that are. */
static size_t pack_chunk(uint8_t *at, const uint8_t *symbols, size_t count) {
    size_t run = run_of(symbols, count), next = count < 14 ? count : 14;
    bool large = memchr(symbols, LARGE, next) != NULL;
    if (run >= next || (run > 7 && large)) {
        write16(at, (uint32_t)symbols[0] << 13 | (uint32_t)run);
        return run;
    }
    if (!large) {
        write16(at, 0x8000 | vector_of(symbols, next, 1));
        return next;
    }
    next = next < 7 ? next : 7;
    write16(at, 0xC000 | vector_of(symbols, next, 2));
    return next;
}

static size_t pack_statuses(uint8_t *body, const uint8_t *symbols, size_t count) {
    size_t size = 0;
    for (size_t at = 0; at < count; size += 2)
        at += pack_chunk(body + size, symbols + at, count - at);
    return size;
}

static size_t pack_deltas(uint8_t *body, const transport_feedbacks *it, const uint8_t *symbols) {
    size_t size = 0;
    for (size_t i = 0; i < it->size; i++) {
        if (symbols[i] == SMALL)
            body[size] = (uint8_t)it->deltas[i];
        else if (symbols[i] == LARGE)
            write16(body + size, (uint32_t)it->deltas[i]);
        size += symbols[i];
    }
    return size;
}

static void write_feedback(transport_feedbacks *it) {
    uint8_t symbols[TRANSPORT_MAX_PACKETS];
    uint8_t body[HEAD + 2 * MAX_CHUNKS + 2 * TRANSPORT_MAX_PACKETS + 3];
    for (size_t i = 0; i < it->size; i++)
        symbols[i] = symbol_of(it->deltas[i]);
    write32(body, it->sender_ssrc);
    write32(body + 4, it->media_ssrc);
    write16(body + 8, (uint32_t)(uint64_t)it->base);
    write16(body + 10, (uint32_t)it->size);
    write32(body + 12, (uint32_t)(uint64_t)it->reference << 8 | (it->count & 0xFF));
    size_t size = HEAD + pack_statuses(body + HEAD, symbols, it->size);
    size += pack_deltas(body + size, it, symbols);
    while (size % 4 != 0)
        body[size++] = 0;
    rtcp_write(it->to, RTCP_TRANSPORT_FEEDBACK, FORMAT, body, size);
    it->count++;
}

void transport_feedbacks_begin(transport_feedbacks *it, rtcp_writer *to, uint32_t sender_ssrc,
                               uint32_t media_ssrc, uint32_t count) {
    it->to = to;
    it->sender_ssrc = sender_ssrc;
    it->media_ssrc = media_ssrc;
    it->count = count;
    it->begun = it->arrived = false;
}

void transport_feedbacks_finish(transport_feedbacks *it) {
    if (it->begun && it->arrived)
        write_feedback(it);
    it->begun = it->arrived = false;
}

void transport_feedbacks_take(transport_feedbacks *it, int64_t sequence, double seconds) {
    if (it->begun && fits(it, sequence, seconds))
        return;
    transport_feedbacks_finish(it);
    it->begun = true;
    it->base = sequence;
    it->size = 0;
    fits(it, sequence, seconds);
}
