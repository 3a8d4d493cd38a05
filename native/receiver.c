#include "receiver.h"

#include "track.h"

/* As the longest authentication tag of SRTP (RFC 7714, RFC 3711 has shorter ones). */
#define LONGEST_TAG 16
/* Room for packets in order that is kept from batch to batch. */
#define KEPT_ORDEREDS 256

struct receiver {
    counters counters;
    sender_clock sender;
    stream *streams;
    size_t count;
    bool *asking; /* for each stream, whether it needs a keyframe */
    stream *by_payload_type[128];
    bool has_audio, has_video, video_first;
    audio_track audio;
    video_track video;
    reporter reporter;
    ordereds scratch;
};

/* Whether it is of a codec in our table. */
static bool is_readable(const parameters *parameters, int payload_type) {
    if (payload_type < 0 || payload_type > 127 || parameters->codecs[payload_type] == NULL)
        return false;
    return codec_is_readable(parameters->codecs[payload_type], parameters->video);
}

/* Where several streams say they have a payload type, it is the first one's. */
static void listen_to(receiver *it, stream *stream) {
    const parameters *parameters = stream->parameters;
    for (int i = 0; i < 128; i++)
        if (it->by_payload_type[i] == NULL &&
            (is_readable(parameters, i) || is_readable(parameters, parameters->rtx[i])))
            it->by_payload_type[i] = stream;
}

/* The first stream of a kind is cut, the others sleep. */
static void add_track(receiver *it, stream *stream) {
    if (stream->parameters->video && !it->has_video) {
        it->has_video = true;
        it->video_first = !it->has_audio;
        video_track_init(&it->video, stream);
    } else if (!stream->parameters->video && !it->has_audio) {
        it->has_audio = true;
        audio_track_init(&it->audio, stream);
    } else {
        stream_doze(stream, INFINITY);
    }
}

static bool init(receiver *it, const parameters *streams, size_t count, uint32_t ssrc) {
    size_t room = count ? count : 1;
    it->asking = calloc(room, sizeof *it->asking);
    it->streams = calloc(room, sizeof *it->streams);
    if (it->asking == NULL || it->streams == NULL || !sender_clock_init(&it->sender, room))
        return false;
    for (size_t i = 0; i < count; i++) {
        stream *stream = &it->streams[i];
        if (!stream_init(stream, &streams[i], &it->counters, &it->sender, i))
            return false;
        it->count++;
        listen_to(it, stream);
        add_track(it, stream);
    }
    reporter_init(&it->reporter, ssrc, it->streams, count, &it->counters);
    return true;
}

receiver *receiver_new(const parameters *streams, size_t count, uint32_t ssrc) {
    receiver *it = calloc(1, sizeof *it);
    if (it == NULL || init(it, streams, count, ssrc))
        return it;
    receiver_free(it);
    return NULL;
}

void receiver_free(receiver *it) {
    if (it == NULL)
        return;
    audio_track_free(&it->audio);
    video_track_free(&it->video);
    ordereds_free(&it->scratch);
    reporter_free(&it->reporter);
    for (size_t i = 0; i < it->count; i++)
        stream_free(&it->streams[i]);
    sender_clock_free(&it->sender);
    free(it->streams);
    free(it->asking);
    free(it);
}

const counters *receiver_counters(const receiver *it) { return &it->counters; }

void receiver_attach(receiver *it, uint64_t track, bool video, int64_t seconds, double now,
                     outputs *out) {
    if (video && it->has_video) {
        video_track_detach(&it->video, track);
        video_track_attach(&it->video, track, seconds);
    } else if (!video && it->has_audio) {
        audio_track_detach(&it->audio, track, &it->scratch, out);
        audio_track_attach(&it->audio, track, seconds);
    }
    receiver_handle_timer(it, now, out);
}

void receiver_detach(receiver *it, uint64_t track, bool video, double now, outputs *out) {
    if (video ? !it->has_video : !it->has_audio)
        return;
    if (video)
        video_track_detach(&it->video, track);
    else
        audio_track_detach(&it->audio, track, &it->scratch, out);
    receiver_handle_timer(it, now, out);
}

