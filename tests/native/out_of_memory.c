/* A call of two anchors through the packet path, once for each allocation that it makes: that one, or
 * it and those after it for a while, gives NULL. Linked with --wrap, so production has no part in it.
 *
 * What fails must be counted, must cost no more than media, and must be over when memory is back:
 * slices and pictures come again. The sanitizers that this is built with see what is lost or read
 * behind its end.
 */
#include "bundle.h"
#include "codecs.h"

#include <malloc.h>
#include <stdio.h>

#define CHECK(what)                                                                              \
    do {                                                                                         \
        if (!(what)) {                                                                           \
            printf("allocation %ld, %ld of them: %s\n", fails.first, fails.count, #what);        \
            exit(1);                                                                             \
        }                                                                                        \
    } while (0)

enum { ANCHORS = 2, SECONDS = 7, STEP = 20 /* ms */, HISTORY = 1024 };

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *of, size_t size);

static struct {
    long first, count, seen;
} fails; /* by number, from 1 on */

static bool fail(void) {
    long number = ++fails.seen;
    return number >= fails.first && number < fails.first + fails.count;
}

void *__wrap_malloc(size_t size) { return fail() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return fail() ? NULL : __real_calloc(count, size); }
/* What shrinks does not fail. */
void *__wrap_realloc(void *of, size_t size) {
    bool grows = of == NULL || malloc_usable_size(of) < size;
    return grows && fail() ? NULL : __real_realloc(of, size);
}

static const codec OPUS = {&opus_format, 48000, 0, ""}, VP8 = {&vp8_format, 90000, 1, ""},
                   H264 = {&h264_format, 90000, 2, ""};

static parameters line(const codec *codec, const char *mid) {
    bool video = codec != &OPUS;
    parameters it = {.video = video, .mid = mid, .mid_size = 1};
    for (int i = 0; i < 128; i++)
        it.rtx[i] = it.red[i] = -1;
    for (int i = 0; i < 14; i++)
        it.transport_cc_ids[i] = it.mid_ids[i] = it.rid_ids[i] = it.orientation_ids[i] =
            it.level_ids[i] = -1;
    it.codecs[video ? 96 : 111] = codec;
    it.feedback = FEEDBACK_NACK | FEEDBACK_TRANSPORT_CC | (video ? FEEDBACK_PLI : 0);
    if (video)
        it.rtx[97] = 96;
    else
        it.red[63] = 111;
    it.transport_cc_ids[0] = 3;
    it.mid_ids[0] = 4;
    return it;
}

typedef struct sender {
    uint32_t ssrc, timestamp;
    uint16_t sequence, repairs;
    const codec *codec;
    char mid;
    int frames;
    uint8_t again[160];
    size_t again_size;
} sender;

static bool is_video(const sender *it) { return it->codec != &OPUS; }

typedef struct call {
    bundle *bundle;
    outputs out;
    double now;
    uint16_t transport;
    double fed; /* when memory was back */
    unsigned cut; /* the tracks of which something was cut since, one bit each */
    /* What was taken lives until the timer was handled. */
    uint8_t packets[16][160];
    size_t taken;
} call;

static void take(call *it, const uint8_t *data, size_t size) {
    uint8_t *kept = it->packets[it->taken++ % 16];
    memcpy(kept, data, size);
    if (!bundle_pass_over(it->bundle, kept, size, it->now))
        bundle_take(it->bundle, kept, size, it->now);
}

static size_t head(call *it, const sender *from, uint8_t *at, int type, bool marker) {
    at[0] = 0x90;
    at[1] = (uint8_t)(type | marker << 7);
    write32(at + 4, from->timestamp);
    write32(at + 8, from->ssrc);
    write32(at + 12, 0xBEDE0002);
    write32(at + 16, 0x40003100 | (uint32_t)from->mid << 16); /* MID; transport-wide number */
    at[16] = 0x40, at[17] = (uint8_t)from->mid, at[18] = 0x31;
    at[19] = (uint8_t)(it->transport >> 8), at[20] = (uint8_t)it->transport++;
    at[21] = at[22] = at[23] = 0;
    return 24;
}

/* One packet. Every tenth is lost, and video's comes by RTX with the next frame. */
static void send(call *it, sender *from, const uint8_t *payload, size_t size, bool marker) {
    uint8_t packet[160];
    size_t at = head(it, from, packet, is_video(from) ? 96 : 111, marker);
    write16(packet + 2, from->sequence);
    memcpy(packet + at, payload, size);
    if (from->sequence % 10 != 7) {
        take(it, packet, at + size);
    } else if (is_video(from)) {
        sender again = *from;
        again.ssrc += 1000;
        at = head(it, &again, from->again, 97, marker);
        write16(from->again + 2, from->repairs++);
        write16(from->again + at, from->sequence);
        memcpy(from->again + at + 2, payload, size);
        from->again_size = at + 2 + size;
    }
    from->sequence++;
}

static void repair(call *it, sender *from) {
    if (from->again_size)
        take(it, from->again, from->again_size);
    from->again_size = 0;
}

static void speak(call *it, sender *from) {
    uint8_t opus[40] = {0xF8, (uint8_t)from->frames++};
    send(it, from, opus, sizeof opus, false);
    from->timestamp += 960;
}

