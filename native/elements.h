/* The header extension elements that matter to a bundle (RFC 8285). Inline: this runs for each packet
 * that has any. */
#ifndef SLICER_ELEMENTS_H
#define SLICER_ELEMENTS_H

#include "packet.h"

#define ELEMENTS_ONE_BYTE 0xBEDE /* RFC 8285 4.2 */
#define ELEMENTS_TWO_BYTE 0x100  /* 4.3: the upper twelve bits */

enum {
    ELEMENT_MID = 1,
    ELEMENT_TRANSPORT_CC = 2,
    ELEMENT_RID = 4,
    ELEMENT_ORIENTATION = 8,
    ELEMENT_LEVEL = 16,
};

typedef struct header_element {
    const uint8_t *value;
    uint8_t id, size, kinds;
} header_element;

/* As the reference's dict holds them: each id once, in the place where it came first, with the value
 * that came last. */
typedef struct header_elements {
    size_t count;
    unsigned kinds; /* of all of them */
    header_element of[255];
} header_elements;

static inline void elements_add(header_elements *it, uint8_t id, uint8_t kinds, const uint8_t *value,
                                size_t size) {
    size_t i = 0;
    while (i < it->count && it->of[i].id != id)
        i++;
    it->count += i == it->count;
    it->kinds |= kinds;
    it->of[i] = (header_element){value, id, (uint8_t)size, kinds};
}

static inline void elements_walk_one_byte(const uint8_t *kinds_of, const packet *packet,
                                          header_elements *found) {
    const uint8_t *block = packet->extension;
    size_t at = 0, size = packet->extension_size;
    while (at < size) {
        uint8_t head = block[at++], id = head >> 4;
        if (head == 0)
            continue;
        if (id == 0 || id == 15) /* a padding with a length, or reserved: the rest is ignored */
            return;
        size_t length = (head & 0x0Fu) + 1;
        if (kinds_of[id] && at + length <= size)
            elements_add(found, id, kinds_of[id], block + at, length);
        at += length;
    }
}

static inline void elements_walk_two_byte(const uint8_t *kinds_of, const packet *packet,
                                          header_elements *found) {
    const uint8_t *block = packet->extension;
    size_t at = 0, size = packet->extension_size;
    while (at < size) {
        uint8_t id = block[at];
        if (id == 0) {
            at++;
            continue;
        }
        if (at + 2 > size)
            return;
        size_t length = block[at + 1];
        if (at + 2 + length <= size && kinds_of[id])
            elements_add(found, id, kinds_of[id], block + at + 2, length);
        at += 2 + length;
    }
}

/* Find those of any kind; `kinds_of` is by their id. `found` is written as far as its count says. */
static inline void elements_find(const packet *it, const uint8_t kinds_of[256],
                                 header_elements *found) {
    found->count = found->kinds = 0;
    if (it->profile == ELEMENTS_ONE_BYTE)
        elements_walk_one_byte(kinds_of, it, found);
    else if (it->profile >> 4 == ELEMENTS_TWO_BYTE)
        elements_walk_two_byte(kinds_of, it, found);
}

#endif
