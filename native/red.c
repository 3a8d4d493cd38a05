#include "red.h"

/* Where the headers end and how many there are before the primary's; false where they are malformed. */
static bool read_headers(const packet *it, size_t *count, size_t *position) {
    for (*count = *position = 0; *position < it->size; *position += 4, ++*count) {
        if (!(it->payload[*position] & 0x80)) {
            ++*position;
            return true;
        }
        if (*position + 4 > it->size || *count == RED_MAX_REDUNDANT)
            return false;
    }
    return false;
}

bool red_undo(const packet *it, uint8_t payload_type, red *out) {
    size_t blocks, position, end;
    if (!read_headers(it, &blocks, &position))
        return false;
    end = position;
    for (size_t i = 0; i < blocks; i++)
        end += read32(it->payload + 4 * i) & 0x3FF;
    if (end > it->size)
        return false;
    out->primary = *it;
    out->primary.payload_type = it->payload[position - 1];
    out->primary.payload = it->payload + end;
    out->primary.size = it->size - (uint32_t)end;
    out->primary.memory = NULL;
    out->count = 0;
    for (size_t back = 1; back <= blocks; back++) {
        uint32_t header = read32(it->payload + 4 * (blocks - back));
        uint32_t size = header & 0x3FF, offset = header >> 10 & 0x3FFF;
        end -= size;
        if ((header >> 24 & 0x7F) != payload_type || offset == 0 || size == 0)
            continue;
        out->repeated[out->count++] = (packet){
            .orientation = NO_ORIENTATION, /* what was restored has no header extension */
            .level = NO_LEVEL,
            .arrival = it->arrival,
            .sequence = (it->sequence - (int64_t)back) & 0xFFFF,
            .timestamp = (it->timestamp - (int64_t)offset) & 0xFFFFFFFF,
            .payload = it->payload + end,
            .size = size,
            .ssrc = it->ssrc,
            .payload_type = payload_type,
        };
    }
    return true;
}
