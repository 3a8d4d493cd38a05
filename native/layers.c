#include "layers.h"

/* slicer/rtp/layers.py has the reasons. */
#define WINDOW 1.0
#define LARGER 1.25
#define PATIENCE 2
#define MAX_PATIENCE 32
#define FALL_BACK 2

void layers_init(layers *it, const parameters *parameters, counters *counters) {
    *it = (layers){
        .parameters = parameters,
        .counters = counters,
        .taken = -1,
        .candidate = -1,
        .patience = PATIENCE,
    };
    for (size_t i = 0; i <= parameters->rid_count; i++)
        it->meters[i].timestamp = -1;
}

static size_t ssrc_at(const layers *it, uint32_t ssrc) {
    size_t at = 0;
    while (at < it->ssrc_count && it->ssrcs[at] != ssrc)
        at++;
    return at;
}

int layers_of(const layers *it, uint32_t ssrc) {
    size_t at = ssrc_at(it, ssrc);
    return at < it->ssrc_count ? it->of_ssrcs[at] : (int)it->parameters->rid_count;
}

static bool names_layer(const parameters *it, uint8_t id) {
    for (size_t i = 0; i < sizeof it->rid_ids / sizeof *it->rid_ids; i++)
        if (it->rid_ids[i] == id)
            return true;
    return false;
}

/* The place of a layer of this name; that behind the last one where there is none. */
static uint8_t place_of(const parameters *it, const header_element *rid) {
    uint8_t place = 0;
    while (place < it->rid_count && (it->rids[place].size != rid->size ||
                                     memcmp(it->rids[place].text, rid->value, rid->size)))
        place++;
    return place;
}

/* The layer of a packet, by its own name or the one that its SSRC had before. */
static int layer_of(layers *it, const packet *packet, const header_elements *found) {
    const header_element *rid = NULL;
    if (found->kinds & ELEMENT_RID)
        for (size_t i = 0; i < found->count; i++)
            if (names_layer(it->parameters, found->of[i].id))
                rid = &found->of[i];
    if (rid == NULL)
        return layers_of(it, packet->ssrc);
    size_t at = ssrc_at(it, packet->ssrc);
    if (at == LAYERS_MAX_SSRCS) {
        at = --it->ssrc_count;
        memmove(it->ssrcs, it->ssrcs + 1, at * sizeof *it->ssrcs);
        memmove(it->of_ssrcs, it->of_ssrcs + 1, at * sizeof *it->of_ssrcs);
    }
    if (at == it->ssrc_count)
        it->ssrcs[it->ssrc_count++] = packet->ssrc;
    return it->of_ssrcs[at] = place_of(it->parameters, rid);
}

/* Bytes a frame; 0 where nothing came. */
static double frame_size(const layer_meter *it) {
    return (double)it->size / (double)(it->frames ? it->frames : 1);
}

/* The smallest layer that flows and is high enough, the one taken before its equals; -1: none. */
static int smallest(const layers *it) {
    int found = -1, height = 0;
    for (int i = 0; i <= (int)it->parameters->rid_count; i++) {
        const layer_meter *meter = &it->meters[i];
        if (meter->size == 0 || meter->height < it->height)
            continue;
        if (found < 0 || meter->height < height || (meter->height == height && i == it->taken)) {
            found = i;
            height = meter->height;
        }
    }
    return found;
}

static int largest(const layers *it) {
    int found = 0;
    for (int i = 1; i <= (int)it->parameters->rid_count; i++)
        if (frame_size(&it->meters[i]) > frame_size(&it->meters[found]))
            found = i;
    return found;
}

/* The layer to take in place of the one taken; -1: none. */
static int better(const layers *it) {
    int enough = it->height > 0 ? smallest(it) : -1;
    if (enough >= 0)
        return enough != it->taken ? enough : -1;
    int most = largest(it);
    double than = frame_size(&it->meters[it->taken]) * LARGER;
    return frame_size(&it->meters[most]) > than ? most : -1;
}

/* A window is over: the layer to go on with. */
static void choose(layers *it) {
    bool gone = it->meters[it->taken].size == 0;
    int next = better(it);
    for (int i = 0; i <= (int)it->parameters->rid_count; i++)
        it->meters[i].frames = it->meters[i].size = 0;
    if (next < 0) {
        it->candidate = -1;
        it->votes = 0;
        return;
    }
    it->votes = next == it->candidate ? it->votes + 1 : 1;
    it->candidate = next;
    if (it->votes < (gone ? FALL_BACK : it->patience))
        return;
    if (gone)
        it->patience = 2 * it->patience < MAX_PATIENCE ? 2 * it->patience : MAX_PATIENCE;
    it->taken = next;
    it->candidate = -1;
    it->votes = 0;
    COUNT(it->counters, layer_changed);
}

static void measure(layers *it, int layer, const packet *packet) {
    if (it->taken < 0) {
        it->taken = layer;
        it->ends = packet->arrival + WINDOW;
    } else if (packet->arrival >= it->ends) {
        choose(it);
        it->ends = packet->arrival + WINDOW;
    }
    layer_meter *meter = &it->meters[layer];
    meter->frames += packet->timestamp != meter->timestamp;
    meter->size += packet->size;
    meter->timestamp = packet->timestamp;
    const codec *codec = it->parameters->codecs[packet->payload_type];
    if (codec != NULL && codec->format != NULL && codec->format->height != NULL) {
        int height = codec->format->height(packet->payload, packet->size);
        meter->height = height ? height : meter->height;
    }
}

bool layers_receive(layers *it, const packet *packet, const header_elements *found) {
    int layer = layer_of(it, packet, found);
    bool taken;
    if (it->parameters->rtx[packet->payload_type] >= 0) {
        taken = layer == it->taken || layer == (int)it->parameters->rid_count;
    } else {
        measure(it, layer, packet);
        taken = layer == it->taken;
    }
    if (!taken)
        COUNT(it->counters, other_layer);
    return taken;
}
