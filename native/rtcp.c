#include "rtcp.h"

#include "transport_feedback.h"

enum { HEADER = 4, SENDER_INFO = 24, BLOCK = 24 };
enum { FORMAT_NACK = 1, FORMAT_TRANSPORT = 15, FORMAT_PLI = 1, FORMAT_FIR = 4, FORMAT_REMB = 15 };

/* RFC 3550 6.4.1: the last byte says how many to ignore, itself included. */
static bool take_padding_off(rtcp_packet *it) {
    if (it->size == 0)
        return false;
    uint8_t padding = it->body[it->size - 1];
    if (padding == 0 || padding > it->size)
        return false;
    it->size -= padding;
    return true;
}

bool rtcp_read(const uint8_t *data, size_t size, size_t *position, rtcp_packet *packet) {
    size_t left = size - *position;
    if (left < HEADER)
        return false;
    const uint8_t *at = data + *position;
    size_t body = 4 * (size_t)read16(at + 2);
    if (at[0] >> 6 != 2 || body > left - HEADER)
        return false;
    *packet = (rtcp_packet){at[1], at[0] & 0x1F, at + HEADER, body};
    *position += HEADER + body;
    return !(at[0] & 0x20) || take_padding_off(packet);
}

static bool description_is_whole(const rtcp_packet *it) {
    size_t at = 0;
    for (unsigned chunk = 0; chunk < it->count; chunk++) {
        if (at + 4 > it->size)
            return false;
        at += 4;
        while (at < it->size && it->body[at] != 0) {
            if (at + 2 > it->size)
                return false;
            at += 2 + (size_t)it->body[at + 1];
        }
        if (at >= it->size) /* items without their end */
            return false;
        at = (at & ~(size_t)3) + 4;
    }
    return true;
}

static bool bye_is_whole(const rtcp_packet *it) {
    size_t sources = 4 * (size_t)it->count;
    if (it->size < sources)
        return false;
    size_t rest = it->size - sources;
    return rest == 0 || rest > it->body[sources];
}

/* Application layer feedback that is not REMB is let pass as it is. */
static bool remb_is_whole(const rtcp_packet *it) {
    if (it->size < 12 || memcmp(it->body + 8, "REMB", 4) != 0)
        return it->size >= 8;
    return it->size >= 16 && it->size - 16 >= 4 * (size_t)it->body[12];
}

static bool feedback_is_whole(const rtcp_packet *it) {
    if (it->size < 8)
        return false;
    if (it->type == RTCP_TRANSPORT_FEEDBACK && it->count == FORMAT_NACK)
        return it->size % 4 == 0;
    if (it->type == RTCP_TRANSPORT_FEEDBACK && it->count == FORMAT_TRANSPORT)
        return transport_feedback_is_whole(it->body, it->size);
    if (it->type == RTCP_PAYLOAD_FEEDBACK && it->count == FORMAT_FIR)
        return it->size % 8 == 0;
    if (it->type == RTCP_PAYLOAD_FEEDBACK && it->count == FORMAT_REMB)
        return remb_is_whole(it);
    return true;
}

static bool is_whole(const rtcp_packet *it) {
    switch (it->type) {
    case RTCP_SENDER_REPORT:
        return it->size >= SENDER_INFO + BLOCK * (size_t)it->count;
    case RTCP_RECEIVER_REPORT:
        return it->size >= 4 + BLOCK * (size_t)it->count;
    case RTCP_DESCRIPTION:
        return description_is_whole(it);
    case RTCP_BYE:
        return bye_is_whole(it);
    case RTCP_TRANSPORT_FEEDBACK:
    case RTCP_PAYLOAD_FEEDBACK:
        return feedback_is_whole(it);
    default:
        return true;
    }
}

bool rtcp_is_well_formed(const uint8_t *data, size_t size) {
    size_t position = 0;
    do {
        rtcp_packet packet;
        if (!rtcp_read(data, size, &position, &packet) || !is_whole(&packet))
            return false;
    } while (position < size);
    return true;
}

void rtcp_write(rtcp_writer *to, enum rtcp_type type, size_t count, const uint8_t *body,
                size_t size) {
    if (to->failed || !buffer_reserve(to->out, HEADER + size)) {
        to->failed = true;
        return;
    }
    uint8_t *at = to->out->data + to->out->size;
    at[0] = (uint8_t)(0x80 | count);
    at[1] = (uint8_t)type;
    write16(at + 2, (uint32_t)(size / 4));
    memcpy(at + HEADER, body, size);
    to->out->size += HEADER + size;
}

