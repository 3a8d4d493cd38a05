/* SRTP and SRTCP (RFC 3711, RFC 7714) through libcrypto, which is found when first needed.
 *
 * Both directions of one DTLS connection: what the peer sends is unprotected, our RTCP protected.
 * AES_CM_128_HMAC_SHA1_80 and AEAD_AES_128_GCM and AEAD_AES_256_GCM. Replay windows of 128 as libsrtp
 * has. No system header is needed: the few functions of libcrypto are declared in srtp.c and bound
 * with dlopen (libcrypto.so.3, .so.1.1, or what SLICER_LIBCRYPTO names).
 */
#ifndef SLICER_SRTP_H
#define SLICER_SRTP_H

#include "core.h"

typedef enum srtp_profile {
    SRTP_AES128_CM_SHA1_80 = 1, /* RFC 5764 4.1.2 */
    SRTP_AEAD_AES_128_GCM = 7,  /* RFC 7714 14.2 */
    SRTP_AEAD_AES_256_GCM = 8,
} srtp_profile;

#define SRTP_MAX_TRAILER 32 /* an authentication tag and SRTCP's index */

/* Bind libcrypto; NULL, or why it cannot be. Call once before any other, from one thread. */
const char *srtp_load(const char *library);

/* Bytes of master key and salt of a profile; 0 for a profile that is not known. */
size_t srtp_key_size(srtp_profile profile);
size_t srtp_salt_size(srtp_profile profile);

typedef struct srtp srtp; /* one direction */

/* `key`: master key, then master salt. NULL where there is no memory or libcrypto refuses. */
srtp *srtp_new(srtp_profile profile, const uint8_t *key);
void srtp_free(srtp *it); /* NULL is let pass; keys are wiped */

/* In place. NOT_REFUSED with the plain size written, or a counter's number: srtp_authentication,
 * srtp_replayed, srtp_malformed. A refused packet has changed no state (its bytes may have changed).
 */
int srtp_unprotect(srtp *it, uint8_t *data, size_t size, size_t *plain);
int srtp_unprotect_rtcp(srtp *it, uint8_t *data, size_t size, size_t *plain);

/* For a packet that nobody will look into: true where it may be passed over as it is. False where it
 * must be unprotected: its SSRC is not known yet, it looks like a repetition, or the packet index
 * (RFC 3711 3.3.1) has gone on by SRTP_UNSEEN since the last authenticated one. So the roll-over
 * counter is moved by authenticated packets alone and never lost. Changes nothing. */
#define SRTP_UNSEEN 1024
bool srtp_may_skip(const srtp *it, const uint8_t *data, size_t size);

/* In place; `data` has SRTP_MAX_TRAILER bytes of room after `size`. False where it cannot be sent. */
bool srtp_protect(srtp *it, uint8_t *data, size_t size, size_t *protected_size);
bool srtp_protect_rtcp(srtp *it, uint8_t *data, size_t size, size_t *protected_size);

/* HMAC-SHA1 of libcrypto, for STUN. False where it fails. */
bool hmac_sha1(const uint8_t *key, size_t key_size, const uint8_t *data, size_t size,
               uint8_t mac[20]);

#endif
