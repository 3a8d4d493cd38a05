/* Twin of slicer/rtp/codecs/av1.py and obu.py (RTP Payload Format For AV1, v1.0).
 *
 * Elements are appended as they come. An OBU that is whole is then rewritten where it lies, with
 * its size: its body moves by the few bytes that takes.
 */
#include "av1_sizes.h"
#include "depacketizer.h"

#define MAX_LEB128_BYTES 8
#define MAX_SPATIAL 3

enum { Z = 0x80, Y = 0x40, N = 0x08 };                                        /* section 4.4 */
enum { EXTENSION = 0x04, HAS_SIZE = 0x02 };                                   /* AV1 5.3.2 */
enum { SEQUENCE_HEADER = 1, DELIMITER = 2, HEADER = 3, FRAME = 6, LIST = 8 }; /* AV1 6.2.2 */

typedef struct temporal_unit {
    size_t size, pieces; /* of the elements as they came */
    size_t fragment;     /* where the last, unfinished OBU begins in the open frame: of assembly_size */
    bool fragmented, has_sequence, still, has_frame, keyframe;
    bool taken; /* a frame that was not left out */
    bool over;  /* nothing is to come, and it waits for the next push */
    av1_sequence sequence;
} temporal_unit;

typedef struct av1_stream {
    depacketizer base;
    boundary boundary;
    temporal_unit unit;
    bool chosen;     /* a keyframe came: */
    uint8_t highest; /* the highest spatial layer taken */
} av1_stream;

