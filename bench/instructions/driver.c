/* Runs one case of the packet path: driver CASE. Prints "packets N", the packets of the region that
 * is measured: what `measured` calls. A case that did not do what its name says is an error. */
#include <stdio.h>

#include "bundle.h"
#include "codecs.h"
#include "elements.h"
#include "reporter.h"
#include "sender.h"

#define JITTER_MS 5
#define AUDIO_PACKETS 3000 /* a minute */
#define SLICE_SECONDS 15
#define WAIT 3.0       /* seconds for a report */
#define ASKS_EVERY 1.0 /* seconds between two requests for keyframes */
#define FRAMES 600 /* 20 s at 30 frames a second */
#define FRAME_SECONDS (1.0 / 30)
#define PICTURE_SECONDS 5
#define DAY 86400
#define LOSS_PERCENT 2
#define LONGEST_WARM_UP 60 /* frames: a keyframe is asked for half a second after the first */
#define ANCHOR 1
#define TRACK 1
#define OUR_SSRC 9
#define HISTORY 1024 /* sent packets that can be repeated */
#define MOST_REPEATED 64

static void demand(bool truth, const char *what) {
    if (truth)
        return;
    fprintf(stderr, "the case did not do what it is for: %s\n", what);
    exit(1);
}

/* Instructions are counted while this runs; by its name, so it must stay a function. */
__attribute__((noinline)) void measured(void (*work)(void *), void *context);
__attribute__((noinline)) void measured(void (*work)(void *), void *context) { work(context); }

/* ---- the streams ---- */

static const codec opus = {.format = &opus_format, .clock_rate = 48000, .sprop = ""};
static const codec vp8 = {.format = &vp8_format, .clock_rate = 90000, .index = 1, .sprop = ""};
static const codec h264 = {.format = &h264_format, .clock_rate = 90000, .index = 2, .sprop = ""};

static parameters stream_of(const codec *codec, int payload_type, unsigned feedback) {
    parameters it = {.video = codec != &opus, .feedback = feedback};
    for (int i = 0; i < 128; i++)
        it.rtx[i] = it.red[i] = -1;
    for (int i = 0; i < 14; i++)
        it.transport_cc_ids[i] = it.mid_ids[i] = it.rid_ids[i] = it.orientation_ids[i] =
            it.level_ids[i] = -1;
    it.codecs[payload_type] = codec;
    if (feedback & FEEDBACK_NACK)
        it.rtx[RTX_TYPE] = (int16_t)payload_type;
    if (feedback & FEEDBACK_TRANSPORT_CC)
        it.transport_cc_ids[0] = TRANSPORT_CC_ID;
    return it;
}

/* ---- one connection, fed in batches as a tick finds them in a socket ---- */

typedef struct call {
    parameters section;
    bundle *bundle;
    srtp *inbound; /* NULL: plain */
    sender sender;
    dice network;
    datagram batch[PARTS_A_FRAME + MOST_REPEATED];
    size_t count;
    double now;
    outputs out;
    size_t packets, passed, slices, pictures, transmits;
    datagram history[HISTORY]; /* by sequence number */
    uint16_t asked[MOST_REPEATED], repetition;
    size_t asked_count;
    bool warms_up; /* and is not measured */
} call;

static call *call_new(parameters stream, int64_t seconds) {
    call *it = calloc(1, sizeof *it);
    demand(it != NULL, "no memory");
    const parameters *sections[] = {&it->section};
    it->section = stream;
    it->bundle = bundle_new(OUR_SSRC);
    demand(it->bundle != NULL, "no bundle");
    bundle_set_sections(it->bundle, ANCHOR, sections, 1, 0.0, &it->out);
    const slice_spec spec = {.seconds = seconds, .wait = WAIT, .asks_every = ASKS_EVERY};
    bundle_attach(it->bundle, ANCHOR, TRACK, stream.video ? SLOT_VIDEO : 0, &spec, 0.0, &it->out);
    return it;
}

static size_t call_end(call *it, size_t packets) {
    outputs_free(&it->out);
    bundle_free(it->bundle);
    srtp_free(it->inbound);
    free(it);
    return packets;
}

static uint64_t counted(const call *it, int reason) {
    counters sum = {0};
    bundle_counters(it->bundle, ANCHOR, &sum);
    return sum.of[reason];
}

