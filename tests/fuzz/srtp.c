/* SRTP fed with any bytes, and with what a sender of the same key made of them.
 *
 * The first byte chooses the profile; then come records: what to do, two bytes of size, a packet.
 */
#include "srtp.h"

static const srtp_profile PROFILES[] = {SRTP_AES128_CM_SHA1_80, SRTP_AEAD_AES_128_GCM,
                                        SRTP_AEAD_AES_256_GCM};

typedef int open_function(srtp *, uint8_t *, size_t, size_t *);
typedef bool close_function(srtp *, uint8_t *, size_t, size_t *);

static void demand(bool true_always) {
    if (!true_always)
        abort();
}

static void open_it(srtp *it, open_function *function, const uint8_t *packet, size_t size) {
    uint8_t *copy = malloc(size ? size : 1); /* of its own, so that reading past it is seen */
    size_t plain = 0;
    demand(copy != NULL);
    memcpy(copy, packet, size);
    int refused = function(it, copy, size, &plain);
    if (refused == NOT_REFUSED)
        demand(plain < size);
    else
        demand(refused == COUNT_srtp_authentication || refused == COUNT_srtp_replayed ||
               refused == COUNT_srtp_malformed);
    free(copy);
}

/* What the sender takes goes through; a second time it is refused. */
static void both(srtp *sender, srtp *receiver, close_function *close_it, open_function *opens,
                 const uint8_t *packet, size_t size) {
    uint8_t *wire = malloc(size + SRTP_MAX_TRAILER);
    size_t sealed = 0, plain = 0;
    demand(wire != NULL);
    memcpy(wire, packet, size);
    if (close_it(sender, wire, size, &sealed)) {
        demand(sealed > size && sealed <= size + SRTP_MAX_TRAILER);
        open_it(receiver, opens, wire, sealed);
        if (opens(receiver, wire, sealed, &plain) == NOT_REFUSED)
            abort();
    }
    free(wire);
}

static void look(const srtp *it, const uint8_t *packet, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    demand(copy != NULL);
    memcpy(copy, packet, size);
    bool first = srtp_may_skip(it, copy, size);
    demand(srtp_may_skip(it, copy, size) == first && (!first || size > 12));
    free(copy);
}

static void feed(srtp *sender, srtp *receiver, int what, const uint8_t *packet, size_t size) {
    switch (what) {
    case 0: open_it(receiver, srtp_unprotect, packet, size); break;
    case 1: open_it(receiver, srtp_unprotect_rtcp, packet, size); break;
    case 2: look(receiver, packet, size); break;
    case 3: both(sender, receiver, srtp_protect, srtp_unprotect, packet, size); break;
    default: both(sender, receiver, srtp_protect_rtcp, srtp_unprotect_rtcp, packet, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t key[64];
    if (size == 0)
        return 0;
    demand(srtp_load(NULL) == NULL);
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    srtp_profile profile = PROFILES[data[0] % 3];
    srtp *sender = srtp_new(profile, key), *receiver = srtp_new(profile, key);
    demand(sender != NULL && receiver != NULL);
    for (size_t at = 1; size - at >= 3;) {
        size_t wanted = read16(data + at + 1), left = size - at - 3;
        size_t taken = wanted < left ? wanted : left;
        feed(sender, receiver, data[at] % 5, data + at + 3, taken);
        at += 3 + taken;
    }
    srtp_free(sender);
    srtp_free(receiver);
    return 0;
}
