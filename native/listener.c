#define _GNU_SOURCE
#include "listener.h"

#ifdef __linux__

#include "address.h"
#include "peer.h"

struct listener {
    batch *batch;
};

listener *listener_new(void) {
    listener *it = calloc(1, sizeof *it);
    if (it != NULL && (it->batch = batch_new(PLANE_ROOM)) == NULL) {
        free(it);
        it = NULL;
    }
    return it;
}

void listener_free(listener *it) {
    if (it != NULL)
        free(it->batch);
    free(it);
}

size_t listener_read(listener *it, int fd) {
    batch_restore(it->batch, PLANE_BATCH);
    int got = recvmmsg(fd, it->batch->messages, PLANE_BATCH, MSG_DONTWAIT, NULL);
    return got > 0 ? (size_t)got : 0;
}

const uint8_t *listener_at(const listener *it, size_t index, other *of) {
    address_read(&it->batch->from[index], of);
    of->size = it->batch->messages[index].msg_len;
    return it->batch->pieces[index].iov_base;
}

#else

listener *listener_new(void) { return NULL; }
void listener_free(listener *it) { (void)it; }
size_t listener_read(listener *it, int fd) {
    (void)it, (void)fd;
    return 0;
}
const uint8_t *listener_at(const listener *it, size_t index, other *of) {
    (void)it, (void)index, (void)of;
    return NULL;
}

#endif
