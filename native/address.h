/* Socket addresses and their parts. */
#ifndef SLICER_ADDRESS_H
#define SLICER_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "plane.h"

/* `address`: 4 or 16 bytes in network order; `number`: the port, in host order. Gives the size. */
socklen_t address_write(struct sockaddr_storage *out, const uint8_t *address, uint8_t address_size,
                        uint16_t number, uint32_t scope);
/* The parts of a socket address. */
void address_read(const struct sockaddr_storage *from, other *out);
/* Of the same address and port. */
bool address_equal(const struct sockaddr_storage *one, const struct sockaddr_storage *two);

#endif
