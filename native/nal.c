#include "nal.h"

static const uint8_t start_code[4] = {0, 0, 0, 1};

typedef struct nal {
    const uint8_t *data;
    size_t size;
} nal;

static bool is_single(const nal_format *format, uint8_t kind) {
    return kind >= format->fewest && kind <= format->most;
}

static bool is_fragment(const nal_format *format, const uint8_t *payload) {
    return nal_kind(format, payload[0]) == format->fragmentation;
}

/* The kind that the header of a fragment tells, behind the payload's own header. */
static uint8_t fragment_kind(const nal_format *format, const uint8_t *payload) {
    return payload[format->header] & format->mask;
}

/* The next NAL unit wholly inside a payload; `position` begins at 0. False at the end, and where
 * the packet is malformed: then `position` is not at the end. A fragment holds none. */
static bool next_nal(const nal_format *format, const uint8_t *payload, size_t size,
                     size_t *position, nal *out) {
    uint8_t kind = nal_kind(format, payload[0]);
    if (kind != format->aggregation) {
        *out = (nal){payload, size};
        bool fresh = *position == 0 && is_single(format, kind);
        *position = fresh ? size : *position;
        return fresh;
    }
    size_t at = *position ? *position : format->header; /* RFC 6184 5.7.1, RFC 7798 4.4.2 */
    if (size - at < 2)
        return false;
    size_t length = read16(payload + at);
    at += 2;
    if (length < format->header || length > size - at ||
        !is_single(format, nal_kind(format, payload[at])))
        return false;
    *out = (nal){payload + at, length};
    *position = at + length;
    return true;
}

static bool is_well_formed_whole(const nal_format *format, const uint8_t *payload, size_t size) {
    size_t position = 0;
    nal nal;
    if (size < format->header)
        return false;
    while (next_nal(format, payload, size, &position, &nal))
        ;
    return position == size;
}

/* RFC 6184 5.2, RFC 7798 4.4. Nearly all payloads are fragments: they are looked at in line. */
static inline bool is_well_formed(const nal_format *format, const uint8_t *payload, size_t size) {
    if (size < format->header + 2u || !is_fragment(format, payload))
        return is_well_formed_whole(format, payload, size);
    return is_single(format, fragment_kind(format, payload));
}

/* Whether a payload is refused for its type alone. */
static bool is_unsupported(const nal_format *format, const uint8_t *payload, size_t size) {
    uint8_t kind = nal_kind(format, payload[0]);
    return size >= format->header && !is_single(format, kind) && kind != format->aggregation &&
           kind != format->fragmentation;
}

/* After a hole: a delimiter first, or the leading parameter set that no slice is ahead of. */
static bool proves_start(const nal_format *format, const part *in) {
    size_t position = 0;
    nal nal;
    for (bool first = true; next_nal(format, in->data, in->size, &position, &nal); first = false) {
        uint8_t kind = nal_kind(format, nal.data[0]);
        if (kind == format->leading || (first && kind == format->delimiter))
            return true;
        if (BIT(kind) & format->slices)
            return false;
    }
    return false;
}

/* Whether a decoder gets a picture out of it: a slice, and no fragment without its end. */
static bool is_whole(const nal_stream *it) {
    return it->unit.fragment < 0 && it->unit.kinds & it->sets.format->slices;
}

static bool begin_nal(nal_stream *it, uint8_t kind, const uint8_t *piece, size_t size) {
    assembly *open = &it->base.open;
    it->unit.kinds |= BIT(kind);
    if (!assembly_add(open, start_code, sizeof start_code) || !assembly_add(open, piece, size))
        return false;
    if (open->pieces == 2)
        it->unit.head = assembly_size(open);
    return true;
}

/* RFC 6184 5.8, RFC 7798 4.4.3. */
static bool add_fragment(nal_stream *it, const part *in) {
    const nal_format *format = it->sets.format;
    uint8_t flags = in->data[format->header], kind = fragment_kind(format, in->data);
    if (flags & 0x80) {
        uint8_t original[2] = {in->data[0], in->data[1]};
        original[0] &= (uint8_t)~(format->mask << format->shift);
        original[0] |= (uint8_t)(kind << format->shift);
        if (it->unit.fragment >= 0 || !begin_nal(it, kind, original, format->header))
            return false;
    } else if (it->unit.fragment != kind) {
        return false;
    }
    it->unit.fragment = flags & 0x40 ? -1 : kind;
    size_t head = format->header + 1u;
    return assembly_add(&it->base.open, in->data + head, in->size - head);
}

static bool add(nal_stream *it, const part *in) {
    const nal_format *format = it->sets.format;
    if (is_fragment(format, in->data))
        return add_fragment(it, in);
    if (it->unit.fragment >= 0)
        return false;
    size_t position = 0;
    nal nal;
    while (next_nal(format, in->data, in->size, &position, &nal))
        if (!begin_nal(it, nal_kind(format, nal.data[0]), nal.data, nal.size))
            return false;
    return true;
}

/* Compare the last marker with what followed it. */
static void learn(nal_stream *stream, bool changed, bool known) {
    if (!stream->marked || !known)
        return;
    if (!changed)
        stream->marker = MARKER_LIES;
    else if (stream->marker == MARKER_UNPROVED)
        stream->marker = MARKER_ENDS;
}

/* Put the parameter sets ahead of all but the access unit delimiter. */
static bool prepend_sets(nal_stream *it, size_t size) {
    assembly *open = &it->base.open;
    if (!assembly_reserve(open, size))
        return false;
    uint8_t *data = assembly_data(open);
    uint8_t first = nal_kind(it->sets.format, data[sizeof start_code]);
    size_t at = first == it->sets.format->delimiter ? it->unit.head : 0;
    memmove(data + at + size, data + at, assembly_size(open) - at);
    parameter_sets_write(&it->sets, data + at);
    open->bytes.size += size;
    return true;
}

