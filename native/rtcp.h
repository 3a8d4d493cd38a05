/* RTCP compounds (RFC 3550 6.1, RFC 5506): of slicer/rtp/{rtcp,reports,feedback}.py what a reporter
 * needs, whether a compound is well-formed, and writing ours. For the reporters and bundle.c. */
#ifndef SLICER_RTCP_H
#define SLICER_RTCP_H

#include "nack.h"
#include "reception.h"

#define RTCP_MAX_COUNT 31

enum rtcp_type {
    RTCP_SENDER_REPORT = 200,
    RTCP_RECEIVER_REPORT = 201,
    RTCP_DESCRIPTION = 202,
    RTCP_BYE = 203,
    RTCP_TRANSPORT_FEEDBACK = 205,
    RTCP_PAYLOAD_FEEDBACK = 206,
};

/* Whether a datagram that is RTP or RTCP is RTCP (RFC 5761 4). */
static inline bool is_rtcp(const uint8_t *data, size_t size) {
    return size >= 4 && data[0] >> 6 == 2 && data[1] >= 192 && data[1] <= 223;
}

/* One packet of a compound, its padding taken off. `count`: the five bits beside the version. */
typedef struct rtcp_packet {
    uint8_t type, count;
    const uint8_t *body;
    size_t size;
} rtcp_packet;

/* Read the header at `*position` and go on behind its packet; false where there should be one and
 * is none. The body is not looked into. */
bool rtcp_read(const uint8_t *data, size_t size, size_t *position, rtcp_packet *packet);
/* Whether the reference would read all of the compound. */
bool rtcp_is_well_formed(const uint8_t *data, size_t size);

/* A compound in the making. Once there was no memory nothing more is written. */
typedef struct rtcp_writer {
    buffer *out;
    bool failed;
} rtcp_writer;

/* `size` is whole words. */
void rtcp_write(rtcp_writer *to, enum rtcp_type type, size_t count, const uint8_t *body,
                size_t size);
/* At most RTCP_MAX_COUNT blocks. */
void rtcp_write_receiver_report(rtcp_writer *to, uint32_t ssrc, const report_block *blocks,
                                size_t count);
void rtcp_write_description(rtcp_writer *to, uint32_t ssrc, const char *cname);
/* At most 100 Mbit/s for these sources together, of which there are at most 255. */
void rtcp_write_remb(rtcp_writer *to, uint32_t sender, uint32_t bitrate, const uint32_t *ssrcs,
                     size_t count);
/* At most NACK_MAX_MISSING sequence numbers. */
void rtcp_write_nack(rtcp_writer *to, uint32_t sender, uint32_t media, const uint16_t *sequences,
                     size_t count);
void rtcp_write_picture_loss(rtcp_writer *to, uint32_t sender, uint32_t media);
void rtcp_write_full_intra(rtcp_writer *to, uint32_t sender, uint32_t media, uint32_t number);

#endif