static void take_one(call *it, datagram *one) {
    size_t size = one->size;
    if (it->inbound != NULL) {
        if (srtp_may_skip(it->inbound, one->data, size) &&
            bundle_pass_over(it->bundle, one->data, size, it->now)) {
            it->passed++;
            return;
        }
        if (srtp_unprotect(it->inbound, one->data, one->size, &size) != NOT_REFUSED)
            return;
    }
    bundle_take(it->bundle, one->data, size, it->now);
}

static void take_batch(void *context) {
    call *it = context;
    for (size_t i = 0; i < it->count; i++)
        take_one(it, &it->batch[i]);
    bundle_handle_timer(it->bundle, it->now, &it->out);
    bundle_deadline(it->bundle);
}

static void clear_outputs(void *context) {
    call *it = context;
    outputs_clear(&it->out);
}

/* RFC 4585 6.2.1, 6.3.1: note what the bundle asks for again, and whether it asks for a keyframe. */
static void read_requests(call *it, const uint8_t *data, size_t size) {
    for (size_t at = 0; at + 4 <= size; at += 4 * ((size_t)read16(data + at + 2) + 1)) {
        it->sender.asked |= data[at + 1] == 206 && (data[at] & 0x1F) == 1;
        if (data[at + 1] != 205 || (data[at] & 0x1F) != 1)
            continue;
        size_t end = at + 4 * ((size_t)read16(data + at + 2) + 1);
        for (size_t pair = at + 12; pair < end; pair += 4)
            for (int bit = 0; bit <= 16; bit++)
                if (bit == 0 || read16(data + pair + 2) >> (bit - 1) & 1) {
                    demand(it->asked_count < MOST_REPEATED, "too many asked for");
                    it->asked[it->asked_count++] = (uint16_t)(read16(data + pair) + bit);
                }
    }
}

static void look_at_outputs(call *it) {
    for (size_t i = 0; i < it->out.count; i++) {
        const output *one = &it->out.of[i];
        it->slices += one->kind == OUTPUT_AUDIO;
        it->pictures += one->kind == OUTPUT_PICTURE;
        it->transmits += one->kind == OUTPUT_TRANSMIT;
        if (one->kind == OUTPUT_TRANSMIT)
            read_requests(it, one->as.transmit.data, one->as.transmit.size);
    }
}

/* What was asked for comes again with this batch. */
static void add_repetitions(call *it) {
    for (size_t i = 0; i < it->asked_count; i++)
        sender_repeat(&it->sender, it->repetition++, &it->history[it->asked[i] % HISTORY],
                      &it->batch[it->count++]);
    it->asked_count = 0;
}

/* The batch of `it` at this time and a little later, as networks are. */
static void run_batch(call *it, double now) {
    it->now = now + dice_roll(&it->network, JITTER_MS) * 1e-3;
    add_repetitions(it);
    if (it->warms_up)
        take_batch(it);
    else
        measured(take_batch, it);
    look_at_outputs(it);
    if (it->warms_up)
        clear_outputs(it);
    else
        measured(clear_outputs, it);
    it->packets += it->count;
}

typedef void send_frame(sender *it, datagram *out);

static void run_frame(call *it, send_frame *send, srtp *outbound) {
    double now = it->sender.frame * FRAME_SECONDS;
    send(&it->sender, it->batch);
    it->count = PARTS_A_FRAME;
    for (int i = 0; outbound && i < PARTS_A_FRAME; i++) {
        datagram *one = &it->batch[i];
        demand(srtp_protect(outbound, one->data, one->size, &one->size), "not protected");
    }
    run_batch(it, now);
}

static void run_frames(call *it, send_frame *send, srtp *outbound) {
    for (int frame = 0; frame < FRAMES; frame++)
        run_frame(it, send, outbound);
}

/* ---- the cases ---- */

typedef struct parsing {
    datagram datagrams[PARTS_A_FRAME];
    size_t refused;
} parsing;

static void parse_all(void *context) {
    parsing *it = context;
    for (int i = 0; i < PARTS_A_FRAME; i++) {
        packet packet;
        it->refused += packet_parse(&packet, it->datagrams[i].data, it->datagrams[i].size) >= 0;
    }
}

static size_t parse(void) {
    static parsing it;
    sender sender = {0};
    for (int frame = 0; frame < FRAMES; frame++) {
        sender_vp8(&sender, it.datagrams);
        measured(parse_all, &it);
    }
    demand(it.refused == 0, "all are parsed");
    return FRAMES * PARTS_A_FRAME;
}

