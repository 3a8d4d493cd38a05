#include "stun.h"

#include "srtp.h"

#define HEADER 20
#define ATTRIBUTE 4 /* type and length */
#define MAX_MESSAGE 1500
#define COOKIE 0x2112a442u
#define BINDING_REQUEST 0x0001
#define BINDING_RESPONSE 0x0101
#define BINDING_ERROR 0x0111
#define MAC_SIZE 20
#define FINGERPRINT_XOR 0x5354554eu
#define MAX_ATTRIBUTES 16
#define CHECK_INTERVAL 5.0
/* Of a peer-reflexive candidate (RFC 8445 5.1.2); nobody needs it once a pair is chosen. */
#define HOST_PRIORITY 0x6e0001ffu

enum { /* RFC 8489 18.3, RFC 8445 16.1 */
    USERNAME = 0x0006,
    MESSAGE_INTEGRITY = 0x0008,
    XOR_MAPPED_ADDRESS = 0x0020,
    PRIORITY = 0x0024,
    USE_CANDIDATE = 0x0025,
    OPTIONAL = 0x8000, /* from here on unknown types may be ignored */
    FINGERPRINT = 0x8028,
    ICE_CONTROLLED = 0x8029,
    ICE_CONTROLLING = 0x802a,
};

typedef struct attribute {
    uint16_t type;
    uint16_t size;
    const uint8_t *value;
    size_t at, end; /* in the message, with its padding */
} attribute;

/* Where in the message it is signed; 0: not seen. */
typedef struct request {
    bool named;
    size_t signed_at;
} request;

