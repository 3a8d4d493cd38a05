/* libFuzzer: any bytes as the peer's RTCP, and as a header extension, to a reporter of two streams. */
#include "codecs.h"
#include "reporter.h"
#include "rtcp.h"

static const codec OPUS = {&opus_format, 48000, 0, ""}, VP8 = {&vp8_format, 90000, 1, ""};

static void negotiate(parameters *it, bool video, unsigned feedback) {
    *it = (parameters){.video = video, .feedback = feedback};
    for (int i = 0; i < 128; i++)
        it->rtx[i] = -1;
    for (int i = 0; i < 8; i++)
        it->transport_cc_ids[i] = -1;
    it->codecs[video ? 96 : 111] = video ? &VP8 : &OPUS;
    it->transport_cc_ids[0] = 3;
    it->transport_cc_ids[1] = 5;
}

static void arrive(reporter *it, const uint8_t *data, size_t size, uint16_t profile, double now) {
    packet packet = {
        .arrival = now,
        .extension = data,
        .extension_size = (uint16_t)(size < MAX_DATAGRAM ? size : MAX_DATAGRAM),
        .profile = profile,
    };
    reporter_arrived(it, &packet);
}

/* Two packets make a source; the hole between them makes a NACK. */
static void begin(stream *it, uint8_t payload_type, uint32_t ssrc) {
    static const uint8_t payload[4];
    ordereds out = {0};
    for (int64_t sequence = 1; sequence < 8; sequence += 3) {
        packet packet = {
            .arrival = 1.0,
            .sequence = sequence,
            .timestamp = 960 * sequence,
            .payload = payload,
            .size = sizeof payload,
            .ssrc = ssrc,
            .payload_type = payload_type,
        };
        stream_insert(it, &packet);
        stream_drain(it, 1.0, &out);
    }
    ordereds_free(&out);
}

static void converse(reporter *it, const uint8_t *data, size_t size) {
    static const bool keyframes[2] = {true, true};
    buffer out = {0};
    for (int second = 1; second < 4; second++) {
        reporter_receive(it, data, size, second);
        arrive(it, data, size, 0xBEDE, second);
        arrive(it, data, size, 0x1000, second + 0.01);
        if (reporter_handle_timer(it, keyframes, second + 0.2, &out)
            && !rtcp_is_well_formed(out.data, out.size))
            abort();
        out.size = 0;
    }
    buffer_free(&out);
}

static void run(const uint8_t *data, size_t size, unsigned feedback) {
    static parameters negotiated[2];
    static stream streams[2];
    static reporter reporter;
    counters counters = {0};
    sender_clock sender;
    if (!sender_clock_init(&sender, 2))
        abort();
    for (size_t i = 0; i < 2; i++) {
        negotiate(&negotiated[i], i == 1, i == 1 ? feedback | FEEDBACK_NACK : feedback);
        if (!stream_init(&streams[i], &negotiated[i], &counters, &sender, i))
            abort();
        begin(&streams[i], i == 1 ? 96 : 111, (uint32_t)i + 1);
    }
    reporter_init(&reporter, 0xAAAA, streams, 2, &counters);
    converse(&reporter, data, size);
    reporter_free(&reporter);
    for (size_t i = 0; i < 2; i++)
        stream_free(&streams[i]);
    sender_clock_free(&sender);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    run(data, size, FEEDBACK_TRANSPORT_CC | FEEDBACK_PLI);
    run(data, size, FEEDBACK_REMB | FEEDBACK_FIR);
    return 0;
}
