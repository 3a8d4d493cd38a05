#include "nal.h"

bool exp_golomb(const uint8_t *data, size_t size, uint16_t *number) {
    uint32_t bits = 0;
    size_t known = size < 4 ? size : 4;
    for (size_t at = 0; at < known; at++)
        bits |= (uint32_t)data[at] << (24 - 8 * at);
    int zeros = 0;
    while (zeros < 16 && !(bits >> (31 - zeros)))
        zeros++;
    size_t end = 2 * (size_t)zeros + 1;
    if (end > 8 * known)
        return false;
    *number = (uint16_t)((bits >> (32 - end)) - 1);
    return true;
}

/* Take the set at `at` out of its place, with its memory. */
static parameter_set take_out(parameter_sets *it, size_t at) {
    parameter_set taken = it->of[at];
    it->count--;
    memmove(it->of + at, it->of + at + 1, (it->count - at) * sizeof *it->of);
    return taken;
}

/* What the new set replaces: the one of its id, else the oldest of too many, else nothing. */
static parameter_set replaced(parameter_sets *it, uint8_t kind, uint16_t number) {
    for (size_t at = 0; at < it->count; at++)
        if (it->of[at].kind == kind && it->of[at].number == number)
            return take_out(it, at);
    return it->count == MAX_SETS ? take_out(it, 0) : (parameter_set){0};
}

bool parameter_sets_note(parameter_sets *it, const uint8_t *nal, size_t size) {
    uint8_t kind = size > 0 ? nal_kind(it->format, nal[0]) : 0;
    uint16_t number;
    if (size > MAX_SET_BYTES || !(BIT(kind) & it->format->sets) ||
        !it->format->number(nal, size, &number))
        return true;
    it->described = false;
    parameter_set set = replaced(it, kind, number);
    uint8_t *data = set.size == size ? set.data : realloc(set.data, size);
    parameter_set *of = grown(it->of, it->count + 1, &it->capacity, sizeof *of, 2);
    it->of = of != NULL ? of : it->of;
    if (data == NULL || of == NULL) {
        free(data != NULL ? data : set.data);
        return false;
    }
    memcpy(data, nal, size);
    it->of[it->count++] = (parameter_set){data, (uint16_t)size, number, kind};
    return true;
}

static int base64_value(char letter) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = letter ? strchr(letters, letter) : NULL;
    return found ? (int)(found - letters) : -1;
}

/* What `text` says in base64 (RFC 4648 section 4), written to `out` as far as there is room; 0
 * where it is none. */
static size_t base64_decode(const char *text, size_t size, uint8_t *out, size_t room) {
    size_t letters = size;
    while (letters > 0 && size - letters < 2 && text[letters - 1] == '=')
        letters--;
    if (size == 0 || size % 4)
        return 0;
    uint32_t bits = 0;
    size_t written = 0;
    for (size_t at = 0; at < letters; at++) {
        int value = base64_value(text[at]);
        if (value < 0)
            return 0;
        bits = bits << 6 | (uint32_t)value;
        if (at % 4 == 0)
            continue;
        if (written < room)
            out[written] = (uint8_t)(bits >> (6 - 2 * (at % 4)));
        written++;
    }
    return written;
}

bool parameter_sets_read(parameter_sets *it, const char *sprop) {
    uint8_t nal[MAX_SET_BYTES];
    while (true) {
        size_t length = strcspn(sprop, ",");
        size_t size = base64_decode(sprop, length, nal, sizeof nal);
        if (size <= sizeof nal && !parameter_sets_note(it, nal, size))
            return false;
        if (!sprop[length])
            break;
        sprop += length + 1;
    }
    it->described = parameter_sets_size(it) > 0;
    return true;
}

size_t parameter_sets_size(const parameter_sets *it) {
    size_t size = 0;
    uint64_t kinds = 0;
    for (size_t at = 0; at < it->count; at++) {
        size += 4 + (size_t)it->of[at].size;
        kinds |= BIT(it->of[at].kind);
    }
    return kinds == it->format->sets ? size : 0;
}

/* The order that they are written in: by kind, as they refer to each other, each kind by id. */
static uint32_t rank(const parameter_set *it) { return (uint32_t)it->kind << 16 | it->number; }

void parameter_sets_write(const parameter_sets *it, uint8_t *out) {
    uint32_t done = 0;
    for (size_t written = 0; written < it->count; written++) {
        const parameter_set *lowest = NULL;
        for (size_t at = 0; at < it->count; at++)
            if (rank(&it->of[at]) > done && (!lowest || rank(&it->of[at]) < rank(lowest)))
                lowest = &it->of[at];
        write32(out, 1);
        memcpy(out + 4, lowest->data, lowest->size);
        out += 4 + (size_t)lowest->size;
        done = rank(lowest);
    }
}

void parameter_sets_free(parameter_sets *it) {
    for (size_t at = 0; at < it->count; at++)
        free(it->of[at].data);
    free(it->of);
    *it = (parameter_sets){0};
}
