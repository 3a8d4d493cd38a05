/* Twin of slicer/rtp/codecs/sps.py (ITU-T H.264 7.3.2.1.1). */
#include "sps.h"
#include "bits.h"

#define MAX_BYTES 128
#define MAX_ZEROS 24
#define MAX_HEIGHT 0xFFFF

/* ue(v), of 9.1; an se(v) is as long. */
static int64_t number(bits *it) {
    size_t zeros = 0;
    while (take(it, 1) == 0) {
        if (it->bad || ++zeros > MAX_ZEROS) {
            it->bad = true;
            return 0;
        }
    }
    return ((int64_t)1 << zeros) - 1 + take(it, zeros);
}

static bool is_high(uint8_t profile) {
    static const uint8_t high[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};
    return memchr(high, profile, sizeof high) != NULL;
}

static int64_t chroma_format(bits *it) {
    int64_t chroma = number(it);
    if (chroma == 3)
        take(it, 1);
    number(it); /* bit depths */
    number(it);
    take(it, 1);
    if (take(it, 1)) /* scaling lists */
        it->bad = true;
    return chroma;
}

static void skip_order(bits *it) {
    int64_t order = number(it);
    if (order == 0) {
        number(it);
    } else if (order == 1) {
        take(it, 1);
        number(it);
        number(it);
        for (int64_t left = number(it), i = 0; i < left && i < 255; i++)
            number(it);
    }
}

static int64_t read(bits *it, uint8_t profile) {
    take(it, 24); /* profile, constraints, level */
    number(it);   /* the set's id */
    int64_t chroma = is_high(profile) ? chroma_format(it) : 1;
    number(it);
    skip_order(it);
    number(it);
    take(it, 1);
    number(it); /* width, in macroblocks */
    int64_t rows = number(it) + 1, fields = 2 - (int64_t)take(it, 1), crop = 0;
    if (fields == 2)
        take(it, 1);
    take(it, 1);
    if (take(it, 1)) {
        number(it);
        number(it);
        crop = number(it);
        crop += number(it);
    }
    return 16 * rows * fields - crop * fields * (chroma == 1 ? 2 : 1);
}

int sps_height(const uint8_t *nal, size_t size) {
    uint8_t content[MAX_BYTES];
    size_t count = 0, zeros = 0, end = size < MAX_BYTES ? size : MAX_BYTES;
    for (size_t i = 1; i < end; i++) {
        if (zeros >= 2 && nal[i] == 3) { /* 7.4.1: an emulation prevention byte */
            zeros = 0;
            continue;
        }
        zeros = nal[i] == 0 ? zeros + 1 : 0;
        content[count++] = nal[i];
    }
    bits it = {content, 8 * count, 0, false};
    int64_t height = read(&it, count > 0 ? content[0] : 0);
    return !it.bad && height > 0 && height <= MAX_HEIGHT ? (int)height : 0;
}
