/* Twin of slicer/rtp/assembly.py and codecs.py. */
#include "frame_parts.h"

/* What a depacketizer keeps between frames, at most: delta frames fit, keyframes come seldom. */
#define KEPT_BYTES (64 * 1024)

static void give_back(buffer *it, size_t kept) {
    if (it->capacity <= kept || it->size > kept)
        return;
    if (kept == 0) {
        buffer_free(it);
        return;
    }
    uint8_t *data = realloc(it->data, kept);
    if (data == NULL)
        return;
    it->data = data;
    it->capacity = kept;
}

/* The frame last given has been read. */
static void forget_given(assembly *it) {
    if (it->given == 0)
        return;
    it->bytes.size -= it->given;
    memmove(it->bytes.data, it->bytes.data + it->given, it->bytes.size);
    it->given = 0;
    give_back(&it->bytes, KEPT_BYTES);
}

void assembly_begin(assembly *it, int64_t timestamp) {
    it->bytes.size = it->given;
    it->pieces = 0;
    it->timestamp = timestamp;
    it->open = true;
}

bool assembly_add(assembly *it, const void *piece, size_t size) {
    if (size > MAX_FRAME - assembly_size(it) || it->pieces == MAX_PIECES)
        return false;
    it->pieces++;
    return buffer_append(&it->bytes, piece, size);
}

void assembly_drop(assembly *it) {
    it->bytes.size = it->given;
    it->open = false;
    give_back(&it->bytes, KEPT_BYTES);
}

pushed assembly_give(assembly *it, bool keyframe, frame *out) {
    *out = (frame){.timestamp = it->timestamp, .size = it->bytes.size, .keyframe = keyframe};
    it->given = it->bytes.size;
    it->open = false;
    return PUSHED_FRAME;
}

bool boundary_passed(boundary *it, const part *in) {
    bool first = in->contiguous && it->known && (it->marked || in->timestamp != it->timestamp);
    *it = (boundary){.timestamp = in->timestamp, .known = true, .marked = in->marker};
    return first;
}

depacketizer *depacketizer_new(const codec *codec) {
    if (codec->name < CODEC_VP8 || codec->name > CODEC_AV1)
        return NULL;
    depacketizer *it = calloc(1, sizeof *it);
    if (it == NULL)
        return NULL;
    it->codec = codec->name;
    if (it->codec == CODEC_H264 && !parameter_sets_read(&it->as.h264.sets, codec->sprop)) {
        depacketizer_free(it);
        return NULL;
    }
    return it;
}

void depacketizer_free(depacketizer *it) {
    if (it == NULL)
        return;
    if (it->codec == CODEC_H264)
        parameter_sets_free(&it->as.h264.sets);
    buffer_free(&it->open.bytes);
    free(it);
}

static pushed push(depacketizer *it, const part *in, frame *out) {
    switch (it->codec) {
    case CODEC_VP8:
        return vp8_push(it, in, out);
    case CODEC_VP9:
        return vp9_push(it, in, out);
    case CODEC_H264:
        return h264_push(it, in, out);
    default:
        return av1_push(it, in, out);
    }
}

pushed depacketizer_push(depacketizer *it, const uint8_t *payload, size_t size, int64_t timestamp,
                         bool marker, bool contiguous, frame *out) {
    forget_given(&it->open);
    part in = {payload, size, timestamp, marker, contiguous};
    pushed result = push(it, &in, out);
    if (result == PUSHED_FRAME) /* only now: the bytes may have moved after it was given */
        out->data = it->open.bytes.data;
    if (result == PUSHED_MALFORMED) {
        it->open.given = 0;
        assembly_drop(&it->open);
    }
    return result;
}

void depacketizer_rest(depacketizer *it) {
    if (it == NULL)
        return;
    forget_given(&it->open);
    give_back(&it->open.bytes, it->open.bytes.size);
}

bool starts_keyframe(codec_name codec, const uint8_t *payload, size_t size) {
    switch (codec) {
    case CODEC_VP8:
        return vp8_starts_keyframe(payload, size);
    case CODEC_VP9:
        return vp9_starts_keyframe(payload, size);
    case CODEC_H264:
        return h264_starts_keyframe(payload, size);
    case CODEC_AV1:
        return av1_starts_keyframe(payload, size);
    default:
        return false;
    }
}
