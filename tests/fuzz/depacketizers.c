/* Bytes as the payloads of a stream. The first byte chooses the codec, and whether it has
 * parameter sets in its fmtp line; then each payload has a byte of flags, its length in two, and its bytes. */
#include "codecs.h"
#include "depacketizer.h"

#define CHECK(what) ((what) ? (void)0 : abort())
#define MAX_SETS_BYTES (64 * (4096 + 4)) /* what H.264 puts ahead of a frame, at most */

#define SPROP_H265 "QAEMAQ==,QgEBYGBgYGBgYGBgYGBgYKA=,RAHBgA=="

enum { MARKER = 1, CONTIGUOUS = 2, NEXT_FRAME = 4, REST = 8, JUMP = 16 };

/* Each payload has memory of its own, so that a byte read past its end is found. */
static uint8_t *copied(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    CHECK(copy != NULL);
    memcpy(copy, data, size);
    return copy;
}

static void look_at(const codec_format *format, const uint8_t *payload, size_t size) {
    format->starts_keyframe(payload, size);
    int ticks = opus_format.duration(payload, size);
    CHECK(ticks == -1 || (ticks > 0 && ticks <= 5760 && ticks % opus_format.granule == 0));
    CHECK(pcmu_format.duration(payload, size) == (size ? (int)size : -1));
}

/* All of a frame can be read, also when its payload is gone. */
static void check_frame(const frame *it, int64_t now) {
    uint8_t *copy = copied(it->data, it->size);
    CHECK(it->size > 0 && it->size <= MAX_FRAME + MAX_SETS_BYTES && it->timestamp <= now);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    static const codec_format *const formats[] = {&vp8_format, &vp9_format, &h264_format,
                                                  &av1_format, &h265_format};
    /* Bit 3 came after the others, which keep their meaning: the inputs have them. */
    size_t which = (data[0] & 3) + (data[0] & 8 ? 4 : 0);
    codec codec = {.format = formats[which < 5 ? which : 4], .clock_rate = 90000};
    bool described = data[0] & 4;
    codec.sprop = !described ? "" : which < 4 ? "Z0IACvhB,aM44gA==" : SPROP_H265;
    depacketizer *it = depacketizer_new(&codec);
    CHECK(it != NULL);
    int64_t now = 0;
    for (size_t at = 1; at + 3 <= size;) {
        uint8_t flags = data[at];
        size_t left = size - at - 3, length = read16(data + at + 1);
        length = length < left ? length : left;
        uint8_t *payload = copied(data + at + 3, length);
        at += 3 + length;
        now += (flags & NEXT_FRAME ? 3000 : 0) + (flags & JUMP ? INT64_C(1) << 40 : 0);
        frame frame;
        look_at(codec.format, payload, length);
        pushed result = depacketizer_push(it, payload, length, now, flags & MARKER,
                                          flags & CONTIGUOUS, &frame);
        free(payload);
        if (result == PUSHED_FRAME)
            check_frame(&frame, now);
        if (flags & REST)
            depacketizer_rest(it);
    }
    depacketizer_free(it);
    return 0;
}
