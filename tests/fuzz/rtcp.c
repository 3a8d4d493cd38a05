/* libFuzzer: any bytes as the peer's RTCP, and as a header extension, to a bundle of two sections. */
#include "bundle.h"
#include "codecs.h"
#include "rtcp.h"

static const codec OPUS = {&opus_format, 48000, 0, ""}, VP8 = {&vp8_format, 90000, 1, ""};

static void negotiate(parameters *it, bool video, unsigned feedback) {
    *it = (parameters){.video = video, .feedback = feedback, .mid = video ? "v" : "a", .mid_size = 1};
    for (int i = 0; i < 128; i++)
        it->rtx[i] = it->red[i] = -1;
    for (int i = 0; i < 14; i++)
        it->transport_cc_ids[i] = it->mid_ids[i] = -1;
    it->codecs[video ? 96 : 111] = video ? &VP8 : &OPUS;
    it->transport_cc_ids[0] = 3;
    it->transport_cc_ids[1] = 5;
    it->mid_ids[0] = 4;
}

/* A packet with this header extension, which is cut to whole words. */
static size_t write_packet(uint8_t *packet, uint8_t payload_type, unsigned sequence, uint32_t ssrc,
                           uint16_t profile, const uint8_t *extension, size_t size) {
    size_t words = (size < 1024 ? size : 1024) / 4;
    memset(packet, 0, 12);
    packet[0] = 0x90;
    packet[1] = payload_type;
    write16(packet + 2, sequence);
    write32(packet + 4, 960 * sequence);
    write32(packet + 8, ssrc);
    write16(packet + 12, profile);
    write16(packet + 14, (uint32_t)words);
    memcpy(packet + 16, extension, 4 * words);
    memset(packet + 16 + 4 * words, 0x10, 20);
    return 16 + 4 * words + 20;
}

static void check(outputs *out) {
    for (size_t i = 0; i < out->count; i++) {
        const output *one = &out->of[i];
        if (one->kind == OUTPUT_TRANSMIT
            && !rtcp_is_well_formed(one->as.transmit.data, one->as.transmit.size))
            abort();
    }
    outputs_clear(out);
}

static void send(bundle *it, uint8_t payload_type, unsigned sequence, uint16_t profile,
                 const uint8_t *extension, size_t size, double now, outputs *out) {
    uint8_t packet[1100];
    uint32_t ssrc = payload_type == 96 ? 2 : 1;
    size_t whole = write_packet(packet, payload_type, sequence, ssrc, profile, extension, size);
    if (!bundle_pass_over(it, packet, whole, now))
        bundle_take(it, packet, whole, now);
    bundle_handle_timer(it, now, out);
    check(out);
}

static void run(const uint8_t *data, size_t size, unsigned feedback) {
    parameters negotiated[2];
    const parameters *sections[2] = {&negotiated[0], &negotiated[1]};
    outputs out = {0};
    bundle *it = bundle_new(0xAAAA);
    if (it == NULL)
        abort();
    negotiate(&negotiated[0], false, feedback);
    negotiate(&negotiated[1], true, feedback | FEEDBACK_NACK);
    bundle_set_sections(it, 1, sections, 2, 1.0, &out);
    slice_spec spec = {.seconds = 1, .wait = 2.0, .asks_every = 0.3};
    bundle_attach(it, 1, 1, true, &spec, 1.0, &out);
    for (unsigned sequence = 1; sequence < 8; sequence += 3) /* the hole between makes a NACK */
        for (unsigned type = 96; type < 112; type += 15)
            send(it, (uint8_t)type, sequence, 0xBEDE, data, 0, 1.0, &out);
    for (unsigned second = 1; second < 4; second++) {
        if (size >= 2 && data[0] >> 6 == 2 && data[1] >= 192 && data[1] <= 223)
            bundle_take(it, data, size, second);
        send(it, 111, 8 + second, 0xBEDE, data, size, second, &out);
        send(it, 96, 8 + second, 0x1000, data, size, second + 0.01, &out);
        bundle_handle_timer(it, second + 0.2, &out);
        check(&out);
    }
    outputs_free(&out);
    bundle_free(it);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    run(data, size, FEEDBACK_TRANSPORT_CC | FEEDBACK_PLI);
    run(data, size, FEEDBACK_REMB | FEEDBACK_FIR);
    return 0;
}