/* CRC-32 of ISO 3309, four bits at a time: a check comes every few seconds. */
static uint32_t crc32(const uint8_t *data, size_t size) {
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static size_t padded(size_t size) { return (size + 3) & ~(size_t)3; }

/* The attribute at `at`; false where it runs over the end. */
static bool read_attribute(const uint8_t *data, size_t size, size_t at, attribute *out) {
    if (size - at < ATTRIBUTE)
        return false;
    out->type = read16(data + at);
    out->size = read16(data + at + 2);
    out->value = data + at + ATTRIBUTE;
    out->at = at;
    out->end = at + ATTRIBUTE + padded(out->size);
    return out->end <= size;
}

/* RFC 8445 7.2.2: the receiver's fragment, a colon, the sender's. */
static bool is_our_name(const stun_agent *it, const attribute *one) {
    size_t local = strlen(it->local_ufrag), remote = strlen(it->remote_ufrag);
    return one->size == local + 1 + remote && memcmp(one->value, it->local_ufrag, local) == 0 &&
           one->value[local] == ':' &&
           memcmp(one->value + local + 1, it->remote_ufrag, remote) == 0;
}

/* RFC 8489 14.7: over all before it, as the header says once it is there, which it is. */
static bool is_right_fingerprint(const uint8_t *data, const attribute *one) {
    return one->size == 4 && read32(one->value) == (crc32(data, one->at) ^ FINGERPRINT_XOR);
}

/* Whether the request stays ours with this attribute: known, right, and at its place. */
static bool take(const stun_agent *it, const attribute *one, request *into) {
    switch (one->type) {
    case USERNAME: {
        bool once = !into->named;
        into->named = true;
        return once && is_our_name(it, one);
    }
    case MESSAGE_INTEGRITY:
        into->signed_at = one->at;
        return one->size == MAC_SIZE;
    case PRIORITY:
        return one->size == 4;
    case USE_CANDIDATE: /* of the pair that is nominated already */
        return one->size == 0;
    case ICE_CONTROLLED: /* RFC 8445 7.3.1.1: with our own role it is a conflict */
        return it->controlling && one->size == 8;
    case ICE_CONTROLLING:
        return !it->controlling && one->size == 8;
    default:
        return one->type >= OPTIONAL && one->type != FINGERPRINT;
    }
}

/* Behind the signature the fingerprint alone may come, and nothing behind that. */
static bool read_request(const stun_agent *it, const uint8_t *data, size_t size, request *out) {
    attribute one;
    size_t at = HEADER;
    while (at < size && out->signed_at == 0) {
        if (!read_attribute(data, size, at, &one) || !take(it, &one, out))
            return false;
        at = one.end;
    }
    if (at < size)
        return read_attribute(data, size, at, &one) && one.type == FINGERPRINT &&
               one.end == size && is_right_fingerprint(data, &one);
    return true;
}

/* RFC 8489 14.5: over all before it, the header's length being that of a message it ends. */
static bool is_signed(const uint8_t *key, size_t key_size, const uint8_t *data, size_t signed_at) {
    uint8_t covered[MAX_MESSAGE], mac[MAC_SIZE];
    const uint8_t *claimed = data + signed_at + ATTRIBUTE;
    memcpy(covered, data, signed_at);
    write16(covered + 2, (uint32_t)(signed_at - HEADER + ATTRIBUTE + MAC_SIZE));
    if (!hmac_sha1(key, key_size, covered, signed_at, mac))
        return false;
    uint8_t difference = 0; /* all are looked at, so that time tells nothing */
    for (size_t i = 0; i < MAC_SIZE; i++)
        difference |= mac[i] ^ claimed[i];
    return difference == 0;
}

static uint8_t *open_attribute(uint8_t *out, size_t *at, uint16_t type, uint16_t size) {
    uint8_t *start = out + *at;
    write16(start, type);
    write16(start + 2, size);
    *at += ATTRIBUTE + size;
    write16(out + 2, (uint32_t)(*at - HEADER));
    return start + ATTRIBUTE;
}

/* RFC 8489 14.2: combined with the cookie, and with the transaction behind it. */
static void write_address(uint8_t *out, size_t *at, const uint8_t *address, size_t address_size,
                          uint16_t port) {
    uint8_t *value = open_attribute(out, at, XOR_MAPPED_ADDRESS, (uint16_t)(4 + address_size));
    value[0] = 0;
    value[1] = address_size == 4 ? 1 : 2;
    write16(value + 2, port ^ (COOKIE >> 16));
    for (size_t i = 0; i < address_size; i++)
        value[4 + i] = address[i] ^ out[4 + i];
}

/* RFC 8489 14.5 and 14.7: what ends a message. */
static bool sign(const uint8_t *key, size_t key_size, uint8_t *out, size_t *at, size_t *out_size) {
    size_t before = *at;
    uint8_t *mac = open_attribute(out, at, MESSAGE_INTEGRITY, MAC_SIZE);
    if (!hmac_sha1(key, key_size, out, before, mac))
        return false;
    before = *at;
    uint8_t *check = open_attribute(out, at, FINGERPRINT, 4);
    write32(check, crc32(out, before) ^ FINGERPRINT_XOR);
    *out_size = *at;
    return true;
}

static bool respond(const stun_agent *it, const uint8_t *data, const uint8_t *address,
                    size_t address_size, uint16_t port, uint8_t *out, size_t *out_size) {
    size_t at = HEADER;
    memcpy(out, data, HEADER);
    write16(out, BINDING_RESPONSE);
    write_address(out, &at, address, address_size, port);
    return sign(it->local_key, it->local_key_size, out, &at, out_size);
}

stun_verdict stun_receive(const stun_agent *it, const uint8_t *data, size_t size,
                          const uint8_t *address, size_t address_size, uint16_t port,
                          uint8_t out[STUN_MAX_RESPONSE], size_t *out_size) {
    request found = {0};
    if (size < HEADER || size > MAX_MESSAGE || read16(data) != BINDING_REQUEST ||
        read32(data + 4) != COOKIE || size != HEADER + (size_t)read16(data + 2))
        return STUN_OTHERS;
    if (address_size != 4 && address_size != 16)
        return STUN_OTHERS;
    if (!read_request(it, data, size, &found) || !found.named || found.signed_at == 0 ||
        !is_signed(it->local_key, it->local_key_size, data, found.signed_at) ||
        !respond(it, data, address, address_size, port, out, out_size))
        return STUN_OTHERS;
    return STUN_ANSWERED;
}

bool stun_named(const uint8_t *data, size_t size, const uint8_t **name, size_t *name_size) {
    if (size < HEADER || read16(data) != BINDING_REQUEST || read32(data + 4) != COOKIE)
        return false;
    size_t at = HEADER;
    for (int i = 0; i < MAX_ATTRIBUTES && size - at >= ATTRIBUTE; i++) {
        uint16_t type = read16(data + at), length = read16(data + at + 2);
        at += ATTRIBUTE;
        if (type == USERNAME) {
            size_t there = size - at < length ? size - at : length;
            *name = data + at;
            for (*name_size = 0; *name_size < there; ++*name_size) {
                uint8_t one = data[at + *name_size];
                if (one == ':')
                    break;
                if (one > 127)
                    return false;
            }
            return true;
        }
        if (size - at < padded(length))
            return false;
        at += padded(length);
    }
    return false;
}

/* RFC 7675 5.1: every five seconds, by a fifth more or less. */
static void next_check(stun_check *it, double now) {
    it->due = now + CHECK_INTERVAL * (0.8 + 0.4 * it->transaction[0] / 255);
}

void stun_check_begin(stun_check *it, double now) {
    *it = (stun_check){0};
    next_check(it, now);
}

bool stun_check_write(stun_check *it, const stun_agent *agent,
                      const uint8_t random[STUN_TRANSACTION], double now,
                      uint8_t out[STUN_MAX_REQUEST], size_t *out_size) {
    memcpy(it->transaction, random, STUN_TRANSACTION);
    it->asked = true;
    next_check(it, now);
    size_t at = HEADER, local = strlen(agent->local_ufrag), remote = strlen(agent->remote_ufrag);
    write16(out, BINDING_REQUEST);
    write32(out + 4, COOKIE);
    memcpy(out + 8, random, STUN_TRANSACTION);
    uint8_t *name = open_attribute(out, &at, USERNAME, (uint16_t)(remote + 1 + local));
    memcpy(name, agent->remote_ufrag, remote);
    name[remote] = ':';
    memcpy(name + remote + 1, agent->local_ufrag, local);
    while (at % 4)
        out[at++] = 0;
    write32(open_attribute(out, &at, PRIORITY, 4), HOST_PRIORITY);
    uint8_t *role = open_attribute(out, &at, agent->controlling ? ICE_CONTROLLING : ICE_CONTROLLED, 8);
    write32(role, (uint32_t)(agent->tie_breaker >> 32));
    write32(role + 4, (uint32_t)agent->tie_breaker);
    return sign(agent->remote_key, agent->remote_key_size, out, &at, out_size);
}

/* Where the message is signed; 0: nowhere. */
static size_t signature_of(const uint8_t *data, size_t size) {
    attribute one;
    for (size_t at = HEADER; at < size && read_attribute(data, size, at, &one); at = one.end)
        if (one.type == MESSAGE_INTEGRITY)
            return one.size == MAC_SIZE ? at : 0;
    return 0;
}

bool stun_check_answered(const stun_check *it, const stun_agent *agent, const uint8_t *data,
                         size_t size, bool *proven) {
    *proven = false;
    if (!it->asked || size < HEADER || read32(data + 4) != COOKIE)
        return false;
    uint16_t type = read16(data);
    if ((type != BINDING_RESPONSE && type != BINDING_ERROR) ||
        memcmp(data + 8, it->transaction, STUN_TRANSACTION) != 0)
        return false;
    size_t signed_at = size <= MAX_MESSAGE ? signature_of(data, size) : 0;
    *proven = type == BINDING_RESPONSE && signed_at != 0 &&
              is_signed(agent->remote_key, agent->remote_key_size, data, signed_at);
    return true;
}
