/* Twin of slicer/rtp/codecs/h264.py (RFC 6184, packetization modes 0 and 1). */
#include "nal.h"
#include "sps.h"

enum { IDR = 5, SPS = 7, PPS = 8, AUD = 9, STAP_A = 24, FU_A = 28 };

/* An SPS has profile, constraints and level ahead of its id (ITU-T H.264 7.3.2.1.1). */
static bool set_number(const uint8_t *nal, size_t size, uint16_t *number) {
    size_t head = (nal[0] & 0x1F) == SPS ? 4 : 1;
    return size >= head && exp_golomb(nal + head, size - head, number);
}

static const nal_format nals = {
    .header = 1,
    .mask = 0x1F,
    .fewest = 1,
    .most = STAP_A - 1,
    .aggregation = STAP_A,
    .fragmentation = FU_A,
    .delimiter = AUD,
    .leading = SPS,
    .sets = BIT(SPS) | BIT(PPS),
    .slices = BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5),
    .keyframes = BIT(IDR),
    .number = set_number,
};

static bool begin(depacketizer *it, const char *sprop) { return nal_begin(it, &nals, sprop); }

static bool starts_keyframe(const uint8_t *payload, size_t size) {
    return nal_starts_keyframe(&nals, payload, size);
}

static int height(const uint8_t *payload, size_t size) {
    size_t length;
    const uint8_t *nal = nal_last(&nals, payload, size, SPS, &length);
    return nal != NULL ? sps_height(nal, length) : 0;
}

const codec_format h264_format = {
    .name = "h264",
    .state = sizeof(nal_stream),
    .begin = begin,
    .end = nal_end,
    .push = nal_push,
    .starts_keyframe = starts_keyframe,
    .height = height,
};
