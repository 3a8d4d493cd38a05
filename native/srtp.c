#include "srtp_crypto.h"

#include <limits.h>

/* An SSRC is kept once a packet of it is authenticated, and with it what RFC 3711 3.2.3 demands:
 * the index of the newest packet and which of those up to it have come. Nothing that fails
 * authentication changes anything. Refusals come in libsrtp's order, so that they count alike.
 *
 * The window is a ring of bits (RFC 6479): an index has one place in it, whatever the newest one is. So
 * moving on clears the words that are passed, and shifts nothing.
 */

#define SOURCES 64
#define WINDOW 1024
#define WORDS (WINDOW / 64 + 1) /* so many words a window may touch */
#define RTCP_WINDOW 128 /* libsrtp's, which knows no other */
#define RTCP_HEADER 8
#define INDEX_WORD 4 /* RFC 3711 3.4: the E flag and SRTCP's index */
#define ENCRYPTED 0x80000000u
#define MAX_INDEX ((uint64_t)1 << 48)
#define MAX_RTCP_INDEX 0x7fffffffu
#define MAX_PACKET ((size_t)INT_MAX / 2)
#define SHA1_80_TAG 10

typedef struct window {
    uint64_t newest;
    uint64_t seen[WORDS]; /* by index */
} window;

typedef struct source {
    window rtp, rtcp;
    uint64_t used; /* when it was authenticated last, in packets */
    bool has_rtp;
    uint32_t rtcp_sent;
} source;

typedef struct session {
    evp_cipher_ctx *cipher;
    hmac_key hmac;
    uint8_t salt[BLOCK_SIZE]; /* zeros behind it */
} session;

struct srtp {
    bool is_gcm;
    size_t tag_size;
    session of[OF_END];
    uint64_t packets; /* authenticated */
    size_t count;
    uint32_t ssrc[SOURCES];
    source sources[SOURCES];
};

static const source FRESH; /* the state of an SSRC that is not known yet */

static bool window_has(const window *it, uint64_t index, uint64_t size) {
    if (index > it->newest)
        return false;
    return it->newest - index >= size || (it->seen[index / 64 % WORDS] >> index % 64 & 1);
}

static void window_add(window *it, uint64_t index) {
    uint64_t passed = index / 64 > it->newest / 64 ? index / 64 - it->newest / 64 : 0;
    for (uint64_t i = 0; i < passed && i < WORDS; i++)
        it->seen[(index / 64 - i) % WORDS] = 0;
    it->seen[index / 64 % WORDS] |= (uint64_t)1 << index % 64;
    if (index > it->newest)
        it->newest = index;
}

/* The packet index of a sequence number (RFC 3711 3.3.1, appendix A). There is nothing before the first
 * roll-over: until its second half is over, every number is of the first turn. */
static uint64_t rtp_index(const window *it, uint16_t sequence) {
    const unsigned half = 0x8000;
    unsigned last = it->newest & 0xffff;
    uint64_t turn = it->newest >> 16;
    if (it->newest <= half)
        return sequence;
    if (last < half && sequence > last + half)
        turn--;
    else if (last >= half && sequence < last - half)
        turn++;
    return turn << 16 | sequence;
}

static const source *find(const srtp *it, uint32_t ssrc) {
    for (size_t i = 0; i < it->count; i++)
        if (it->ssrc[i] == ssrc)
            return &it->sources[i];
    return &FRESH;
}

/* The source of an SSRC that has just been authenticated. Where all places are taken, it gets the place
 * of the one that was authenticated least recently. */
static source *keep(srtp *it, uint32_t ssrc, const source *found) {
    it->packets++;
    size_t place = found == &FRESH ? it->count : (size_t)(found - it->sources);
    if (place == SOURCES) {
        place = 0;
        for (size_t i = 1; i < SOURCES; i++)
            if (it->sources[i].used < it->sources[place].used)
                place = i;
    } else if (place == it->count) {
        it->count++;
    }
    source *kept = &it->sources[place];
    if (found == &FRESH) {
        *kept = FRESH;
        it->ssrc[place] = ssrc;
    }
    kept->used = it->packets;
    return kept;
}

/* A sender that forgot an index would use a nonce twice: it takes no more SSRCs than it has places
 * for. */
static bool may_send(const srtp *it, const source *found) {
    return found != &FRESH || it->count < SOURCES;
}

