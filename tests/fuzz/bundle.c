/* libFuzzer: sections that change, and packets of any SSRC, MID and payload type between. Each step is
 * three bytes: what happens, and two that say how. */
#include "bundle.h"
#include "codecs.h"

#define CHECK(what) ((what) ? (void)0 : abort())

enum { LINES = 12, ANCHORS = 3 };

static const codec OPUS = {&opus_format, 48000, 0, ""}, VP8 = {&vp8_format, 90000, 1, ""};
static const char MIDS[] = "abcdef";

/* Of each MID, one section of audio and one of video, so that no change can have both. */
static void negotiate(parameters *it, int number) {
    bool video = number & 1;
    *it = (parameters){.video = video, .mid = &MIDS[number / 2], .mid_size = number < 10};
    for (int i = 0; i < 128; i++)
        it->rtx[i] = it->red[i] = -1;
    for (int i = 0; i < 14; i++)
        it->transport_cc_ids[i] = it->mid_ids[i] = -1;
    it->codecs[video ? 96 : 111] = video ? &VP8 : &OPUS;
    if (video)
        it->rtx[97] = 96;
    else
        it->red[63] = 111;
    it->feedback = FEEDBACK_NACK | (video ? FEEDBACK_PLI | FEEDBACK_TRANSPORT_CC : 0);
    it->transport_cc_ids[0] = 3;
    it->mid_ids[0] = 4;
}

static void change(bundle *it, parameters *lines, uint8_t how, uint8_t more, double now,
                   outputs *out) {
    const parameters *sections[6];
    size_t count = 0;
    for (int mid = 0; mid < 6; mid++)
        if (how >> mid & 1)
            sections[count++] = &lines[2 * mid + (more >> mid & 1)];
    bundle_set_sections(it, 1 + how % ANCHORS, sections, count, now, out);
}

static void send(bundle *it, uint8_t how, uint8_t more, unsigned sequence, double now) {
    static const uint8_t types[] = {111, 96, 97, 50};
    static uint8_t packets[8][40]; /* what was taken must live until the timer was handled */
    uint8_t *packet = packets[sequence % 8];
    memset(packet, 0, sizeof *packets);
    packet[0] = how & 0x80 ? 0x90 : 0x80;
    packet[1] = types[how & 3];
    write16(packet + 2, sequence);
    write32(packet + 4, sequence * 960);
    write32(packet + 8, more & 0x1F);
    size_t size = 12;
    if (how & 0x80) {
        write32(packet + 12, 0xBEDE0001);
        packet[16] = 0x40;
        packet[17] = (uint8_t)('a' + (more >> 5));
        size = 20;
    }
    packet[size] = 0x10; /* the beginning of a VP8 keyframe, or 20 ms of SILK */
    packet[0] |= how & 0x40 ? 0x20 : 0;
    if (!(how & 0x20) || !bundle_pass_over(it, packet, sizeof *packets, now))
        bundle_take(it, packet, sizeof *packets, now);
}

static const slice_spec specs[4] = {
    {.seconds = 1, .wait = 0, .asks_every = 0.3},
    {.seconds = 1, .wait = 1, .asks_every = 2, .max_height = 180},
    {.seconds = 1, .wait = 2, .asks_every = INFINITY, .max_height = 360},
    {.seconds = 1, .wait = 3, .asks_every = 0.3},
};

static void step(bundle *it, parameters *lines, const uint8_t *at, unsigned number, double now,
                 outputs *out) {
    switch (at[0] % 8) {
    case 0:
        change(it, lines, at[1], at[2], now, out);
        break;
    case 1:
        bundle_attach(it, 1 + at[1] % ANCHORS, 1 + at[2] % 4, at[2] & 1, &specs[at[2] >> 6], now,
                      out);
        break;
    case 2:
        bundle_detach(it, 1 + at[1] % ANCHORS, 1 + at[2] % 4, at[2] & 1, now, out);
        break;
    case 3:
        bundle_handle_timer(it, now + at[1], out);
        break;
    default:
        send(it, at[1], at[2], number, now);
    }
    if (number % 4 == 0)
        bundle_handle_timer(it, now, out);
    CHECK(bundle_expects(it, now) == bundle_expects(it, now));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    parameters lines[LINES];
    outputs out = {0};
    bundle *it = bundle_new(9);
    CHECK(it != NULL);
    for (int i = 0; i < LINES; i++)
        negotiate(&lines[i], i);
    double now = 1.0;
    for (size_t at = 0; at + 3 <= size && at < 3000; at += 3, now += 0.02) {
        step(it, lines, data + at, (unsigned)(at / 3), now, &out);
        outputs_clear(&out);
    }
    bundle_flush(it, &out);
    outputs_free(&out);
    bundle_free(it);
    return 0;
}
