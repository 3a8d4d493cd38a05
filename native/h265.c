/* Twin of slicer/rtp/codecs/h265.py (RFC 7798). */
#include "nal.h"

enum { RASL_N = 8, RASL_R = 9, BLA_W_LP = 16, CRA = 21 };
enum { VPS = 32, SPS = 33, PPS = 34, AUD = 35, AP = 48, FU = 49 };
#define BITS(first, last) (BIT((last) + 1) - BIT(first))
/* Bytes that the id of an SPS is among, with those that prevent start codes. */
#define LONGEST_HEAD 160

/* The bytes behind the header of a NAL unit, without those that prevent start codes (ITU-T H.265
 * 7.4.2); as far as there is room. */
static size_t unescape(const uint8_t *nal, size_t size, uint8_t *out) {
    size_t end = size < LONGEST_HEAD ? size : LONGEST_HEAD, written = 0;
    for (size_t at = 2, zeros = 0; at < end; at++) {
        if (zeros >= 2 && nal[at] == 3) {
            zeros = 0;
            continue;
        }
        zeros = nal[at] == 0 ? zeros + 1 : 0;
        out[written++] = nal[at];
    }
    return written;
}

/* Where profile_tier_level ends in an SPS without its header (7.3.3): at a whole byte. */
static size_t profiles_end(const uint8_t *body, size_t size) {
    int layers = size > 0 ? body[0] >> 1 & 7 : 0;
    if (layers == 0)
        return 13;
    int flags = (size > 13 ? body[13] << 8 : 0) | (size > 14 ? body[14] : 0);
    size_t end = 15;
    for (int layer = 0; layer < layers; layer++)
        end += 11u * (flags >> (15 - 2 * layer) & 1) + (flags >> (14 - 2 * layer) & 1);
    return end;
}

/* ITU-T H.265 7.3.2.1 to 7.3.2.3. */
static bool set_number(const uint8_t *nal, size_t size, uint16_t *number) {
    int kind = nal[0] >> 1 & 0x3F;
    if (size <= 2)
        return false;
    if (kind == PPS)
        return exp_golomb(nal + 2, size - 2, number);
    *number = nal[2] >> 4;
    if (kind == VPS)
        return true;
    uint8_t body[LONGEST_HEAD];
    size_t length = unescape(nal, size, body), end = profiles_end(body, length);
    return end < length && exp_golomb(body + end, length - end, number);
}

static const nal_format nals = {
    .header = 2,
    .shift = 1,
    .mask = 0x3F,
    .most = AP - 1,
    .aggregation = AP,
    .fragmentation = FU,
    .delimiter = AUD,
    .leading = VPS,
    .sets = BIT(VPS) | BIT(SPS) | BIT(PPS),
    .slices = BITS(0, RASL_R) | BITS(BLA_W_LP, CRA),
    .keyframes = BITS(BLA_W_LP, CRA),
    .skipped = BIT(RASL_N) | BIT(RASL_R),
    .number = set_number,
};

static bool begin(depacketizer *it, const char *sprop) { return nal_begin(it, &nals, sprop); }

static bool starts_keyframe(const uint8_t *payload, size_t size) {
    return nal_starts_keyframe(&nals, payload, size);
}

const codec_format h265_format = {
    .name = "h265",
    .state = sizeof(nal_stream),
    .begin = begin,
    .end = nal_end,
    .push = nal_push,
    .starts_keyframe = starts_keyframe,
};
