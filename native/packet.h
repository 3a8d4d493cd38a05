/* The RTP packet on the wire (RFC 3550 5.1); twin of slicer/rtp/packet.py and rtx.py.
 *
 * Memory contract: a packet's bytes belong to whoever gave the datagram, until `packet_keep` has
 * copied them. `memory` is that copy, or NULL; `packet_free` frees it and may be called on any packet.
 * A kept packet's header extension is gone: only the reporter reads it, before anything is kept.
 */
#ifndef SLICER_PACKET_H
#define SLICER_PACKET_H

#include "core.h"

#define MAX_DATAGRAM 9000
#define ORIENTATION_BITS 7
#define NO_ORIENTATION 0xFF
#define LEVEL_BITS 127
#define NO_LEVEL (-1)

typedef struct packet {
    double arrival;
    int64_t sequence, timestamp; /* as on the wire until the stream has unwrapped them */
    const uint8_t *payload, *extension;
    void *memory;
    uint32_t size; /* of the payload */
    uint32_t ssrc;
    uint16_t extension_size, profile;
    uint8_t payload_type;
    uint8_t orientation; /* bits F R1 R0 (3GPP TS 26.114 7.4.5), or NO_ORIENTATION */
    int8_t level; /* dB below overload (RFC 6464), or NO_LEVEL */
    bool marker;
} packet;

/* Read a datagram; NOT_REFUSED, or the number of the counter it goes under. `it` is written whole. */
int packet_parse(packet *it, const uint8_t *data, size_t size);

/* RFC 8285: call `found` with each extension element of the packet, in order. */
typedef void extension_found(void *context, int id, const uint8_t *value, size_t size);
void packet_extensions(const packet *it, extension_found *found, void *context);

/* Copy the payload into memory of the packet's own, once. False where there is no memory. */
bool packet_keep(packet *it);

static inline void packet_free(packet *it) {
    if (it->memory == NULL)
        return;
    free(it->memory);
    it->memory = NULL;
    it->payload = NULL;
    it->size = 0;
}

/* RFC 4588 section 4: make a retransmission the packet that it repeats; false where it repeats none. */
bool packet_restore(packet *it, uint8_t payload_type, uint32_t ssrc);

/* Packets in their order, each with whether it follows the one before without a hole. */
typedef struct turn {
    packet packet;
    bool contiguous;
} turn;

typedef struct turns {
    turn *of;
    size_t count, capacity;
} turns;

/* Takes the packet over, also where there is no memory (then it is freed, and false comes back). */
static inline bool turns_add(turns *it, packet *one, bool contiguous) {
    turn *of = grown(it->of, it->count + 1, &it->capacity, sizeof *of, 16);
    if (of == NULL) {
        packet_free(one);
        return false;
    }
    it->of = of;
    of[it->count++] = (turn){*one, contiguous};
    return true;
}

/* Free the packets and forget them; the room stays. */
void turns_clear(turns *it);
void turns_free(turns *it);

#endif
