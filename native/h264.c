/* Twin of slicer/rtp/h264.py (RFC 6184, packetization modes 0 and 1); what the marker is worth is
 * told there. */
#include "frame_parts.h"

enum { IDR = 5, SPS = 7, PPS = 8, AUD = 9, STAP_A = 24, FU_A = 28 };
#define BIT(kind) (1u << (kind))
#define SLICES (BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5))

static const uint8_t start_code[4] = {0, 0, 0, 1};

typedef struct nal {
    const uint8_t *data;
    size_t size;
} nal;

static uint8_t kind_of(uint8_t header) { return header & 0x1F; }
static bool is_single(uint8_t kind) { return kind > 0 && kind < STAP_A; }
static bool is_fragment(const uint8_t *payload) { return kind_of(payload[0]) == FU_A; }

/* The next NAL unit wholly inside a payload; `position` begins at 0. False at the end, and where
 * the packet is malformed: then `position` is not at the end. A fragment holds none. */
static bool next_nal(const uint8_t *payload, size_t size, size_t *position, nal *out) {
    if (kind_of(payload[0]) != STAP_A) {
        *out = (nal){payload, size};
        bool fresh = *position == 0 && is_single(kind_of(payload[0]));
        *position = fresh ? size : *position;
        return fresh;
    }
    size_t at = *position ? *position : 1; /* RFC 6184 5.7.1 */
    if (size - at < 2)
        return false;
    size_t length = read16(payload + at);
    at += 2;
    if (length == 0 || length > size - at || !is_single(kind_of(payload[at])))
        return false;
    *out = (nal){payload + at, length};
    *position = at + length;
    return true;
}

/* RFC 6184 5.2. */
static bool is_well_formed(const uint8_t *payload, size_t size) {
    if (size == 0)
        return false;
    if (is_fragment(payload))
        return size >= 3 && is_single(kind_of(payload[1]));
    size_t position = 0;
    nal nal;
    while (next_nal(payload, size, &position, &nal))
        ;
    return position == size;
}

/* After a hole: an AUD first, or an SPS that no slice is ahead of. Only a delimiter and the like
 * can have come before an SPS (ITU-T H.264 7.4.1.2.3). */
static bool proves_start(const part *in) {
    size_t position = 0;
    nal nal;
    for (bool first = true; next_nal(in->data, in->size, &position, &nal); first = false) {
        uint8_t kind = kind_of(nal.data[0]);
        if (kind == SPS || (first && kind == AUD))
            return true;
        if (BIT(kind) & SLICES)
            return false;
    }
    return false;
}

/* Whether a decoder gets a picture out of it: a slice, and no fragment without its end. */
static bool is_whole(const h264_unit *unit) { return !unit->fragment && unit->kinds & SLICES; }

static bool begin_nal(depacketizer *it, uint8_t kind, const uint8_t *piece, size_t size) {
    h264_unit *unit = &it->as.h264.unit;
    unit->kinds |= BIT(kind);
    if (!assembly_add(&it->open, start_code, sizeof start_code) ||
        !assembly_add(&it->open, piece, size))
        return false;
    if (it->open.pieces == 2)
        unit->head = assembly_size(&it->open);
    return true;
}

/* RFC 6184 5.8. */
static bool add_fragment(depacketizer *it, const part *in) {
    h264_unit *unit = &it->as.h264.unit;
    uint8_t header = in->data[1], kind = kind_of(header);
    if (header & 0x80) {
        uint8_t original = (in->data[0] & 0xE0) | kind;
        if (unit->fragment || !begin_nal(it, kind, &original, 1))
            return false;
    } else if (unit->fragment != kind) {
        return false;
    }
    unit->fragment = header & 0x40 ? 0 : kind;
    return assembly_add(&it->open, in->data + 2, in->size - 2);
}

static bool add(depacketizer *it, const part *in) {
    if (is_fragment(in->data))
        return add_fragment(it, in);
    if (it->as.h264.unit.fragment)
        return false;
    size_t position = 0;
    nal nal;
    while (next_nal(in->data, in->size, &position, &nal))
        if (!begin_nal(it, kind_of(nal.data[0]), nal.data, nal.size))
            return false;
    return true;
}

/* Compare the last marker with what followed it. */
static void learn(h264_stream *stream, bool changed, bool known) {
    if (!stream->marked || !known)
        return;
    if (!changed)
        stream->marker = MARKER_LIES;
    else if (stream->marker == MARKER_UNPROVED)
        stream->marker = MARKER_ENDS;
}

