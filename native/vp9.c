/* Twin of slicer/rtp/codecs/vp9.py (RFC 9628). */
#include "depacketizer.h"

#define MAX_LAYERS 8
#define ALL 7

typedef struct picture {
    size_t starts[MAX_LAYERS]; /* where each layer frame begins in the open frame */
    size_t layers;
    bool keyframe, ended; /* ended: the last of its layer frames is whole */
    bool over;            /* none is to come, and it waits for the next push */
} picture;

typedef struct vp9_stream {
    depacketizer base;
    boundary boundary;
    picture picture;
    bool chosen;     /* a keyframe came: */
    uint8_t highest; /* the highest spatial layer taken */
} vp9_stream;

typedef struct descriptor {
    bool begins, ends, predicted;
    uint8_t spatial;
    uint16_t heights[MAX_LAYERS]; /* of each spatial layer, where they are told */
    size_t told;
    size_t length;
} descriptor;

/* Bytes of the payload one after another; past its end they are 0 and `cut` is set. */
typedef struct reader {
    const uint8_t *data;
    size_t size, position;
    bool cut;
} reader;

static uint8_t next(reader *it) {
    if (it->position >= it->size) {
        it->cut = true;
        return 0;
    }
    return it->data[it->position++];
}

static bool skip_references(reader *it) {
    for (int count = 0; count < 3; count++)
        if (!(next(it) & 1))
            return true;
    return false;
}

/* The scalability structure (RFC 9628 4.2.1). */
static void read_structure(reader *it, descriptor *out) {
    uint8_t head = next(it);
    if (head & 0x10)
        for (out->told = 0; out->told <= head >> 5; out->told++) {
            it->position += 2;
            uint8_t high = next(it);
            out->heights[out->told] = (uint16_t)(high << 8 | next(it));
        }
    int pictures = head & 0x08 ? next(it) : 0;
    while (pictures-- > 0 && !it->cut)
        it->position += next(it) >> 2 & 3;
}

/* RFC 9628 4.2. False where it is malformed or no data follow. */
static bool read_descriptor(const uint8_t *payload, size_t size, descriptor *out) {
    reader in = {payload, size, 0, false};
    uint8_t required = next(&in);
    bool flexible = required & 0x10;
    *out = (descriptor){.begins = required & 0x08,
                         .ends = required & 0x04,
                         .predicted = required & 0x40};
    if (required & 0x80 && next(&in) & 0x80)
        in.position++;
    if (required & 0x20) {
        out->spatial = next(&in) >> 1 & 7;
        in.position += flexible ? 0 : 1;
    }
    if (flexible && out->predicted && !skip_references(&in))
        return false;
    if (required & 0x02)
        read_structure(&in, out);
    out->length = in.position;
    return !in.cut && in.position < size;
}

/* P clear on the base layer's start (RFC 9628 4.2), and the frame itself says so too. False where
 * it has not its marker. */
static bool read_keyframe(const descriptor *descriptor, const uint8_t *data, bool *keyframe) {
    *keyframe = false;
    if (!descriptor->begins || descriptor->predicted || descriptor->spatial)
        return true;
    uint8_t header = data[0];
    /* Profile 3 puts a reserved bit before show_existing_frame and frame_type. */
    *keyframe = (header >> ((header & 0x30) == 0x30 ? 1 : 2) & 3) == 0;
    return header >> 6 == 2;
}

/* The lowest layer that is so high; all where none is, or where nothing is wanted or told. */
static uint8_t lowest_enough(const descriptor *descriptor, int height) {
    for (uint8_t layer = 0; height > 0 && layer < descriptor->told; layer++)
        if (descriptor->heights[layer] >= height)
            return layer;
    return ALL;
}

/* A picture begins; false where it is malformed. */
static bool begin(vp9_stream *it, const part *in, const descriptor *descriptor) {
    assembly_begin(&it->base.open, in->timestamp);
    it->picture = (picture){.layers = 0};
    if (!read_keyframe(descriptor, in->data + descriptor->length, &it->picture.keyframe))
        return false;
    if (it->picture.keyframe) {
        it->highest = lowest_enough(descriptor, it->base.height);
        it->chosen = true;
    }
    return true;
}

