/* libFuzzer: any bytes as a datagram; its extensions, its copy, and what it repeats. */
#include "packet.h"

#define CHECK(what) ((what) ? (void)0 : abort())

static void within(const uint8_t *at, size_t size, const uint8_t *data, size_t whole) {
    CHECK(at >= data && size <= whole && at + size <= data + whole);
}

static void found(void *context, int id, const uint8_t *value, size_t size) {
    const packet *it = context;
    CHECK(id > 0 && id < 256);
    within(value, size, it->extension, it->extension_size);
}

static void keep(packet it) {
    const uint8_t *payload = it.payload;
    if (!packet_keep(&it))
        return;
    CHECK(it.memory != NULL && it.payload != payload && it.extension_size == 0);
    CHECK(memcmp(it.payload, payload, it.size) == 0);
    const void *memory = it.memory;
    CHECK(packet_keep(&it) && it.memory == memory);
    if (packet_restore(&it, 96, 1))
        CHECK(it.sequence == read16(payload) && memcmp(it.payload, payload + 2, it.size) == 0);
    packet_free(&it);
    packet_free(&it);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    packet it;
    int refused = packet_parse(&it, data, size);
    CHECK(refused >= NOT_REFUSED && refused < COUNTERS_END);
    if (refused != NOT_REFUSED)
        return 0;
    within(it.payload, it.size, data, size);
    if (it.extension_size)
        within(it.extension, it.extension_size, data, size);
    packet_extensions(&it, found, &it);
    keep(it);
    uint32_t whole = it.size;
    bool restored = packet_restore(&it, 96, 1);
    CHECK(restored == (whole > 2));
    CHECK(!restored || (it.size == whole - 2 && it.payload_type == 96 && it.ssrc == 1));
    return 0;
}
