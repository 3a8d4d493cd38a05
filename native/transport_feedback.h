/* Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1): of
 * slicer/rtp/rtcp/transport_feedback.py what a reporter needs. Private to transport_reporter.c. */
#ifndef SLICER_TRANSPORT_FEEDBACK_H
#define SLICER_TRANSPORT_FEEDBACK_H

#include "rtcp.h"
#include "transport_reporter.h"

/* Whether the reference would read this body. */
bool transport_feedback_is_whole(const uint8_t *body, size_t size);

/* Feedbacks in the making: begin, give each sequence number, ascending, and finish. `count` goes on
 * by one with each feedback written. */
typedef struct transport_feedbacks {
    rtcp_writer *to;
    uint32_t sender_ssrc, media_ssrc, count;
    bool begun, arrived;
    int64_t base, reference, last; /* `last` in ticks */
    size_t size;
    int32_t deltas[TRANSPORT_MAX_PACKETS];
} transport_feedbacks;

void transport_feedbacks_begin(transport_feedbacks *it, rtcp_writer *to, uint32_t sender_ssrc,
                               uint32_t media_ssrc, uint32_t count);
/* `seconds`: of its arrival, NAN where it did not come. What is left out counts as missing, too. */
void transport_feedbacks_take(transport_feedbacks *it, int64_t sequence, double seconds);
void transport_feedbacks_finish(transport_feedbacks *it);

#endif