/* Header, contributing sources and extension; 0 where it is cut short. */
static size_t header_size(const uint8_t *data, size_t size) {
    if (size < 12 || size > MAX_PACKET)
        return 0;
    size_t header = 12 + 4 * (size_t)(data[0] & 15);
    if (data[0] & 0x10) {
        if (size < header + 4)
            return 0;
        header += 4 + 4 * (size_t)read16(data + header + 2);
    }
    return header <= size ? header : 0;
}

/* The nonce of AES-CM (RFC 3711 4.1.1) and GCM (RFC 7714 8.1, 9.1): the same, two bytes apart. */
static void make_iv(const srtp *it, int of, const uint8_t *ssrc, uint64_t index,
                    uint8_t iv[BLOCK_SIZE]) {
    uint8_t *at = iv + (it->is_gcm ? 2 : 4);
    memcpy(iv, it->of[of].salt, BLOCK_SIZE);
    write64(at, read64(at) ^ ((uint64_t)read32(ssrc) << 32 | index >> 16));
    write16(at + 8, read16(at + 8) ^ (index & 0xFFFF));
}

static bool sign(const srtp *it, int of, const uint8_t *data, size_t size, uint32_t turn,
                 uint8_t mac[MAC_SIZE]) {
    uint8_t more[4];
    write32(more, turn);
    return hmac_key_sign(&it->of[of].hmac, data, size, more, of == OF_RTP ? sizeof more : 0, mac);
}

/* `size` without the tag. */
static int open_rtp(srtp *it, uint8_t *data, size_t header, size_t size, uint64_t index) {
    uint8_t iv[BLOCK_SIZE], mac[MAC_SIZE];
    session *keys = &it->of[OF_RTP];
    make_iv(it, OF_RTP, data + 8, index, iv);
    if (it->is_gcm) {
        aead what = {.iv = iv, .header = data, .header_size = header, .data = data + header,
                     .size = size - header};
        return cipher_open(keys->cipher, &what, data + size) ? NOT_REFUSED
                                                             : COUNT_srtp_authentication;
    }
    if (!sign(it, OF_RTP, data, size, (uint32_t)(index >> 16), mac) ||
        !crypto_equal(mac, data + size, SHA1_80_TAG))
        return COUNT_srtp_authentication;
    return cipher_count(keys->cipher, iv, data + header, size - header) ? NOT_REFUSED
                                                                         : COUNT_srtp_malformed;
}

/* The same a turn later: of a sender that began shortly before its numbers wrap, all packets before that
 * may have been lost (libsrtp#729), and a source that was never authenticated says nothing of its turn. */
static int open_next_turn(srtp *it, uint8_t *data, size_t header, size_t size, uint64_t *index) {
    uint8_t iv[BLOCK_SIZE];
    if (it->is_gcm) { /* has combined the payload with the wrong keystream; once more undoes that */
        make_iv(it, OF_RTP, data + 8, *index, iv);
        aead what = {.iv = iv, .header = data, .header_size = header, .data = data + header,
                     .size = size - header};
        cipher_open(it->of[OF_RTP].cipher, &what, data + size);
    }
    *index += 0x10000;
    return open_rtp(it, data, header, size, *index);
}

int srtp_unprotect(srtp *it, uint8_t *data, size_t size, size_t *plain) {
    size_t header = header_size(data, size);
    if (header == 0)
        return COUNT_srtp_malformed;
    uint32_t ssrc = read32(data + 8);
    const source *found = find(it, ssrc);
    uint64_t index = rtp_index(&found->rtp, read16(data + 2));
    if (window_has(&found->rtp, index, WINDOW))
        return COUNT_srtp_replayed;
    if (size < header + it->tag_size)
        return COUNT_srtp_malformed;
    int refused = open_rtp(it, data, header, size - it->tag_size, index);
    if (refused == COUNT_srtp_authentication && !found->has_rtp && index < 0x7fff)
        refused = open_next_turn(it, data, header, size - it->tag_size, &index);
    if (refused != NOT_REFUSED)
        return refused;
    source *kept = keep(it, ssrc, found);
    kept->has_rtp = true;
    window_add(&kept->rtp, index);
    *plain = size - it->tag_size;
    return NOT_REFUSED;
}

bool srtp_may_skip(const srtp *it, const uint8_t *data, size_t size) {
    size_t header = header_size(data, size);
    if (header == 0 || size < header + it->tag_size)
        return false;
    const source *found = find(it, read32(data + 8));
    uint64_t index = rtp_index(&found->rtp, read16(data + 2));
    return found->has_rtp && !window_has(&found->rtp, index, WINDOW) &&
           index < found->rtp.newest + SRTP_UNSEEN;
}

