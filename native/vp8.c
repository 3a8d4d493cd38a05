/* Twin of slicer/rtp/codecs/vp8.py (RFC 7741). */
#include "depacketizer.h"

#define KEYFRAME_HEADER 10

/* Whether the first partition begins here, and where the data do (RFC 7741 4.2). */
static bool read_descriptor(const uint8_t *payload, size_t size, bool *begins, size_t *length) {
    if (size == 0)
        return false;
    uint8_t required = payload[0];
    size_t end = 1;
    if (required & 0x80) {
        if (size < 2)
            return false;
        uint8_t extended = payload[1];
        end = 2;
        if (extended & 0x80) {
            if (size < 3)
                return false;
            end += payload[2] & 0x80 ? 2 : 1;
        }
        end += extended & 0x40 ? 1 : 0;
        end += extended & 0x30 ? 1 : 0;
    }
    *begins = (required & 0x17) == 0x10;
    *length = end;
    return end < size;
}

/* The inverse key frame flag, P (RFC 7741 4.3). False where the start code is wrong. */
static bool read_keyframe(const uint8_t *data, size_t size, bool *keyframe) {
    *keyframe = !(data[0] & 1);
    if (!*keyframe)
        return true;
    return size >= KEYFRAME_HEADER && memcmp(data + 3, "\x9d\x01\x2a", 3) == 0;
}

static pushed push(depacketizer *it, const part *in, frame *out) {
    assembly *open = &it->open;
    if (!in->contiguous)
        assembly_drop(open);
    if (in->size == 0)
        return PUSHED_NOTHING;
    bool begins, keyframe;
    size_t length;
    if (!read_descriptor(in->data, in->size, &begins, &length))
        return PUSHED_MALFORMED;
    if (begins)
        assembly_begin(open, in->timestamp);
    if (!open->open || open->timestamp != in->timestamp) {
        assembly_drop(open);
        return PUSHED_NOTHING;
    }
    if (!assembly_add(open, in->data + length, in->size - length))
        return PUSHED_MALFORMED;
    if (!in->marker)
        return PUSHED_NOTHING;
    if (!read_keyframe(assembly_data(open), assembly_size(open), &keyframe))
        return PUSHED_MALFORMED;
    return assembly_give(open, keyframe, out);
}

static bool starts_keyframe(const uint8_t *payload, size_t size) {
    bool begins, keyframe;
    size_t length;
    return read_descriptor(payload, size, &begins, &length) && begins &&
           read_keyframe(payload + length, size - length, &keyframe) && keyframe;
}

static int height(const uint8_t *payload, size_t size) {
    bool begins;
    size_t length;
    if (!starts_keyframe(payload, size) || !read_descriptor(payload, size, &begins, &length))
        return 0;
    const uint8_t *data = payload + length;
    return (data[8] | data[9] << 8) & 0x3FFF;
}

const codec_format vp8_format = {
    .name = "vp8",
    .state = sizeof(depacketizer),
    .push = push,
    .starts_keyframe = starts_keyframe,
    .height = height,
};
