/* All media of one connection: datagrams in, cuts out; twin of slicer/slicing/bundle.py, which has the
 * theory of operation. Not thread-safe: the plane calls it with the peer's lock held. */
#ifndef SLICER_BUNDLE_H
#define SLICER_BUNDLE_H

#include "audio.h"
#include "spec.h"

#define BUNDLE_MAX_SECTIONS 256

typedef struct bundle bundle;

/* `ssrc`: our own, in RTCP. NULL where there is no memory. */
bundle *bundle_new(uint32_t ssrc);
void bundle_free(bundle *it);
/* Those of this anchor, which it had since it came; 0, which is nobody's number: of all there were, and
 * of the connection. */
void bundle_counters(const bundle *it, uint64_t anchor, counters *sum);
/* When an RTP packet of this anchor last came; -NEVER: none has, or it is not there. */
double bundle_heard(const bundle *it, uint64_t anchor);

/* Replace what this anchor (by the caller's number for it) sends; without sections it is gone. A
 * section whose `parameters` are at the same address as before goes on as it is. They, and the codecs
 * they name, must live until a later call leaves them out. */
void bundle_set_sections(bundle *it, uint64_t anchor, const parameters *const *sections,
                         size_t count, double now, outputs *out);

/* `track`: the caller's number for the track. `slot`: its place. What is not there is ignored. */
void bundle_attach(bundle *it, uint64_t anchor, uint64_t track, uint8_t slot,
                   const slice_spec *spec, double now, outputs *out);
void bundle_detach(bundle *it, uint64_t anchor, uint64_t track, uint8_t slot, double now,
                   outputs *out);

/* Batches: begin with any number of `bundle_take`, end with `bundle_handle_timer`. The bytes of what
 * was taken must live until then. `data` is decrypted RTP or RTCP; `arrival` is when it came. */
void bundle_take(bundle *it, const uint8_t *data, size_t size, double arrival);
void bundle_handle_timer(bundle *it, double now, outputs *out);
void bundle_flush(bundle *it, outputs *out);
double bundle_deadline(const bundle *it); /* NEVER: none */

/* Native only: take an RTP packet by its header alone, undecrypted, where nobody needs its payload;
 * false where it must be decrypted and taken.
 *
 * Most of a video sleeps, and decrypting it would be most of the work. But what is not decrypted is not
 * authenticated either, so such a packet may move only what a forged one could not harm: counters, the
 * reports, and the media time of a stream that sleeps. Whatever teaches the demultiplexer something (a
 * new SSRC, a MID that names another section) or would wake the stream is refused here: a forger who
 * knows the addresses could otherwise give one anchor's SSRC to another, or keep a stream awake. The
 * caller asks `srtp_may_skip` first, which has enough packets authenticated for SRTP's own state. */
bool bundle_pass_over(bundle *it, const uint8_t *data, size_t size, double arrival);

/* Native only: when to read the socket next. `now` or before it: as soon as may be, because a keyframe
 * or a packet was asked for, or because the packet that completes a cut is late. Else the time at which
 * the next cut should be complete, or a hole is given up. NEVER: nothing is expected.
 *
 * The thread does not wait on sockets, so this is what makes a cut punctual. `bundle_deadline` says when
 * the machine has something to do of its own accord, but not when a packet is worth reading.
 *
 * Too late, and a slice is cut a long tick after its end, the grabber asks for a keyframe that is in the
 * socket already, and a repeated packet comes after its hole was given up. Too early for long, and each
 * connection costs a read every tick. Therefore a silent source is not waited for though it was asked,
 * and a cut only for OVERDUE seconds. */
double bundle_expects(const bundle *it, double now);

#endif