static size_t audio(void) {
    call *it = call_new(stream_of(&opus, AUDIO_TYPE, 0), SLICE_SECONDS);
    it->count = 1;
    for (int i = 0; i < AUDIO_PACKETS; i++) {
        sender_opus(&it->sender, it->batch);
        run_batch(it, i * 0.02);
    }
    demand(it->slices == AUDIO_PACKETS / 50 / SLICE_SECONDS, "a slice every 15 s");
    return call_end(it, it->packets);
}
/* ---- a connection of many anchors, whose payload types are all alike ---- */

#define CROWD 25
#define MID_ID 4

typedef struct crowd {
    bundle *bundle;
    parameters sections[CROWD];
    char mids[CROWD][3];
    sender senders[CROWD];
    datagram batch[CROWD];
    double now;
    outputs out;
} crowd;

static void join(crowd *it, size_t place) {
    parameters *section = &it->sections[place];
    *section = stream_of(&opus, AUDIO_TYPE, 0);
    section->mid_ids[0] = MID_ID;
    section->mid = it->mids[place];
    section->mid_size = (size_t)snprintf(it->mids[place], sizeof *it->mids, "%02zu", place);
    bundle_set_sections(it->bundle, place + 1, (const parameters *[]){section}, 1, 0.0, &it->out);
    const slice_spec spec = {.seconds = SLICE_SECONDS, .wait = WAIT};
    bundle_attach(it->bundle, place + 1, place + 1, 0, &spec, 0.0, &it->out);
}

/* The next packet of an anchor, with its MID (RFC 8285 4.2). */
static void send_named(crowd *it, size_t place) {
    datagram *one = &it->batch[place];
    sender_opus(&it->senders[place], one);
    memmove(one->data + 20, one->data + 12, one->size - 12);
    one->size += 8;
    one->data[0] |= 0x10;
    write32(one->data + 8, SSRC + (uint32_t)place);
    write32(one->data + 12, 0xBEDE0001);
    one->data[16] = MID_ID << 4 | 1;
    memcpy(one->data + 17, it->mids[place], 2);
    one->data[19] = 0;
}

static void take_crowd(void *context) {
    crowd *it = context;
    for (size_t i = 0; i < CROWD; i++)
        bundle_take(it->bundle, it->batch[i].data, it->batch[i].size, it->now);
    bundle_handle_timer(it->bundle, it->now, &it->out);
    bundle_deadline(it->bundle);
}

static size_t audio_crowd(void) {
    static crowd it;
    size_t slices = 0, frames = AUDIO_PACKETS / 2;
    demand((it.bundle = bundle_new(OUR_SSRC)) != NULL, "no bundle");
    for (size_t place = 0; place < CROWD; place++)
        join(&it, place);
    for (size_t frame = 0; frame < frames; frame++) {
        it.now = (double)frame * 0.02;
        for (size_t place = 0; place < CROWD; place++)
            send_named(&it, place);
        measured(take_crowd, &it);
        for (size_t i = 0; i < it.out.count; i++)
            slices += it.out.of[i].kind == OUTPUT_AUDIO;
        outputs_clear(&it.out);
    }
    demand(slices == CROWD * (frames / 50 / SLICE_SECONDS), "a slice every 15 s of each");
    outputs_free(&it.out);
    bundle_free(it.bundle);
    return frames * CROWD;
}

#define CAMERA (FEEDBACK_NACK | FEEDBACK_PLI | FEEDBACK_TRANSPORT_CC)

static call *asleep(srtp *outbound, srtp *inbound) {
    call *it = call_new(stream_of(&vp8, VP8_TYPE, CAMERA), DAY);
    it->inbound = inbound;
    it->warms_up = true; /* until a request for a keyframe has been answered */
    for (int frame = 0; frame < LONGEST_WARM_UP && counted(it, COUNT_asleep) == 0; frame++)
        run_frame(it, sender_vp8, outbound);
    it->warms_up = false;
    it->packets = it->passed = 0;
    uint64_t before = counted(it, COUNT_asleep);
    demand(before > 0, "asleep");
    run_frames(it, sender_vp8, outbound);
    demand(it->pictures == 1, "one picture");
    demand(counted(it, COUNT_asleep) - before == it->packets, "asleep all the time");
    return it;
}