static bool add(vp9_stream *it, const descriptor *descriptor, const uint8_t *data, size_t size) {
    picture *picture = &it->picture;
    if (descriptor->begins) {
        if (picture->layers == MAX_LAYERS)
            return false;
        picture->starts[picture->layers++] = assembly_size(&it->base.open);
    }
    picture->ended = descriptor->ends;
    return assembly_add(&it->base.open, data, size);
}

/* What tells a decoder the layer frames apart (VP9 bitstream specification, annex B). */
static bool add_superframe_index(vp9_stream *it) {
    const picture *picture = &it->picture;
    size_t sizes[MAX_LAYERS], largest = 0, count = picture->layers, width = 1, end = 1;
    for (size_t at = 0; at < count; at++) {
        size_t stop = at + 1 < count ? picture->starts[at + 1] : assembly_size(&it->base.open);
        sizes[at] = stop - picture->starts[at];
        largest = sizes[at] > largest ? sizes[at] : largest;
    }
    while (largest >> 8 * width)
        width++;
    uint8_t index[2 + 4 * MAX_LAYERS];
    index[0] = (uint8_t)(0xC0 | (width - 1) << 3 | (count - 1));
    for (size_t at = 0; at < count; at++)
        for (size_t byte = 0; byte < width; byte++)
            index[end++] = (uint8_t)(sizes[at] >> 8 * byte);
    index[end++] = index[0];
    return assembly_add(&it->base.open, index, end);
}

/* The picture is over. */
static pushed end(vp9_stream *it, frame *out) {
    if (it->picture.layers == 0) { /* all of them were left out */
        assembly_drop(&it->base.open);
        return PUSHED_NOTHING;
    }
    if (it->picture.layers > 1 && !add_superframe_index(it))
        return PUSHED_MALFORMED;
    return assembly_give(&it->base.open, it->picture.keyframe, out);
}

/* The picture before, which has no marker: an SFU took it away with layers. */
static pushed end_before(vp9_stream *it, frame *out) {
    if (it->picture.ended)
        return end(it, out);
    assembly_drop(&it->base.open);
    return PUSHED_NOTHING;
}

static pushed push(depacketizer *base, const part *in, frame *out) {
    vp9_stream *it = (vp9_stream *)base;
    assembly *open = &it->base.open;
    if (!in->contiguous && !it->picture.over)
        assembly_drop(open);
    if (in->size == 0) {
        it->boundary.known = it->boundary.known && in->contiguous;
        return PUSHED_NOTHING;
    }
    bool first = boundary_passed(&it->boundary, in);
    descriptor descriptor;
    if (!read_descriptor(in->data, in->size, &descriptor))
        return PUSHED_MALFORMED;
    pushed done = PUSHED_NOTHING;
    if (open->open && (it->picture.over || open->timestamp != in->timestamp))
        done = end_before(it, out);
    if (done == PUSHED_MALFORMED)
        return done;
    if (descriptor.begins && (first || descriptor.spatial == 0) && !begin(it, in, &descriptor))
        return PUSHED_MALFORMED;
    if (!open->open)
        return done;
    uint8_t highest = it->chosen ? it->highest : ALL;
    if (descriptor.spatial <= highest &&
        !add(it, &descriptor, in->data + descriptor.length, in->size - descriptor.length))
        return PUSHED_MALFORMED;
    it->picture.ended |= in->marker;
    it->picture.over = in->marker || (descriptor.ends && descriptor.spatial == highest);
    /* A push gives one frame. */
    return it->picture.over && done == PUSHED_NOTHING ? end(it, out) : done;
}

static bool starts_keyframe(const uint8_t *payload, size_t size) {
    descriptor descriptor;
    bool keyframe;
    return read_descriptor(payload, size, &descriptor) &&
           read_keyframe(&descriptor, payload + descriptor.length, &keyframe) && keyframe;
}

static int height(const uint8_t *payload, size_t size) {
    descriptor descriptor;
    if (!starts_keyframe(payload, size) || !read_descriptor(payload, size, &descriptor))
        return 0;
    int highest = 0;
    for (size_t at = 0; at < descriptor.told; at++)
        highest = descriptor.heights[at] > highest ? descriptor.heights[at] : highest;
    return highest;
}

const codec_format vp9_format = {
    .name = "vp9",
    .state = sizeof(vp9_stream),
    .push = push,
    .starts_keyframe = starts_keyframe,
    .height = height,
};
