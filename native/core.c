#include "core.h"

const char *const counter_names[COUNTERS_END] = {
#define X(name) #name,
    COUNTERS(X)
#undef X
};

void *grow(void *of, size_t needed, size_t *capacity, size_t size, size_t fewest) {
    size_t wanted = *capacity ? *capacity : fewest;
    while (wanted < needed)
        wanted *= 2;
    void *moved = realloc(of, wanted * size);
    if (moved != NULL)
        *capacity = wanted;
    return moved;
}

bool buffer_grow(buffer *it, size_t more) {
    size_t wanted = it->size + more;
    if (wanted < it->size)
        return false;
    size_t capacity = it->capacity > 256 ? it->capacity : 256; /* from 1 on, half more is none */
    while (capacity < wanted)
        capacity += capacity / 2;
    uint8_t *data = realloc(it->data, capacity);
    if (data == NULL)
        return false;
    it->data = data;
    it->capacity = capacity;
    return true;
}

bool buffer_append(buffer *it, const void *data, size_t size) {
    if (size == 0)
        return true;
    if (!buffer_reserve(it, size))
        return false;
    memcpy(it->data + it->size, data, size);
    it->size += size;
    return true;
}

void buffer_free(buffer *it) {
    free(it->data);
    *it = (buffer){0};
}
