#include "sender.h"

#define HEADER 12
#define EXTENSION 8
#define VIDEO_HEADER (HEADER + EXTENSION)
#define VP8_DESCRIPTOR 4
#define TICKS_A_FRAME 3000

static bool next_is_keyframe(sender *it) {
    bool asked = it->asked;
    it->asked = false;
    return asked || it->frame % FRAMES_A_GROUP == 0;
}

uint32_t dice_roll(dice *it, uint32_t end) {
    it->state = it->state * 1664525u + 1013904223u;
    return (it->state >> 16) % end;
}

static void fill(dice *dice, uint8_t *at, size_t size) {
    uint32_t first = dice_roll(dice, 128);
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(0x80 | (first + i)); /* no start code of H.264 comes of these */
}

static void write_header(datagram *out, uint8_t payload_type, bool marker, uint16_t sequence,
                         uint32_t timestamp) {
    out->data[0] = 0x80;
    out->data[1] = (uint8_t)(payload_type | (marker ? 0x80 : 0));
    write16(out->data + 2, sequence);
    write32(out->data + 4, timestamp);
    write32(out->data + 8, SSRC);
}

/* RFC 8285 4.2: one element, two bytes long. */
static void write_extension(sender *it, datagram *out) {
    uint8_t *at = out->data + HEADER;
    out->data[0] |= 0x10;
    write16(at, 0xBEDE);
    write16(at + 2, 1);
    at[4] = TRANSPORT_CC_ID << 4 | 1;
    write16(at + 5, it->wide++);
    at[7] = 0;
}

void sender_opus(sender *it, datagram *out) {
    write_header(out, AUDIO_TYPE, false, it->sequence++, 960 * it->frame++);
    out->data[HEADER] = 0xF8; /* RFC 6716 3.1: one frame of 20 ms, CELT */
    fill(&it->dice, out->data + HEADER + 1, OPUS_SIZE - 1);
    out->size = HEADER + OPUS_SIZE;
}

/* One packet of a frame, `size` bytes of payload; gives where the payload goes. */
static uint8_t *begin_part(sender *it, datagram *out, uint8_t payload_type, int part, size_t size) {
    uint32_t timestamp = TICKS_A_FRAME * it->frame;
    write_header(out, payload_type, part == PARTS_A_FRAME - 1, it->sequence++, timestamp);
    write_extension(it, out);
    fill(&it->dice, out->data + VIDEO_HEADER, size);
    out->size = VIDEO_HEADER + size;
    return out->data + VIDEO_HEADER;
}

void sender_vp8(sender *it, datagram *out) {
    bool keyframe = next_is_keyframe(it);
    for (int part = 0; part < PARTS_A_FRAME; part++) {
        uint8_t *at = begin_part(it, &out[part], VP8_TYPE, part, VP8_DESCRIPTOR + PART_SIZE);
        at[0] = part == 0 ? 0x90 : 0x80; /* RFC 7741 4.2: X, and S in the first */
        at[1] = 0x80;                    /* I: a PictureID of 15 bits */
        write16(at + 2, 0x8000 | (it->frame & 0x7FFF));
        if (part == 0 && keyframe)
            memcpy(at + VP8_DESCRIPTOR, "\x10\x02\x00\x9d\x01\x2a\x80\x02\xe0\x01", 10);
        else if (part == 0)
            memcpy(at + VP8_DESCRIPTOR, "\x11\x02\x00", 3);
    }
    it->frame++;
}

/* RFC 6184 5.7.1: SPS and PPS in one packet. */
static size_t write_parameter_sets(uint8_t *at) {
    static const uint8_t sets[] = "\x78\x00\x05\x67\x42\xe0\x1f\xaa\x00\x04\x68\xce\x3c\x80";
    memcpy(at, sets, sizeof sets - 1);
    return sizeof sets - 1;
}

/* A keyframe is one packet of parameter sets and five parts of a slice, another frame six parts. */
void sender_h264(sender *it, datagram *out) {
    bool keyframe = next_is_keyframe(it);
    int first = keyframe ? 1 : 0;
    for (int part = 0; part < PARTS_A_FRAME; part++) {
        uint8_t *at = begin_part(it, &out[part], H264_TYPE, part, 2 + PART_SIZE);
        if (part < first) {
            out[part].size = VIDEO_HEADER + write_parameter_sets(at);
            continue;
        }
        at[0] = keyframe ? 0x7C : 0x5C; /* 5.8: FU-A of an IDR slice, or another */
        at[1] = (uint8_t)((keyframe ? 5 : 1) | (part == first ? 0x80 : 0) |
                          (part == PARTS_A_FRAME - 1 ? 0x40 : 0));
    }
    it->frame++;
}

void sender_repeat(sender *it, uint16_t repetition, const datagram *original, datagram *out) {
    *out = *original;
    out->data[1] = (uint8_t)((out->data[1] & 0x80) | RTX_TYPE);
    write16(out->data + 2, repetition);
    write32(out->data + 8, RTX_SSRC);
    write_extension(it, out);
    memmove(out->data + VIDEO_HEADER + 2, out->data + VIDEO_HEADER, out->size - VIDEO_HEADER);
    memcpy(out->data + VIDEO_HEADER, original->data + 2, 2);
    out->size += 2;
}

void sender_report(double now, uint32_t timestamp, datagram *out) {
    memset(out->data, 0, 28);
    out->data[0] = 0x80;
    out->data[1] = 200;
    write16(out->data + 2, 6);
    write32(out->data + 4, SSRC);
    write32(out->data + 8, 3900000000u + (uint32_t)now);
    write32(out->data + 12, (uint32_t)((now - floor(now)) * 4294967296.0));
    write32(out->data + 16, timestamp);
    out->size = 28;
}
