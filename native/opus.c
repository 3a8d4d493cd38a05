/* Twin of slicer/rtp/codecs/opus.py: how long a packet lasts; nothing is decoded. */
#include "opus.h"

#include "codec.h"

#define MAX_DURATION 5760 /* 120 ms (RFC 6716 3.2.5, R5) */
#define SHORTEST_FRAME 120
#define MAX_FRAME_BYTES 1275

int opus_frame_size(uint8_t toc) {
    static const int silk[] = {480, 960, 1920, 2880}, hybrid[] = {480, 960},
                     celt[] = {120, 240, 480, 960};
    int config = toc >> 3;
    if (config < 12)
        return silk[config & 3];
    return config < 16 ? hybrid[config & 1] : celt[config & 3];
}

/* A frame length of one or two bytes (RFC 6716 3.2.1) at *position, which moves behind it. */
static bool read_length(const uint8_t *payload, size_t size, size_t *position, size_t *length) {
    if (*position >= size)
        return false;
    *length = payload[(*position)++];
    if (*length < 252)
        return true;
    if (*position >= size)
        return false;
    *length += 4 * (size_t)payload[(*position)++];
    return true;
}

/* RFC 6716 3.2.3 and 3.2.4. */
static bool two_fit(int code, const uint8_t *payload, size_t size) {
    size_t left = size - 1, position = 1, first;
    if (code == 1)
        return left % 2 == 0 && left / 2 <= MAX_FRAME_BYTES;
    if (!read_length(payload, size, &position, &first) || first > size - position)
        return false;
    return size - position - first <= MAX_FRAME_BYTES;
}

/* Bytes of padding at the end of the packet; *position moves behind the bytes that say so. */
static bool read_padding(const uint8_t *payload, size_t size, size_t *position, size_t *padding) {
    *padding = 0;
    while (*position < size) {
        uint8_t value = payload[(*position)++];
        if (value < 255) {
            *padding += value;
            return true;
        }
        *padding += 254;
    }
    return false;
}

/* The number of frames of a code 3 packet, once its sizes add up (RFC 6716 3.2.5); 0 where they do
 * not. */
static int count_arbitrary(const uint8_t *payload, size_t size) {
    if (size < 2)
        return 0;
    int count = payload[1] & 0x3F;
    bool variable = payload[1] & 0x80, padded = payload[1] & 0x40;
    size_t position = 2, padding = 0, frames = 0, length;
    if (count == 0 || (padded && !read_padding(payload, size, &position, &padding)))
        return 0;
    for (int index = 1; variable && index < count; index++) {
        if (!read_length(payload, size, &position, &length))
            return 0;
        frames += length;
    }
    if (padding + frames > size - position)
        return 0;
    size_t left = size - position - padding - frames;
    if (variable)
        return left <= MAX_FRAME_BYTES ? count : 0;
    return left % (size_t)count == 0 && left / (size_t)count <= MAX_FRAME_BYTES ? count : 0;
}

static int opus_duration(const uint8_t *payload, size_t size) {
    if (size == 0)
        return -1;
    int code = payload[0] & 3, count = 2;
    if (code == 0) /* 3.2.2 */
        return size - 1 <= MAX_FRAME_BYTES ? opus_frame_size(payload[0]) : -1;
    if (code == 3)
        count = count_arbitrary(payload, size);
    else if (!two_fit(code, payload, size))
        return -1;
    int ticks = count * opus_frame_size(payload[0]);
    return ticks > 0 && ticks <= MAX_DURATION ? ticks : -1;
}

const codec_format opus_format = {
    .name = "opus", .duration = opus_duration, .granule = SHORTEST_FRAME};