/* The number at *position, which moves behind it (AV1 specification 4.10.5). */
static bool read_leb128(const uint8_t *data, size_t size, size_t *position, uint64_t *value) {
    *value = 0;
    for (int index = 0; index < MAX_LEB128_BYTES && *position < size; index++) {
        uint8_t byte = data[(*position)++];
        *value |= (uint64_t)(byte & 0x7F) << 7 * index;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static size_t leb128_size(size_t value) {
    size_t size = 1;
    while (value >>= 7)
        size++;
    return size;
}

static void write_leb128(uint8_t *out, size_t value) {
    for (; value > 0x7F; value >>= 7)
        *out++ = (uint8_t)(value | 0x80);
    *out = (uint8_t)value;
}

/* The OBU elements behind an aggregation header (section 4.3 and 4.4). */
typedef struct elements {
    const uint8_t *data;
    size_t size, position, index, count; /* count 0: each has its size */
} elements;

static elements elements_of(const uint8_t *payload, size_t size) {
    return (elements){payload, size, 1, 0, payload[0] >> 4 & 3};
}

static bool more(const elements *it) { return it->position < it->size; }

/* The next one; false where it is malformed. Call where there are more. */
static bool next_element(elements *it, const uint8_t **data, size_t *size) {
    uint64_t wanted = it->size - it->position;
    if ((it->count == 0 || it->index != it->count - 1) &&
        !read_leb128(it->data, it->size, &it->position, &wanted))
        return false;
    if (wanted > it->size - it->position)
        return false;
    *data = it->data + it->position;
    *size = (size_t)wanted;
    it->position += *size;
    it->index++;
    return true;
}

/* Whether the whole payload is well-formed: how many elements, of how many bytes. */
static bool measure(const uint8_t *payload, size_t size, size_t *count, size_t *bytes) {
    *count = *bytes = 0;
    if (size < 2 || (payload[0] & (N | Z)) == (N | Z))
        return false;
    elements all = elements_of(payload, size);
    while (more(&all)) {
        const uint8_t *data;
        size_t length;
        if (!next_element(&all, &data, &length))
            return false;
        *bytes += length;
    }
    *count = all.index;
    return all.count == 0 || all.index == all.count;
}

static bool is_frame(int kind) { return kind == HEADER || kind == FRAME; }

static uint8_t highest(const av1_stream *it) { return it->chosen ? it->highest : MAX_SPATIAL; }

static void note_frame(av1_stream *it, const uint8_t *body, size_t size, uint8_t spatial) {
    temporal_unit *unit = &it->unit;
    if (!unit->has_frame) {
        unit->has_frame = true;
        /* AV1 specification 7.5: a sequence header, and a key frame as the first frame. 5.9.2:
         * show_existing_frame 0, frame_type 0. */
        bool key = size > 0 && (body[0] & 0xE0) == 0;
        unit->keyframe = unit->has_sequence && (unit->still || key);
        if (unit->keyframe) {
            it->chosen = true;
            it->highest = MAX_SPATIAL;
        }
    }
    int enough = it->base.height;
    if (unit->keyframe && enough > 0 && unit->sequence.known && spatial <= it->highest &&
        av1_read_height(body, size, &unit->sequence) >= enough)
        it->highest = spatial; /* none is needed above one that is high enough */
}

static void note(av1_stream *it, const uint8_t *body, size_t size, int kind, uint8_t spatial) {
    temporal_unit *unit = &it->unit;
    if (kind == SEQUENCE_HEADER && !unit->has_sequence) {
        unit->has_sequence = true;
        unit->still = size > 0 && body[0] & 0x08; /* 5.5.1: all its frames are key frames */
        unit->sequence = av1_read_sequence(body, size);
    } else if (is_frame(kind)) {
        note_frame(it, body, size, spatial);
    }
}

/* The kind of the one unit that these bytes are, and where its body starts; -1 where they are
 * malformed. */
static int read_obu(const uint8_t *data, size_t size, size_t *start) {
    if (size == 0 || data[0] & 0x80)
        return -1;
    *start = data[0] & EXTENSION ? 2 : 1;
    uint64_t length;
    if (size < *start)
        return -1;
    if (data[0] & HAS_SIZE &&
        (!read_leb128(data, size, start, &length) || length != size - *start))
        return -1;
    return data[0] >> 3 & 0x0F;
}

/* The last OBU is whole: write it as the low-overhead format has it (AV1 specification 5.2), or
 * leave it out. False where it is malformed. */
static bool finish_obu(av1_stream *it) {
    temporal_unit *unit = &it->unit;
    buffer *bytes = &it->base.open.bytes;
    size_t begin = it->base.open.given + unit->fragment, size = bytes->size - begin;
    if (size == 0) /* an element of no bytes is allowed, and means nothing */
        return true;
    uint8_t *data = bytes->data + begin;
    size_t head = data[0] & EXTENSION ? 2 : 1, start = 0;
    int kind = read_obu(data, size, &start);
    if (kind < 0)
        return false;
    uint8_t spatial = head == 2 ? data[1] >> 3 & 3 : 0;
    size_t body = size - start, moved = head + leb128_size(body);
    bool left_out = kind == DELIMITER || kind == LIST;
    if (!left_out) {
        note(it, data + start, body, kind, spatial);
        left_out = spatial > highest(it);
    }
    if (left_out) {
        bytes->size = begin;
        return true;
    }
    unit->taken = unit->taken || is_frame(kind);
    if (!assembly_reserve(&it->base.open, moved))
        return false;
    data = bytes->data + begin;
    memmove(data + moved, data + start, body);
    data[0] |= HAS_SIZE;
    write_leb128(data + head, body);
    bytes->size = begin + moved + body;
    return true;
}

static bool begin(av1_stream *it, const part *in) {
    assembly_begin(&it->base.open, in->timestamp);
    it->unit = (temporal_unit){.size = 0};
    return assembly_append(&it->base.open, "\x12\x00", 2);
}

/* Take one packet's elements, which were measured. */
static bool add(av1_stream *it, const part *in, size_t count, size_t bytes) {
    temporal_unit *unit = &it->unit;
    bool continues = in->data[0] & Z, continued = in->data[0] & Y;
    if (continues != unit->fragmented)
        return false;
    unit->size += bytes;
    unit->pieces += count;
    if (unit->size > MAX_FRAME || unit->pieces > MAX_PIECES)
        return false;
    elements all = elements_of(in->data, in->size);
    while (more(&all)) {
        const uint8_t *data = NULL;
        size_t size = 0;
        next_element(&all, &data, &size);
        if (!unit->fragmented)
            unit->fragment = assembly_size(&it->base.open);
        unit->fragmented = continued && all.index == count;
        if (!assembly_append(&it->base.open, data, size))
            return false;
        if (!unit->fragmented && !finish_obu(it))
            return false;
    }
    return true;
}

/* The unit holds a frame, and does not end inside an OBU. */
static bool is_whole(const temporal_unit *it) { return it->has_frame && !it->fragmented; }

/* The unit, which is whole, is over. */
static pushed end(av1_stream *it, frame *out) {
    if (it->unit.taken)
        return assembly_give(&it->base.open, it->unit.keyframe, out);
    assembly_drop(&it->base.open); /* all of its layers were left out */
    return PUSHED_NOTHING;
}

/* The unit before, which has no marker: an SFU took it away with layers. */
static pushed end_before(av1_stream *it, frame *out) {
    if (is_whole(&it->unit))
        return end(it, out);
    assembly_drop(&it->base.open);
    return PUSHED_NOTHING;
}

static pushed push(depacketizer *base, const part *in, frame *out) {
    av1_stream *it = (av1_stream *)base;
    assembly *open = &it->base.open;
    pushed done = PUSHED_NOTHING;
    if (!in->contiguous && !it->unit.over)
        assembly_drop(open);
    if (in->size == 0) {
        it->boundary.known = it->boundary.known && in->contiguous;
        return PUSHED_NOTHING;
    }
    bool first = boundary_passed(&it->boundary, in);
    size_t count, bytes;
    if (!measure(in->data, in->size, &count, &bytes))
        return PUSHED_MALFORMED;
    if (open->open && (first || it->unit.over))
        done = end_before(it, out);
    if ((first || (in->data[0] & (N | Z)) == N) && !begin(it, in))
        return PUSHED_MALFORMED;
    if (!open->open)
        return done;
    if (!add(it, in, count, bytes))
        return PUSHED_MALFORMED;
    it->unit.over = in->marker;
    if (!in->marker || done != PUSHED_NOTHING) /* a push gives one frame */
        return done;
    return is_whole(&it->unit) ? end(it, out) : PUSHED_MALFORMED;
}

static bool starts_keyframe(const uint8_t *payload, size_t size) {
    size_t count, bytes;
    if (!measure(payload, size, &count, &bytes) || (payload[0] & (N | Z)) != N)
        return false;
    elements all = elements_of(payload, size);
    const uint8_t *first = NULL;
    size_t length = 0;
    next_element(&all, &first, &length);
    int kind = length > 0 ? first[0] >> 3 & 0x0F : 0;
    return kind == SEQUENCE_HEADER || kind == DELIMITER;
}

static int height(const uint8_t *payload, size_t size) {
    if (!starts_keyframe(payload, size))
        return 0;
    elements all = elements_of(payload, size);
    while (more(&all)) {
        const uint8_t *data = NULL;
        size_t length = 0, start = 0;
        next_element(&all, &data, &length);
        if (read_obu(data, length, &start) == SEQUENCE_HEADER) {
            av1_sequence sequence = av1_read_sequence(data + start, length - start);
            return sequence.known ? sequence.height : 0;
        }
    }
    return 0;
}

const codec_format av1_format = {
    .name = "av1",
    .state = sizeof(av1_stream),
    .push = push,
    .starts_keyframe = starts_keyframe,
    .height = height,
};