/* `size`: the compound's. Its index word comes before the tag, with GCM after it (RFC 7714 9.4). */
static int open_rtcp(srtp *it, uint8_t *data, size_t size, const uint8_t *word) {
    uint8_t iv[BLOCK_SIZE], mac[MAC_SIZE];
    session *keys = &it->of[OF_RTCP];
    bool encrypted = read32(word) & ENCRYPTED;
    size_t header = encrypted ? RTCP_HEADER : size;
    make_iv(it, OF_RTCP, data + 4, read32(word) & MAX_RTCP_INDEX, iv);
    if (it->is_gcm) {
        aead what = {.iv = iv, .header = data, .header_size = header, .trailer = word,
                     .trailer_size = INDEX_WORD, .data = data + header, .size = size - header};
        return cipher_open(keys->cipher, &what, data + size) ? NOT_REFUSED
                                                             : COUNT_srtp_authentication;
    }
    if (!sign(it, OF_RTCP, data, size + INDEX_WORD, 0, mac) ||
        !crypto_equal(mac, data + size + INDEX_WORD, SHA1_80_TAG))
        return COUNT_srtp_authentication;
    return cipher_count(keys->cipher, iv, data + header, size - header) ? NOT_REFUSED
                                                                         : COUNT_srtp_malformed;
}

int srtp_unprotect_rtcp(srtp *it, uint8_t *data, size_t size, size_t *plain) {
    size_t trailer = it->tag_size + INDEX_WORD;
    if (size < RTCP_HEADER + trailer || size > MAX_PACKET)
        return COUNT_srtp_malformed;
    const uint8_t *word = data + (it->is_gcm ? size - INDEX_WORD : size - trailer);
    /* As libsrtp: what is signed but not encrypted is taken with GCM alone. */
    if (!it->is_gcm && !(read32(word) & ENCRYPTED))
        return COUNT_srtp_malformed;
    uint32_t ssrc = read32(data + 4), index = read32(word) & MAX_RTCP_INDEX;
    const source *found = find(it, ssrc);
    if (window_has(&found->rtcp, index, RTCP_WINDOW))
        return COUNT_srtp_replayed;
    int refused = open_rtcp(it, data, size - trailer, word);
    if (refused != NOT_REFUSED)
        return refused;
    window_add(&keep(it, ssrc, found)->rtcp, index);
    *plain = size - trailer;
    return NOT_REFUSED;
}

bool srtp_protect(srtp *it, uint8_t *data, size_t size, size_t *protected_size) {
    uint8_t iv[BLOCK_SIZE], mac[MAC_SIZE];
    size_t header = header_size(data, size);
    if (header == 0)
        return false;
    uint32_t ssrc = read32(data + 8);
    const source *found = find(it, ssrc);
    uint64_t index = rtp_index(&found->rtp, read16(data + 2));
    if (window_has(&found->rtp, index, WINDOW) || index >= MAX_INDEX || !may_send(it, found))
        return false;
    source *kept = keep(it, ssrc, found);
    kept->has_rtp = true;
    window_add(&kept->rtp, index);
    make_iv(it, OF_RTP, data + 8, index, iv);
    *protected_size = size + it->tag_size;
    if (it->is_gcm) {
        aead what = {.iv = iv, .header = data, .header_size = header, .data = data + header,
                     .size = size - header};
        return cipher_seal(it->of[OF_RTP].cipher, &what, data + size);
    }
    if (!cipher_count(it->of[OF_RTP].cipher, iv, data + header, size - header) ||
        !sign(it, OF_RTP, data, size, (uint32_t)(index >> 16), mac))
        return false;
    memcpy(data + size, mac, SHA1_80_TAG);
    return true;
}

bool srtp_protect_rtcp(srtp *it, uint8_t *data, size_t size, size_t *protected_size) {
    uint8_t iv[BLOCK_SIZE], mac[MAC_SIZE];
    if (size < RTCP_HEADER || size > MAX_PACKET)
        return false;
    uint32_t ssrc = read32(data + 4);
    const source *found = find(it, ssrc);
    if (found->rtcp_sent == MAX_RTCP_INDEX || !may_send(it, found))
        return false;
    uint32_t index = ++keep(it, ssrc, found)->rtcp_sent;
    uint8_t *word = data + size + (it->is_gcm ? it->tag_size : 0);
    write32(word, ENCRYPTED | index);
    make_iv(it, OF_RTCP, data + 4, index, iv);
    *protected_size = size + it->tag_size + INDEX_WORD;
    if (it->is_gcm) {
        aead what = {.iv = iv, .header = data, .header_size = RTCP_HEADER, .trailer = word,
                     .trailer_size = INDEX_WORD, .data = data + RTCP_HEADER,
                     .size = size - RTCP_HEADER};
        return cipher_seal(it->of[OF_RTCP].cipher, &what, data + size);
    }
    if (!cipher_count(it->of[OF_RTCP].cipher, iv, data + RTCP_HEADER, size - RTCP_HEADER) ||
        !sign(it, OF_RTCP, data, size + INDEX_WORD, 0, mac))
        return false;
    memcpy(data + size + INDEX_WORD, mac, SHA1_80_TAG);
    return true;
}

