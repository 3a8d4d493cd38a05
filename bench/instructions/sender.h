/* What the cases are fed: datagrams as browsers send them, the same ones at every run. */
#ifndef BENCH_SENDER_H
#define BENCH_SENDER_H

#include "srtp.h"

#define AUDIO_TYPE 111
#define VP8_TYPE 96
#define RTX_TYPE 97
#define H264_TYPE 102
#define TRANSPORT_CC_ID 3
#define SSRC 0x51ce0001u
#define RTX_SSRC 0x51ce0002u

#define OPUS_SIZE 80     /* bytes of 20 ms at 32 kbit/s */
#define PART_SIZE 1100   /* of a frame, in one packet */
#define PARTS_A_FRAME 6  /* 1.6 Mbit/s at 30 frames a second */
#define FRAMES_A_GROUP 90
#define DATAGRAM_ROOM 1280

typedef struct datagram {
    size_t size;
    uint8_t data[DATAGRAM_ROOM];
} datagram;

/* A number below `end`, in a fixed order. */
typedef struct dice {
    uint32_t state;
} dice;

uint32_t dice_roll(dice *it, uint32_t end);

/* One sender of media: its next packets. Zero-initialised is at its beginning. */
typedef struct sender {
    uint16_t sequence, wide;
    uint32_t frame;
    dice dice;
    bool asked; /* for a keyframe, which the next frame is */
} sender;

/* 20 ms of Opus. */
void sender_opus(sender *it, datagram *out);
/* The PARTS_A_FRAME packets of a frame, each with a transport-wide number; the first frame of
 * FRAMES_A_GROUP is a keyframe. */
void sender_vp8(sender *it, datagram *out);
void sender_h264(sender *it, datagram *out);
/* RFC 4588: repeat a packet, under a transport-wide number of its own. */
void sender_repeat(sender *it, uint16_t repetition, const datagram *original, datagram *out);
/* A sender report (RFC 3550 6.4.1) at `now` seconds. */
void sender_report(double now, uint32_t timestamp, datagram *out);

#endif
