#include "depacketizer.h"

/* What a depacketizer keeps between frames, at most: delta frames fit, keyframes come seldom. */
#define KEPT_BYTES (16 * 1024)

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

bool assembly_reserve(assembly *it, size_t more) {
    it->starved = !buffer_reserve(&it->bytes, more);
    return !it->starved;
}

bool assembly_append(assembly *it, const void *data, size_t size) {
    return assembly_reserve(it, size) && buffer_append(&it->bytes, data, size);
}

bool assembly_add(assembly *it, const void *piece, size_t size) {
    if (size > MAX_FRAME - assembly_size(it) || it->pieces == MAX_PIECES)
        return false;
    it->pieces++;
    return assembly_append(it, piece, size);
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
    const codec_format *format = codec->format;
    depacketizer *it = calloc(1, format->state);
    if (it == NULL)
        return NULL;
    it->format = format;
    if (format->begin != NULL && !format->begin(it, codec->sprop)) {
        depacketizer_free(it);
        return NULL;
    }
    return it;
}

void depacketizer_free(depacketizer *it) {
    if (it == NULL)
        return;
    if (it->format->end != NULL)
        it->format->end(it);
    buffer_free(&it->open.bytes);
    free(it);
}

pushed depacketizer_push(depacketizer *it, const uint8_t *payload, size_t size, int64_t timestamp,
                         bool marker, bool contiguous, frame *out) {
    forget_given(&it->open);
    it->open.starved = false;
    part in = {payload, size, timestamp, marker, contiguous};
    pushed result = it->format->push(it, &in, out);
    if (result == PUSHED_FRAME) /* only now: the bytes may have moved after it was given */
        out->data = it->open.bytes.data;
    if (result == PUSHED_MALFORMED || result == PUSHED_UNSUPPORTED) {
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