static void pack_block(uint8_t *at, const report_block *block) {
    int64_t lost = block->packets_lost;
    lost = lost < -0x800000 ? -0x800000 : lost > 0x7FFFFF ? 0x7FFFFF : lost;
    write32(at, block->ssrc);
    write32(at + 4, (uint32_t)block->fraction_lost << 24 | ((uint32_t)lost & 0xFFFFFF));
    write32(at + 8, block->highest_sequence);
    write32(at + 12, block->jitter);
    write32(at + 16, block->lsr);
    write32(at + 20, block->dlsr);
}

void rtcp_write_receiver_report(rtcp_writer *to, uint32_t ssrc, const report_block *blocks,
                                size_t count) {
    uint8_t body[4 + BLOCK * RTCP_MAX_COUNT];
    write32(body, ssrc);
    for (size_t i = 0; i < count; i++)
        pack_block(body + 4 + BLOCK * i, &blocks[i]);
    rtcp_write(to, RTCP_RECEIVER_REPORT, count, body, 4 + BLOCK * count);
}

void rtcp_write_description(rtcp_writer *to, uint32_t ssrc, const char *cname) {
    uint8_t body[4 + 2 + 255 + 4] = {0};
    size_t length = strlen(cname), chunk = 6 + length;
    write32(body, ssrc);
    body[4] = 1; /* CNAME */
    body[5] = (uint8_t)length;
    memcpy(body + 6, cname, length);
    /* At least one null ends the items, and the chunk is whole words. */
    rtcp_write(to, RTCP_DESCRIPTION, 1, body, chunk + 4 - chunk % 4);
}

/* Six bits of exponent, 18 of mantissa. */
#define MANTISSA 0x3FFFF

void rtcp_write_remb(rtcp_writer *to, uint32_t sender, uint32_t bitrate, const uint32_t *ssrcs,
                     size_t count) {
    uint8_t body[16 + 4 * 255];
    uint32_t exponent = 0;
    while (bitrate >> exponent > MANTISSA)
        exponent++;
    write32(body, sender);
    write32(body + 4, 0);
    memcpy(body + 8, "REMB", 4);
    write32(body + 12, (uint32_t)count << 24 | exponent << 18 | bitrate >> exponent);
    for (size_t i = 0; i < count; i++)
        write32(body + 16 + 4 * i, ssrcs[i]);
    rtcp_write(to, RTCP_PAYLOAD_FEEDBACK, FORMAT_REMB, body, 16 + 4 * count);
}

void rtcp_write_nack(rtcp_writer *to, uint32_t sender, uint32_t media, const uint16_t *sequences,
                     size_t count) {
    uint8_t body[8 + 4 * NACK_MAX_MISSING];
    size_t size = 8;
    uint32_t first = 0, mask = 0;
    write32(body, sender);
    write32(body + 4, media);
    for (size_t i = 0; i < count; i++) {
        uint32_t after = i == 0 ? 0 : (sequences[i] - first) & 0xFFFF;
        if (0 < after && after <= 16) {
            mask |= 1u << (after - 1);
        } else {
            first = sequences[i];
            mask = 0;
            size += 4;
        }
        write16(body + size - 4, first);
        write16(body + size - 2, mask);
    }
    rtcp_write(to, RTCP_TRANSPORT_FEEDBACK, FORMAT_NACK, body, size);
}

void rtcp_write_picture_loss(rtcp_writer *to, uint32_t sender, uint32_t media) {
    uint8_t body[8];
    write32(body, sender);
    write32(body + 4, media);
    rtcp_write(to, RTCP_PAYLOAD_FEEDBACK, FORMAT_PLI, body, sizeof body);
}

void rtcp_write_full_intra(rtcp_writer *to, uint32_t sender, uint32_t media, uint32_t number) {
    uint8_t body[16] = {0}; /* the media SSRC of the header is 0 (RFC 5104 4.3.1.2) */
    write32(body, sender);
    write32(body + 8, media);
    body[12] = (uint8_t)number;
    rtcp_write(to, RTCP_PAYLOAD_FEEDBACK, FORMAT_FIR, body, sizeof body);
}