static size_t video_asleep(void) {
    call *it = asleep(NULL, NULL);
    return call_end(it, it->packets);
}

static const uint8_t key[] = "a master key, then its master salt; as long as any profile's";

static size_t video_passed_over(void) {
    srtp *outbound = srtp_new(SRTP_AES128_CM_SHA1_80, key);
    call *it = asleep(outbound, srtp_new(SRTP_AES128_CM_SHA1_80, key));
    srtp_free(outbound);
    size_t looked_into = it->packets - it->passed;
    demand(looked_into <= 1 + it->packets / SRTP_UNSEEN, "the others passed over");
    return call_end(it, it->packets);
}

/* A camera that cannot be asked for keyframes: all frames are assembled and kept. */
static size_t video_awake(const codec *codec, int payload_type, send_frame *send) {
    call *it = call_new(stream_of(codec, payload_type, FEEDBACK_TRANSPORT_CC), PICTURE_SECONDS);
    run_frames(it, send, NULL);
    demand(it->pictures == FRAMES / 30 / PICTURE_SECONDS, "a picture every 5 s");
    demand(counted(it, COUNT_asleep) == 0, "awake");
    return call_end(it, it->packets);
}

static size_t video_vp8(void) { return video_awake(&vp8, VP8_TYPE, sender_vp8); }
static size_t video_h264(void) { return video_awake(&h264, H264_TYPE, sender_h264); }

/* Drop some of the batch, and keep all of it for repetitions. */
static size_t lose(call *it) {
    size_t kept = 0;
    for (size_t i = 0; i < it->count; i++) {
        it->history[read16(it->batch[i].data + 2) % HISTORY] = it->batch[i];
        if (dice_roll(&it->network, 100) >= LOSS_PERCENT)
            it->batch[kept++] = it->batch[i];
    }
    size_t lost = it->count - kept;
    it->count = kept;
    return lost;
}

static size_t video_loss(void) {
    unsigned feedback = FEEDBACK_NACK | FEEDBACK_TRANSPORT_CC;
    call *it = call_new(stream_of(&vp8, VP8_TYPE, feedback), PICTURE_SECONDS);
    size_t lost = 0;
    for (int frame = 0; frame < FRAMES; frame++) {
        sender_vp8(&it->sender, it->batch);
        it->count = PARTS_A_FRAME;
        lost += frame < FRAMES - 30 ? lose(it) : 0; /* the last second repeats what is missing */
        run_batch(it, frame * FRAME_SECONDS);
    }
    demand(lost > FRAMES * PARTS_A_FRAME / 100, "at least one in a hundred lost");
    demand(counted(it, COUNT_retransmitted) == lost, "each one repeated");
    demand(it->pictures == FRAMES / 30 / PICTURE_SECONDS, "a picture every 5 s");
    return call_end(it, it->packets);
}

typedef struct unprotecting {
    srtp *inbound;
    datagram datagram;
    size_t refused;
} unprotecting;

static void unprotect(void *context) {
    unprotecting *it = context;
    size_t plain;
    it->refused +=
        srtp_unprotect(it->inbound, it->datagram.data, it->datagram.size, &plain) != NOT_REFUSED;
}

static size_t protection(srtp_profile profile, size_t payload) {
    static unprotecting it;
    srtp *outbound = srtp_new(profile, key);
    it.inbound = srtp_new(profile, key);
    demand(outbound && it.inbound, "no SRTP");
    sender sender = {0};
    for (int i = 0; i < AUDIO_PACKETS; i++) {
        datagram *one = &it.datagram;
        sender_opus(&sender, one);
        memset(one->data + one->size, 0, DATAGRAM_ROOM - one->size);
        one->size = 12 + payload;
        demand(srtp_protect(outbound, one->data, one->size, &one->size), "not protected");
        measured(unprotect, &it);
    }
    demand(it.refused == 0, "all are authentic");
    srtp_free(outbound);
    srtp_free(it.inbound);
    return AUDIO_PACKETS;
}

static size_t srtp_160(void) { return protection(SRTP_AES128_CM_SHA1_80, 160); }
static size_t srtp_1100(void) { return protection(SRTP_AES128_CM_SHA1_80, 1100); }
static size_t srtp_gcm_1100(void) { return protection(SRTP_AEAD_AES_128_GCM, 1100); }