size_t srtp_key_size(srtp_profile profile) {
    switch (profile) {
    case SRTP_AES128_CM_SHA1_80:
    case SRTP_AEAD_AES_128_GCM: return 16;
    case SRTP_AEAD_AES_256_GCM: return 32;
    }
    return 0;
}

size_t srtp_salt_size(srtp_profile profile) {
    if (srtp_key_size(profile) == 0)
        return 0;
    return profile == SRTP_AES128_CM_SHA1_80 ? 14 : GCM_IV_SIZE;
}

/* RFC 3711 4.3.1: the keystream of AES-CM from the label combined with the salt. GCM's shorter salt
 * is padded with zeros (RFC 7714 11). */
static bool derive(evp_cipher_ctx *cipher, const uint8_t salt[14], int label, uint8_t *out,
                   size_t size) {
    uint8_t iv[BLOCK_SIZE] = {0};
    memcpy(iv, salt, 14);
    iv[7] ^= (uint8_t)label;
    memset(out, 0, size);
    return cipher_count(cipher, iv, out, size);
}

bool srtp_derive(srtp_profile profile, const uint8_t *master, srtp_keys *out) {
    size_t key_size = srtp_key_size(profile), salt_size = srtp_salt_size(profile);
    uint8_t salt[14] = {0};
    if (key_size == 0)
        return false;
    *out = (srtp_keys){0};
    memcpy(salt, master + key_size, salt_size);
    evp_cipher_ctx *cipher = cipher_new(key_size == 16 ? AES_128_CTR : AES_256_CTR, master);
    bool done = cipher != NULL;
    for (int of = 0, label = 0; of < OF_END && done; of++, label += 3)
        done = derive(cipher, salt, label, out->key[of], key_size) &&
               derive(cipher, salt, label + 1, out->auth[of], MAC_SIZE) &&
               derive(cipher, salt, label + 2, out->salt[of], salt_size);
    cipher_free(cipher);
    crypto_wipe(salt, sizeof salt);
    return done;
}

static bool session_init(session *it, srtp_profile profile, const srtp_keys *keys, int of) {
    static const cipher_kind kinds[] = {[SRTP_AES128_CM_SHA1_80] = AES_128_CTR,
                                        [SRTP_AEAD_AES_128_GCM] = AES_128_GCM,
                                        [SRTP_AEAD_AES_256_GCM] = AES_256_GCM};
    memcpy(it->salt, keys->salt[of], srtp_salt_size(profile));
    it->cipher = cipher_new(kinds[profile], keys->key[of]);
    return it->cipher != NULL && hmac_key_init(&it->hmac, keys->auth[of], MAC_SIZE);
}

srtp *srtp_new_with(srtp_profile profile, const srtp_keys *keys) {
    srtp *it = srtp_key_size(profile) == 0 ? NULL : calloc(1, sizeof *it);
    if (it == NULL)
        return NULL;
    it->is_gcm = profile != SRTP_AES128_CM_SHA1_80;
    it->tag_size = it->is_gcm ? GCM_TAG_SIZE : SHA1_80_TAG;
    for (int of = 0; of < OF_END; of++)
        if (!session_init(&it->of[of], profile, keys, of)) {
            srtp_free(it);
            return NULL;
        }
    return it;
}

srtp *srtp_new(srtp_profile profile, const uint8_t *key) {
    srtp_keys keys;
    srtp *it = srtp_derive(profile, key, &keys) ? srtp_new_with(profile, &keys) : NULL;
    crypto_wipe(&keys, sizeof keys);
    return it;
}

void srtp_free(srtp *it) {
    if (it == NULL)
        return;
    for (int of = 0; of < OF_END; of++) {
        cipher_free(it->of[of].cipher);
        hmac_key_free(&it->of[of].hmac);
    }
    crypto_wipe(it, sizeof *it);
    free(it);
}