/* Put the parameter sets ahead of all but the access unit delimiter. */
static bool prepend_sets(depacketizer *it, size_t size) {
    buffer *bytes = &it->open.bytes;
    if (!buffer_reserve(bytes, size))
        return false;
    uint8_t *data = assembly_data(&it->open);
    size_t at = kind_of(data[sizeof start_code]) == AUD ? it->as.h264.unit.head : 0;
    memmove(data + at + size, data + at, assembly_size(&it->open) - at);
    parameter_sets_write(&it->as.h264.sets, data + at);
    bytes->size += size;
    return true;
}

static pushed finish(depacketizer *it, frame *out) {
    const h264_unit *unit = &it->as.h264.unit;
    if (!it->open.open || !is_whole(unit))
        return PUSHED_NOTHING;
    bool keyframe = unit->kinds & BIT(IDR);
    if (keyframe && (~unit->kinds & (BIT(SPS) | BIT(PPS)))) {
        size_t size = parameter_sets_size(&it->as.h264.sets);
        if (size == 0) /* nothing can decode it */
            return PUSHED_NOTHING;
        if (!prepend_sets(it, size))
            return PUSHED_MALFORMED;
    }
    return assembly_give(&it->open, keyframe, out);
}

static bool note_sets(depacketizer *it, const part *in) {
    size_t position = 0;
    nal nal;
    while (next_nal(in->data, in->size, &position, &nal))
        if (!parameter_sets_note(&it->as.h264.sets, nal.data, nal.size))
            return false;
    return true;
}

/* Another timestamp begins: give the access unit before it, if it is known to be over. */
static pushed change(depacketizer *it, const part *in, bool known, bool was_marked, frame *out) {
    h264_stream *stream = &it->as.h264;
    pushed done = PUSHED_NOTHING;
    if (known || (was_marked && stream->marker == MARKER_ENDS))
        done = finish(it, out);
    if (known || proves_start(in)) {
        assembly_begin(&it->open, in->timestamp);
        stream->unit = (h264_unit){0};
    } else {
        assembly_drop(&it->open);
    }
    return done;
}

/* The packet's own access unit, if it has one; `done` is what its coming has given. */
static pushed go_on(depacketizer *it, const part *in, pushed done, frame *out) {
    h264_stream *stream = &it->as.h264;
    if (!note_sets(it, in))
        return PUSHED_MALFORMED;
    if (!it->open.open)
        return done;
    if (!add(it, in))
        return PUSHED_MALFORMED;
    /* Some senders mark parameter sets: that neither ends a frame nor makes the marker a lie. */
    stream->marked = in->marker && is_whole(&stream->unit);
    if (!stream->marked || stream->marker != MARKER_ENDS || done != PUSHED_NOTHING)
        return done;
    done = finish(it, out);
    if (done == PUSHED_NOTHING)
        assembly_drop(&it->open);
    return done;
}

pushed h264_push(depacketizer *it, const part *in, frame *out) {
    h264_stream *stream = &it->as.h264;
    bool known = in->contiguous && stream->timed;
    if (in->size == 0) {
        if (!in->contiguous) {
            assembly_drop(&it->open);
            stream->timed = false;
        }
        return PUSHED_NOTHING;
    }
    bool changed = !stream->timed || in->timestamp != stream->timestamp;
    bool was_marked = stream->marked;
    learn(stream, changed, known);
    stream->timestamp = in->timestamp;
    stream->timed = true;
    stream->marked = false;
    if (!is_well_formed(in->data, in->size))
        return PUSHED_MALFORMED;
    pushed done = PUSHED_NOTHING;
    if (changed)
        done = change(it, in, known, was_marked, out);
    else if (!in->contiguous)
        assembly_drop(&it->open);
    return done == PUSHED_MALFORMED ? done : go_on(it, in, done, out);
}

/* first_mb_in_slice is 0, which as ue(v) is a single set bit (ITU-T H.264 7.3.3). */
static bool starts(uint8_t kind, const uint8_t *body, size_t size) {
    return kind == SPS || (kind == IDR && size > 0 && body[0] & 0x80);
}

bool h264_starts_keyframe(const uint8_t *payload, size_t size) {
    if (!is_well_formed(payload, size))
        return false;
    if (is_fragment(payload))
        return payload[1] & 0x80 && starts(kind_of(payload[1]), payload + 2, size - 2);
    size_t position = 0;
    nal nal;
    while (next_nal(payload, size, &position, &nal))
        if (starts(kind_of(nal.data[0]), nal.data + 1, nal.size - 1))
            return true;
    return false;
}
