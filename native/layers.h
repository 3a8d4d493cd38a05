/* The layers of simulcast; twin of slicer/rtp/layers.py, which has the theory of operation. */
#ifndef SLICER_LAYERS_H
#define SLICER_LAYERS_H

#include "elements.h"
#include "parameters.h"

#define LAYERS_MAX_SSRCS 16

typedef struct layer_meter {
    uint64_t frames, size;
    int64_t timestamp;
    int height; /* of its last keyframe; 0: not known */
} layer_meter;

typedef struct layers {
    const parameters *parameters;
    counters *counters;
    uint32_t ssrcs[LAYERS_MAX_SSRCS]; /* in the order in which they were named first */
    uint8_t of_ssrcs[LAYERS_MAX_SSRCS];
    size_t ssrc_count;
    layer_meter meters[MAX_LAYERS + 1]; /* the last is that of packets without a name */
    int taken, candidate;               /* -1: none */
    unsigned votes, patience;
    int height; /* that is enough; 0: the largest layer is wanted */
    double ends;
} layers;

/* `parameters` and `counters` outlive it. */
void layers_init(layers *it, const parameters *parameters, counters *counters);
/* Whether this packet, as it was on the wire, is of the layer that is taken. */
bool layers_receive(layers *it, const packet *packet, const header_elements *found);
/* The layer of an SSRC. */
int layers_of(const layers *it, uint32_t ssrc);

#endif
