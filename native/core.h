/* What every part uses: counters by reason, bytes that grow, the media time's unwrapping.
 *
 * All memory can run out: what cannot be kept is dropped and counted, never fatal. Nothing here or in
 * the files beside it knows Python, a clock or (but for plane.c) a socket. Where a function says
 * nothing else, it is the twin of the function of that name in slicer/rtp or slicer/slicing, with the
 * same results to the last bit: build with -ffp-contract=off.
 */
#ifndef SLICER_CORE_H
#define SLICER_CORE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define COUNTERS(X)                                                                              \
    X(too_short) X(oversized) X(bad_version) X(truncated) X(bad_padding)                         \
    X(unknown_payload_type) X(malformed_rtcp) X(bye) X(unacknowledged) X(keyframe_requests)      \
    X(duplicate) X(late) X(stray) X(moved) X(asleep) X(padding) X(needless_retransmission)       \
    X(retransmitted) X(restored_by_red) X(parallel_ssrc) X(probation) X(ssrc_changed) X(clock_jumped)                \
    X(malformed_payload) X(moved_into_place) X(overlap) X(slice_full) X(unanswered)              \
    X(frames_ahead) X(picture_late) X(picture_missing) X(unsupported_payload) X(no_parameter_sets) \
    X(report_disbelieved) X(wait_full) X(unsettled_full)                                          \
    X(unknown_mid) X(unroutable) X(ssrc_moved) X(ssrc_forgotten) X(unknown_ssrc)                   \
    X(sections_refused) X(srtp_authentication) X(srtp_replayed) X(srtp_malformed) X(srtp_oversized)  \
    X(rtcp_unsent) X(receive_buffer_full) X(others_dropped) X(cuts_dropped) X(out_of_memory)    \
    X(other_layer) X(layer_changed)

enum {
#define X(name) COUNT_##name,
    COUNTERS(X)
#undef X
    COUNTERS_END
};
#define NOT_REFUSED (-1)

/* How often each thing happened; the names are those of the reference's Counters. */
typedef struct counters {
    uint64_t of[COUNTERS_END];
} counters;

#define COUNT(where, name) ((where)->of[COUNT_##name]++)

/* The name of each counter, by its number. */
extern const char *const counter_names[COUNTERS_END];

void *grow(void *of, size_t needed, size_t *capacity, size_t size, size_t fewest);

/* An array for `needed` elements of `size` bytes: `of` itself, or where it was moved to when `capacity`
 * did not do (doubled, `fewest` at first). NULL where there is no memory; `of` is then as it was. */
static inline void *grown(void *of, size_t needed, size_t *capacity, size_t size, size_t fewest) {
    return needed <= *capacity ? of : grow(of, needed, capacity, size, fewest);
}

/* Bytes that grow. Zero-initialised is empty. */
typedef struct buffer {
    uint8_t *data;
    size_t size, capacity;
} buffer;

bool buffer_grow(buffer *it, size_t more);

/* False where there is no memory; the buffer is then as it was. */
static inline bool buffer_reserve(buffer *it, size_t more) {
    return more <= it->capacity - it->size || buffer_grow(it, more);
}

bool buffer_append(buffer *it, const void *data, size_t size);
void buffer_free(buffer *it);

/* Extends a counter of 16 or 32 bits to one that does not wrap (RFC 3550 A.1): the value nearest to
 * the last one. */
typedef struct unwrapper {
    int64_t last;
    bool known;
} unwrapper;

static inline int64_t unwrapper_peek(const unwrapper *it, int bits, int64_t value) {
    if (!it->known)
        return value;
    int64_t half = (int64_t)1 << (bits - 1), mask = ((int64_t)1 << bits) - 1;
    return it->last + ((value - it->last + half) & mask) - half;
}

static inline void unwrapper_move(unwrapper *it, int64_t last) {
    it->last = last;
    it->known = true;
}

/* A deadline that there is none of is infinity. */
#define NEVER ((double)INFINITY)

static inline double earlier(double a, double b) { return a < b ? a : b; }

static inline uint16_t read16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t read32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
static inline uint64_t read64(const uint8_t *at) {
    return (uint64_t)read32(at) << 32 | read32(at + 4);
}
static inline void write16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}
static inline void write32(uint8_t *at, uint32_t value) {
    write16(at, value >> 16);
    write16(at + 2, value);
}
static inline void write64(uint8_t *at, uint64_t value) {
    write32(at, (uint32_t)(value >> 32));
    write32(at + 4, (uint32_t)value);
}

#endif