static pushed finish(nal_stream *it, frame *out) {
    const nal_format *format = it->sets.format;
    uint64_t kinds = it->unit.kinds;
    if (!it->base.open.open || !is_whole(it) || kinds & format->skipped)
        return PUSHED_NOTHING;
    bool keyframe = kinds & format->keyframes;
    if (keyframe && ~kinds & format->sets) {
        size_t size = parameter_sets_size(&it->sets);
        if (size == 0) {
            *out = (frame){.timestamp = it->base.open.timestamp, .keyframe = true};
            assembly_drop(&it->base.open);
            return PUSHED_BARE;
        }
        if (!prepend_sets(it, size))
            return PUSHED_MALFORMED;
    }
    return assembly_give(&it->base.open, keyframe, out);
}

static bool note_sets(nal_stream *it, const part *in) {
    size_t position = 0;
    if (is_fragment(it->sets.format, in->data))
        return true;
    nal nal;
    while (next_nal(it->sets.format, in->data, in->size, &position, &nal))
        if (!parameter_sets_note(&it->sets, nal.data, nal.size)) {
            it->base.open.starved = true;
            return false;
        }
    return true;
}

static void begin_unit(nal_stream *it, const part *in) {
    assembly_begin(&it->base.open, in->timestamp);
    it->unit = (access_unit){.fragment = -1};
}

/* Another timestamp begins: give the access unit before it, if it is known to be over. */
static pushed change(nal_stream *it, const part *in, bool known, bool was_marked, frame *out) {
    pushed done = PUSHED_NOTHING;
    if (known || (was_marked && it->marker == MARKER_ENDS))
        done = finish(it, out);
    if (known || proves_start(it->sets.format, in))
        begin_unit(it, in);
    else
        assembly_drop(&it->base.open);
    return done;
}

/* The packet's own access unit, if it has one; `done` is what its coming has given. */
static pushed go_on(nal_stream *it, const part *in, pushed done, frame *out) {
    if (!note_sets(it, in))
        return PUSHED_MALFORMED;
    if (!it->base.open.open)
        return done;
    if (!add(it, in))
        return PUSHED_MALFORMED;
    /* Some senders mark parameter sets: that neither ends a frame nor makes the marker a lie. */
    it->marked = in->marker && is_whole(it);
    if (!it->marked || it->marker != MARKER_ENDS || done != PUSHED_NOTHING)
        return done;
    done = finish(it, out);
    if (done == PUSHED_NOTHING)
        assembly_drop(&it->base.open);
    return done;
}

pushed nal_push(depacketizer *base, const part *in, frame *out) {
    nal_stream *it = (nal_stream *)base;
    bool known = in->contiguous && it->timed;
    if (in->size == 0) {
        if (!in->contiguous) {
            assembly_drop(&base->open);
            it->timed = false;
        }
        return PUSHED_NOTHING;
    }
    bool changed = !it->timed || in->timestamp != it->timestamp;
    bool was_marked = it->marked;
    learn(it, changed, known);
    it->timestamp = in->timestamp;
    it->timed = true;
    it->marked = false;
    if (!is_well_formed(it->sets.format, in->data, in->size))
        return is_unsupported(it->sets.format, in->data, in->size) ? PUSHED_UNSUPPORTED
                                                                   : PUSHED_MALFORMED;
    pushed done = PUSHED_NOTHING;
    if (changed)
        done = change(it, in, known, was_marked, out);
    else if (!in->contiguous)
        assembly_drop(&base->open);
    if (!base->open.open && it->sets.described &&
        nal_starts_keyframe(it->sets.format, in->data, in->size))
        begin_unit(it, in);
    return done == PUSHED_MALFORMED ? done : go_on(it, in, done, out);
}

/* `body` is the NAL unit behind its header. A slice's first bit says that it is the first of its
 * picture: H.264 7.3.3 has first_mb_in_slice there, which as ue(v) is 0 by a single set bit, H.265
 * 7.3.6.1 first_slice_segment_in_pic_flag. */
static bool starts(const nal_format *format, uint8_t kind, const uint8_t *body, size_t size) {
    return kind == format->leading ||
           (BIT(kind) & format->keyframes && size > 0 && body[0] & 0x80);
}

bool nal_starts_keyframe(const nal_format *format, const uint8_t *payload, size_t size) {
    if (!is_well_formed(format, payload, size))
        return false;
    size_t header = format->header;
    if (is_fragment(format, payload))
        return payload[header] & 0x80 && starts(format, fragment_kind(format, payload),
                                                payload + header + 1, size - header - 1);
    size_t position = 0;
    nal nal;
    while (next_nal(format, payload, size, &position, &nal))
        if (starts(format, nal_kind(format, nal.data[0]), nal.data + header, nal.size - header))
            return true;
    return false;
}

bool nal_begin(depacketizer *base, const nal_format *format, const char *sprop) {
    nal_stream *it = (nal_stream *)base;
    it->sets.format = format;
    return parameter_sets_read(&it->sets, sprop);
}

void nal_end(depacketizer *base) { parameter_sets_free(&((nal_stream *)base)->sets); }

const uint8_t *nal_last(const nal_format *format, const uint8_t *payload, size_t size, uint8_t kind,
                        size_t *length) {
    const uint8_t *found = NULL;
    size_t position = 0;
    nal nal;
    if (!is_well_formed(format, payload, size))
        return NULL;
    while (next_nal(format, payload, size, &position, &nal)) {
        if (nal_kind(format, nal.data[0]) != kind)
            continue;
        found = nal.data;
        *length = nal.size;
    }
    return found;
}
