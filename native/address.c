#ifdef __linux__
#include "address.h"

#include <arpa/inet.h>

socklen_t address_write(struct sockaddr_storage *out, const uint8_t *address, uint8_t address_size,
                        uint16_t number, uint32_t scope) {
    memset(out, 0, sizeof *out);
    if (address_size == 4) {
        struct sockaddr_in *four = (struct sockaddr_in *)out;
        four->sin_family = AF_INET;
        four->sin_port = htons(number);
        memcpy(&four->sin_addr, address, 4);
        return sizeof *four;
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(number);
    memcpy(&six->sin6_addr, address, 16);
    six->sin6_scope_id = scope;
    return sizeof *six;
}

void address_read(const struct sockaddr_storage *from, other *out) {
    memset(out, 0, sizeof *out);
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *address = (const struct sockaddr_in *)from;
        memcpy(out->address, &address->sin_addr, 4);
        out->address_size = 4;
        out->number = ntohs(address->sin_port);
    } else {
        const struct sockaddr_in6 *address = (const struct sockaddr_in6 *)from;
        memcpy(out->address, &address->sin6_addr, 16);
        out->address_size = 16;
        out->number = ntohs(address->sin6_port);
        out->scope = address->sin6_scope_id;
    }
}

bool address_equal(const struct sockaddr_storage *one, const struct sockaddr_storage *two) {
    if (one->ss_family != two->ss_family)
        return false;
    if (one->ss_family == AF_INET) {
        const struct sockaddr_in *a = (const void *)one, *b = (const void *)two;
        return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *a = (const void *)one, *b = (const void *)two;
    return a->sin6_port == b->sin6_port && !memcmp(&a->sin6_addr, &b->sin6_addr, 16);
}

#endif