void receiver_take(receiver *it, const uint8_t *data, size_t size, double arrival) {
    if (is_rtcp(data, size)) {
        reporter_receive(&it->reporter, data, size, arrival);
        return;
    }
    packet packet;
    int refused = packet_parse(&packet, data, size);
    if (refused != NOT_REFUSED) {
        it->counters.of[refused]++;
        return;
    }
    stream *stream = it->by_payload_type[packet.payload_type];
    if (stream == NULL) {
        COUNT(&it->counters, unknown_payload_type);
        return;
    }
    packet.arrival = arrival;
    reporter_arrived(&it->reporter, &packet);
    stream_insert(stream, &packet);
}

/* Read the header of a packet whose payload is still encrypted; false where only the plain packet
 * can tell whether it is well-formed: its padding is counted in its last byte. */
static bool read_header(packet *it, const uint8_t *data, size_t size) {
    if (size < 12 + LONGEST_TAG || size > MAX_DATAGRAM || data[0] >> 6 != 2 || data[0] & 0x20)
        return false;
    size_t start = 12 + 4 * (size_t)(data[0] & 0x0F), end = size - LONGEST_TAG;
    *it = (packet){
        .sequence = read16(data + 2),
        .timestamp = read32(data + 4),
        .ssrc = read32(data + 8),
        .payload_type = data[1] & 0x7F,
        .marker = data[1] > 127,
    };
    if (data[0] & 0x10) {
        if (start + 4 > end)
            return false;
        it->profile = read16(data + start);
        it->extension_size = (uint16_t)(4 * read16(data + start + 2));
        it->extension = data + start + 4;
        start += 4 + 4 * (size_t)read16(data + start + 2);
    }
    it->payload = data + start;
    return start <= end;
}

bool receiver_pass_over(receiver *it, const uint8_t *data, size_t size, double arrival) {
    packet packet;
    if (is_rtcp(data, size) || !read_header(&packet, data, size))
        return false;
    stream *stream = it->by_payload_type[packet.payload_type];
    packet.arrival = arrival;
    if (stream == NULL || !stream_would_sleep(stream, &packet))
        return false;
    reporter_arrived(&it->reporter, &packet);
    stream_insert(stream, &packet);
    return true;
}

static void cut_audio(receiver *it, double now, outputs *out) {
    audio_track_receive(&it->audio, now, &it->scratch, out);
    audio_track_handle_timer(&it->audio, now, out);
}

static void take_pictures(receiver *it, double now, outputs *out) {
    video_track_receive(&it->video, now, &it->scratch, out);
    it->asking[it->video.stream->number] = video_track_wants_keyframe(&it->video, now);
}

static void report(receiver *it, double now, outputs *out) {
    output one = {.kind = OUTPUT_TRANSMIT};
    if (!reporter_handle_timer(&it->reporter, it->asking, now, &one.as.transmit))
        output_free(&one);
    else if (!outputs_add(out, &one))
        COUNT(&it->counters, out_of_memory);
}

void receiver_handle_timer(receiver *it, double now, outputs *out) {
    if (it->has_video && it->video_first)
        take_pictures(it, now, out);
    if (it->has_audio)
        cut_audio(it, now, out);
    if (it->has_video && !it->video_first)
        take_pictures(it, now, out);
    if (it->scratch.capacity > KEPT_ORDEREDS)
        ordereds_free(&it->scratch);
    report(it, now, out);
}

void receiver_flush(receiver *it, outputs *out) {
    if (it->has_video && it->video_first)
        video_track_flush(&it->video, &it->scratch, out);
    if (it->has_audio)
        audio_track_flush(&it->audio, &it->scratch, out);
    if (it->has_video && !it->video_first)
        video_track_flush(&it->video, &it->scratch, out);
}

double receiver_deadline(receiver *it) {
    double first = reporter_deadline(&it->reporter);
    for (size_t i = 0; i < it->count; i++)
        first = earlier(first, stream_deadline(&it->streams[i]));
    if (it->has_audio)
        first = earlier(first, audio_track_deadline(&it->audio));
    if (it->has_video)
        first = earlier(first, video_track_deadline(&it->video));
    return first;
}

double receiver_expects(receiver *it, double now) {
    double first = NEVER;
    for (size_t i = 0; i < it->count; i++) {
        stream *stream = &it->streams[i];
        if (stream->has_source && stream->source.nacks.count)
            return now;
        first = earlier(first, stream_deadline(stream)); /* a hole is given up */
    }
    if (it->has_audio)
        first = earlier(first, audio_track_expects(&it->audio, now));
    if (it->has_video)
        first = earlier(first, video_track_expects(&it->video, now));
    return first;
}
