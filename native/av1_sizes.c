/* Twin of slicer/rtp/codecs/av1_sizes.py (AV1 specification 5.5 and 5.9). */
#include "av1_sizes.h"
#include "bits.h"

#define MAX_BYTES 64
#define CHOSEN 2

enum { KEY = 0, INTRA_ONLY = 2, SWITCH = 3 };

static bits bits_of(const uint8_t *body, size_t size) {
    return (bits){body, 8 * (size < MAX_BYTES ? size : MAX_BYTES), 0, false};
}

static void skip_operating_points(bits *it) {
    if (take(it, 1)) /* timing information */
        it->bad = true;
    bool delayed = take(it, 1);
    for (int left = (int)take(it, 5); left >= 0 && !it->bad; left--) {
        take(it, 12);
        if (take(it, 5) > 7) /* seq_level_idx: with a tier */
            take(it, 1);
        if (delayed && take(it, 1))
            take(it, 4);
    }
}

static void read_tools(bits *it, av1_sequence *out) {
    if (take(it, 1)) /* frame ids */
        it->bad = true;
    take(it, 3 + 4); /* superblocks, intra and inter tools */
    bool ordered = take(it, 1);
    take(it, ordered ? 2 : 0);
    out->screen_content = take(it, 1) ? CHOSEN : (uint8_t)take(it, 1);
    out->integer_motion = CHOSEN;
    if (out->screen_content && !take(it, 1))
        out->integer_motion = (uint8_t)take(it, 1);
    out->order_bits = ordered ? (uint8_t)(take(it, 3) + 1) : 0;
}

av1_sequence av1_read_sequence(const uint8_t *body, size_t size) {
    av1_sequence out = {.screen_content = CHOSEN, .integer_motion = CHOSEN};
    bits it = bits_of(body, size);
    take(&it, 4); /* seq_profile, still_picture */
    out.reduced = take(&it, 1);
    if (out.reduced)
        take(&it, 5);
    else
        skip_operating_points(&it);
    out.width_bits = (uint8_t)(take(&it, 4) + 1);
    out.height_bits = (uint8_t)(take(&it, 4) + 1);
    take(&it, out.width_bits);
    out.height = (int)take(&it, out.height_bits) + 1;
    if (!out.reduced)
        read_tools(&it, &out);
    out.known = !it.bad;
    return out;
}

/* frame_size_with_refs (5.9.7): up to the first reference whose size this frame has. */
static bool is_of_a_reference(bits *it) {
    for (int left = 7; left > 0; left--)
        if (take(it, 1))
            return true;
    return false;
}

int av1_read_height(const uint8_t *body, size_t size, const av1_sequence *sequence) {
    if (sequence->reduced)
        return sequence->height;
    bits it = bits_of(body, size);
    if (take(&it, 1)) /* show_existing_frame */
        return 0;
    uint32_t kind = take(&it, 2);
    bool shown = take(&it, 1);
    take(&it, shown ? 0 : 1);
    bool whole = kind == SWITCH || (kind == KEY && shown);
    bool resilient = whole || take(&it, 1);
    take(&it, 1); /* disable_cdf_update */
    bool own = sequence->screen_content == CHOSEN;
    if (own ? take(&it, 1) : sequence->screen_content)
        take(&it, sequence->integer_motion == CHOSEN ? 1 : 0);
    bool overridden = kind == SWITCH || take(&it, 1);
    take(&it, sequence->order_bits);
    bool intra = kind == KEY || kind == INTRA_ONLY;
    take(&it, intra || resilient ? 0 : 3); /* primary_ref_frame */
    uint32_t refreshed = whole ? 0xFF : take(&it, 8);
    if ((!intra || refreshed != 0xFF) && resilient)
        take(&it, 8 * (size_t)sequence->order_bits);
    if (!intra) {
        bool short_signaling = sequence->order_bits > 0 && take(&it, 1);
        take(&it, short_signaling ? 6 : 7 * 3);
        if (overridden && !resilient && is_of_a_reference(&it))
            return 0;
    }
    if (!overridden)
        return it.bad ? 0 : sequence->height;
    take(&it, sequence->width_bits);
    int height = (int)take(&it, sequence->height_bits) + 1;
    return it.bad ? 0 : height;
}