typedef struct reporting {
    transport_reporter transport;
    reporter reporter;
    uint8_t kinds_of[256];
    packet packets[PARTS_A_FRAME];
    datagram report;
    outputs out;
    double now;
    size_t compounds;
} reporting;

static void report(void *context) {
    reporting *it = context;
    static const bool asking[1];
    header_elements found;
    for (int i = 0; i < PARTS_A_FRAME; i++) {
        elements_find(&it->packets[i], it->kinds_of, &found);
        transport_reporter_arrived(&it->transport, read16(found.of[0].value), it->now);
        reporter_arrived(&it->reporter, it->now);
    }
    if (it->report.size && rtcp_is_well_formed(it->report.data, it->report.size))
        reporter_receive(&it->reporter, it->report.data + 4, it->now);
    if (!reporter_is_idle(&it->reporter, asking, it->now))
        reporter_handle_timer(&it->reporter, asking, it->now, &it->out);
    earlier(reporter_deadline(&it->reporter), it->transport.arrivals_at);
}

static void report_frame(reporting *it, stream *stream, sender *sender, int frame) {
    datagram datagrams[PARTS_A_FRAME];
    it->now = frame * FRAME_SECONDS;
    sender_vp8(sender, datagrams);
    for (int i = 0; i < PARTS_A_FRAME; i++) {
        packet_parse(&it->packets[i], datagrams[i].data, datagrams[i].size);
        it->packets[i].arrival = it->now;
        packet copy = it->packets[i];
        stream_insert(stream, &copy);
    }
    it->report.size = 0;
    if (frame % 30 == 0)
        sender_report(it->now, (uint32_t)(it->now * 90000), &it->report);
    measured(report, it);
    it->compounds += it->out.count;
    outputs_clear(&it->out);
}

static size_t reports(void) {
    static reporting it;
    counters counters = {0};
    sender_clock clock = {0};
    stream stream, *streams[] = {&stream};
    ordereds given = {0};
    sender sender = {0};
    parameters camera = stream_of(&vp8, VP8_TYPE, CAMERA);
    demand(stream_init(&stream, &camera, &counters, &clock), "no stream");
    transport_reporter_init(&it.transport, OUR_SSRC, &counters);
    it.transport.is_agreed = true;
    it.kinds_of[TRANSPORT_CC_ID] = ELEMENT_TRANSPORT_CC;
    reporter_init(&it.reporter, OUR_SSRC, &it.transport, &counters);
    it.reporter.streams = streams;
    it.reporter.stream_count = 1;
    for (int frame = 0; frame < FRAMES; frame++) {
        report_frame(&it, &stream, &sender, frame);
        stream_drain(&stream, it.now, &given);
        ordereds_clear(&given);
    }
    demand(it.compounds >= FRAMES / 5, "feedback ten times a second");
    demand(counters.of[COUNT_unacknowledged] == 0, "all are acknowledged");
    ordereds_free(&given);
    transport_reporter_free(&it.transport);
    stream_free(&stream);
    sender_clock_free(&clock);
    outputs_free(&it.out);
    return FRAMES * PARTS_A_FRAME;
}

static const struct {
    const char *name;
    size_t (*run)(void);
} cases[] = {
    {"parse", parse},
    {"audio", audio},
    {"audio-of-25", audio_crowd},
    {"video-asleep", video_asleep},
    {"video-passed-over", video_passed_over},
    {"video-awake-vp8", video_vp8},
    {"video-awake-h264", video_h264},
    {"video-loss", video_loss},
    {"srtp-160", srtp_160},
    {"srtp-1100", srtp_1100},
    {"srtp-gcm-1100", srtp_gcm_1100},
    {"reports", reports},
};

/* Without a name: the names of all. */
int main(int count, char **arguments) {
    size_t total = sizeof cases / sizeof *cases;
    for (size_t i = 0; count == 1 && i < total; i++)
        puts(cases[i].name);
    if (count == 1)
        return 0;
    const char *error = srtp_load(NULL);
    demand(error == NULL, error ? error : "");
    for (size_t i = 0; i < total; i++)
        if (strcmp(cases[i].name, arguments[1]) == 0) {
            printf("packets %zu\n", cases[i].run());
            return 0;
        }
    fprintf(stderr, "no such case: %s\n", arguments[1]);
    return 1;
}
