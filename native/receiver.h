/* All media of one connection: datagrams in, cuts out; twin of slicer/slicing/receiver.py and track.py.
 */
#ifndef SLICER_RECEIVER_H
#define SLICER_RECEIVER_H

#include "reporter.h"
#include "video.h"

typedef struct receiver receiver;

/* `streams` and the codecs they name outlive it. NULL where there is no memory. */
receiver *receiver_new(const parameters *streams, size_t count, uint32_t ssrc);
void receiver_free(receiver *it);
const counters *receiver_counters(const receiver *it);

/* `track`: the caller's number for who is cut for. A kind that is not sent is ignored. */
void receiver_attach(receiver *it, uint64_t track, bool video, int64_t seconds, double now,
                     outputs *out);
void receiver_detach(receiver *it, uint64_t track, bool video, double now, outputs *out);

/* Batches: begin with any number of `receiver_take`, end with `receiver_handle_timer`. The bytes of
 * what was taken must live until then. `data` is decrypted RTP or RTCP; `arrival` is when it came. */
void receiver_take(receiver *it, const uint8_t *data, size_t size, double arrival);
void receiver_handle_timer(receiver *it, double now, outputs *out);
void receiver_flush(receiver *it, outputs *out);
double receiver_deadline(receiver *it); /* NEVER: none */

/* Native only: take an RTP packet by its header, undecrypted, where nobody needs more of it; false
 * where it has to be decrypted and taken. */
bool receiver_pass_over(receiver *it, const uint8_t *data, size_t size, double arrival);

/* Native only: when to look for packets. Not after `now` where a picture or a packet was asked for, or
 * what completes a cut is late; else when the next cut should be complete or a hole is given up, or
 * NEVER. */
double receiver_expects(receiver *it, double now);

#endif
