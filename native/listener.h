/* The listening socket of a port for many peers: what comes to it is read by the batch, and most of it
 * is nobody's. Linux only: elsewhere `listener_new` gives NULL. */
#ifndef SLICER_LISTENER_H
#define SLICER_LISTENER_H

#include "plane.h"

typedef struct listener listener;

listener *listener_new(void);
void listener_free(listener *it);
/* Read what is in this non-blocking socket, a batch at most: how many datagrams. They stay until the
 * next call. An error of the socket, such as an ICMP error of something sent earlier, ends a batch. */
size_t listener_read(listener *it, int fd);
/* One of them, cut off where it is longer than PLANE_ROOM; its address, `offset` and `size`. */
const uint8_t *listener_at(const listener *it, size_t index, other *of);

#endif
