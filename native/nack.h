/* Which packets to ask for again; twin of slicer/rtp/nack.py. Zero-initialised is empty. */
#ifndef SLICER_NACK_H
#define SLICER_NACK_H

#include "core.h"

#define NACK_OVERTAKEN 0.02
#define NACK_INTERVAL 0.1
#define NACK_TRIES 10
#define NACK_MAX_MISSING 512

typedef struct missing {
    int64_t sequence;
    double when;
    int tries;
} missing;

/* The missing ones ascend by sequence number. */
typedef struct nack_list {
    missing *of;
    size_t count, capacity;
    int64_t highest;
    bool known;
} nack_list;

void nack_free(nack_list *it);
bool nack_contains(const nack_list *it, int64_t sequence);
bool nack_asked(const nack_list *it, int64_t sequence);
/* False where there is no memory: those it overtook will not be asked for. */
bool nack_receive(nack_list *it, int64_t sequence, double now);
void nack_forget_before(nack_list *it, int64_t sequence);
/* Write those to ask for now, ascending, into `due` (room for NACK_MAX_MISSING); gives their number. */
size_t nack_handle_timer(nack_list *it, double now, int64_t *due);
double nack_deadline(const nack_list *it);

#endif
