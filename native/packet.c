#include "packet.h"

#define HEADER 12
#define ONE_BYTE 0xBEDE /* RFC 8285 4.2 */
#define TWO_BYTE 0x100  /* 4.3: the upper twelve bits */

/* The extension behind the CSRCs: moves `start` behind it; false where it does not fit. */
static bool parse_extension(packet *it, const uint8_t *data, size_t *start, size_t end) {
    if (*start + 4 > end)
        return false;
    size_t size = 4 * (size_t)read16(data + *start + 2);
    if (*start + 4 + size > end)
        return false;
    it->profile = read16(data + *start);
    it->extension = data + *start + 4;
    it->extension_size = (uint16_t)size;
    *start += 4 + size;
    return true;
}

int packet_parse(packet *it, const uint8_t *data, size_t size) {
    *it = (packet){.orientation = NO_ORIENTATION, .level = NO_LEVEL};
    if (size < HEADER)
        return COUNT_too_short;
    if (size > MAX_DATAGRAM)
        return COUNT_oversized;
    if (data[0] >> 6 != 2)
        return COUNT_bad_version;
    size_t start = HEADER + 4 * (size_t)(data[0] & 0x0F), end = size;
    if (data[0] & 0x10 && !parse_extension(it, data, &start, end))
        return COUNT_truncated;
    if (start > end)
        return COUNT_truncated;
    if (data[0] & 0x20) {
        size_t padding = data[size - 1];
        if (padding == 0 || padding > end - start)
            return COUNT_bad_padding;
        end -= padding;
    }
    it->payload_type = data[1] & 0x7F;
    it->marker = data[1] > 127;
    it->sequence = read16(data + 2);
    it->timestamp = read32(data + 4);
    it->ssrc = read32(data + 8);
    it->payload = data + start;
    it->size = (uint32_t)(end - start);
    return NOT_REFUSED;
}

static void one_byte(const packet *it, extension_found *found, void *context) {
    const uint8_t *block = it->extension;
    size_t at = 0, size = it->extension_size;
    while (at < size) {
        int id = block[at] >> 4;
        if (block[at] == 0) {
            at++;
            continue;
        }
        if (id == 0 || id == 15) /* a padding with a length, or reserved: the rest is ignored */
            return;
        size_t length = 1 + (size_t)(block[at] & 0x0F);
        if (at + 1 + length <= size)
            found(context, id, block + at + 1, length);
        at += 1 + length;
    }
}

static void two_byte(const packet *it, extension_found *found, void *context) {
    const uint8_t *block = it->extension;
    size_t at = 0, size = it->extension_size;
    while (at < size) {
        if (block[at] == 0) {
            at++;
            continue;
        }
        if (at + 2 > size)
            return;
        size_t length = block[at + 1];
        if (at + 2 + length <= size)
            found(context, block[at], block + at + 2, length);
        at += 2 + length;
    }
}

void packet_extensions(const packet *it, extension_found *found, void *context) {
    if (it->profile == ONE_BYTE)
        one_byte(it, found, context);
    else if (it->profile >> 4 == TWO_BYTE)
        two_byte(it, found, context);
}

bool packet_keep(packet *it) {
    if (it->memory != NULL)
        return true;
    uint8_t *memory = malloc(it->size ? it->size : 1);
    if (memory == NULL)
        return false;
    if (it->size)
        memcpy(memory, it->payload, it->size);
    it->payload = it->memory = memory;
    it->extension = NULL;
    it->extension_size = it->profile = 0;
    return true;
}

bool packet_restore(packet *it, uint8_t payload_type, uint32_t ssrc) {
    if (it->size <= 2)
        return false;
    it->sequence = read16(it->payload);
    it->payload += 2;
    it->size -= 2;
    it->payload_type = payload_type;
    it->ssrc = ssrc;
    return true;
}

void turns_clear(turns *it) {
    for (size_t i = 0; i < it->count; i++)
        packet_free(&it->of[i].packet);
    it->count = 0;
}

void turns_free(turns *it) {
    turns_clear(it);
    free(it->of);
    *it = (turns){0};
}