/* Every frame in two packets or more, and every 25th a keyframe. */
static void film_vp8(call *it, sender *from, bool keyframe) {
    uint8_t begins[60] = {0x10, 0x11, 0, 0}, goes_on[60] = {0x00, 0xAA};
    static const uint8_t key[] = {0x10, 0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01};
    if (keyframe)
        memcpy(begins, key, sizeof key);
    send(it, from, begins, sizeof begins, false);
    send(it, from, goes_on, sizeof goes_on, true);
}

/* Every other keyframe has parameter sets before it. */
static void film_h264(call *it, sender *from, bool keyframe) {
    uint8_t type = keyframe ? 5 : 1;
    uint8_t begins[60] = {0x7C, 0x80 | type, 0x88}, ends[60] = {0x7C, 0x40 | type, 0xAA};
    static const uint8_t sps[] = {0x67, 0x42, 0xE0, 0x1F, 0xAA}, pps[] = {0x68, 0xCE, 0x3C, 0x80};
    if (from->frames % 50 == 1) {
        send(it, from, sps, sizeof sps, false);
        send(it, from, pps, sizeof pps, false);
    }
    send(it, from, begins, sizeof begins, false);
    send(it, from, ends, sizeof ends, true);
}

static void film(call *it, sender *from) {
    bool keyframe = from->frames++ % 25 == 0;
    repair(it, from);
    if (from->codec == &VP8)
        film_vp8(it, from, keyframe);
    else
        film_h264(it, from, keyframe);
    from->timestamp += 90 * 2 * STEP;
}

static void report(call *it, const sender *from) {
    uint8_t data[28] = {0x80, 200, 0, 6};
    write32(data + 4, from->ssrc);
    write32(data + 8, 3900000000u + (uint32_t)it->now);
    write32(data + 12, (uint32_t)((it->now - floor(it->now)) * 4294967296.0));
    write32(data + 16, from->timestamp);
    bundle_take(it->bundle, data, sizeof data, it->now);
    bundle_handle_timer(it->bundle, it->now, &it->out);
}

static void note(call *it) {
    if (fails.seen < fails.first + fails.count - 1)
        it->fed = it->now + STEP / 1000.0;
    for (size_t i = 0; i < it->out.count && it->now > it->fed; i++) {
        const output *one = &it->out.of[i];
        if (one->kind == OUTPUT_AUDIO)
            it->cut |= 1u << one->as.audio.track;
        else if (one->kind == OUTPUT_PICTURE)
            it->cut |= 1u << one->as.picture.track;
    }
    outputs_clear(&it->out);
}

/* Gives how many allocations the sections and tracks took; 0 where there is no bundle. */
static long set_up(call *it, const parameters *const lines[][2]) {
    it->bundle = bundle_new(9);
    if (it->bundle == NULL)
        return 0;
    const slice_spec spec = {.seconds = 1, .wait = 2.0, .asks_every = 0.5};
    for (uint64_t anchor = 0; anchor < ANCHORS; anchor++) {
        bundle_set_sections(it->bundle, anchor, lines[anchor], 2, it->now, &it->out);
        for (int video = 0; video < 2; video++)
            bundle_attach(it->bundle, anchor, 2 * anchor + video, video, &spec, it->now, &it->out);
    }
    return fails.seen;
}

/* Gives how many allocations the whole call took. */
static long run(long *setting_up) {
    static call it;
    it = (call){.now = 1.0};
    const parameters audio_a = line(&OPUS, "a"), video_b = line(&VP8, "b"),
                     audio_c = line(&OPUS, "c"), video_d = line(&H264, "d");
    const parameters *const lines[ANCHORS][2] = {{&audio_a, &video_b}, {&audio_c, &video_d}};
    sender senders[] = {{.ssrc = 1, .mid = 'a', .codec = &OPUS},
                        {.ssrc = 2, .mid = 'b', .codec = &VP8},
                        {.ssrc = 3, .mid = 'c', .codec = &OPUS},
                        {.ssrc = 4, .mid = 'd', .codec = &H264}};
    fails.seen = 0;
    *setting_up = set_up(&it, lines);
    if (it.bundle == NULL)
        return fails.seen;
    for (int tick = 0; tick < SECONDS * 1000 / STEP; tick++, it.now += STEP / 1000.0) {
        for (size_t i = 0; i < 4; i++) {
            if (!is_video(&senders[i]))
                speak(&it, &senders[i]);
            else if (tick % 2 == 0)
                film(&it, &senders[i]);
            if (tick % 50 == 0)
                report(&it, &senders[i]);
        }
        bundle_handle_timer(it.bundle, it.now, &it.out);
        note(&it);
    }
    bundle_flush(it.bundle, &it.out);
    note(&it);
    counters found;
    bundle_counters(it.bundle, 0, &found);
    uint64_t counted = found.of[COUNT_out_of_memory];
    bool failed = fails.count > 0 && fails.seen >= fails.first;
    CHECK(failed == (counted > 0));
    CHECK(fails.first <= *setting_up || it.fed > SECONDS - 3 || it.cut == (1u << 2 * ANCHORS) - 1);
    bundle_free(it.bundle);
    outputs_free(&it.out);
    return fails.seen;
}

int main(void) {
    long setting_up, ignored;
    long all = run(&setting_up);
    printf("%ld allocations, %ld of them to set up\n", all, setting_up);
    for (fails.count = 1, fails.first = 1; fails.first <= all; fails.first++)
        run(&ignored);
    for (fails.count = 50, fails.first = 1; fails.first <= all; fails.first += 10)
        run(&ignored);
    fails.count = 0; /* what runs at the exit has its memory */
    return 0;
}
