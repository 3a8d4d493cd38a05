/* SRTP and SRTCP (RFC 3711, RFC 7714) through libcrypto.
 *
 * Both directions of one DTLS connection: what the peer sends is unprotected, our RTCP protected.
 * AES_CM_128_HMAC_SHA1_80, AEAD_AES_128_GCM and AEAD_AES_256_GCM.
 *
 * Theory of operation. A sequence number has 16 bits on the wire; the keystream, the nonce and the tag
 * need the packet index of 48 (RFC 3711 3.3.1). Its upper 32 bits, the roll-over counter, are never
 * sent: the receiver guesses them from the newest index it has authenticated, and is right while it has
 * authenticated one of the last 32 768 packets. So state moves by authenticated packets alone. A forged
 * packet could otherwise turn the counter, and no true packet would be authentic from then on. A source
 * of which nothing was authenticated is at its first turn, or at its second one.
 *
 * The plane does not decrypt what nobody reads, and what is not decrypted is not authenticated. So
 * `srtp_may_skip` demands a packet to be authenticated at least every SRTP_UNSEEN indices, far within
 * those 32 768. What is skipped is not entered into the replay window either: it changed nothing that a
 * repetition could change again.
 *
 * The replay window is 1024 packets, as in slicer/webrtc/srtp.py; SRTCP's is 128. libcrypto is found when first needed, with dlopen
 * (libcrypto.so.3, .so.1.1, or what SLICER_LIBCRYPTO names); its few functions are declared in
 * srtp_crypto.c, so no system header is needed.
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

/* For a packet whose payload nobody needs: true where it may be passed over undecrypted. False where it
 * must be unprotected: its SSRC is not known yet, it looks like a repetition, or the packet index has
 * gone on by SRTP_UNSEEN since the last authenticated one. Changes nothing. */
#define SRTP_UNSEEN 1024
bool srtp_may_skip(const srtp *it, const uint8_t *data, size_t size);

/* In place; `data` has SRTP_MAX_TRAILER bytes of room after `size`. False where it cannot be sent. */
bool srtp_protect(srtp *it, uint8_t *data, size_t size, size_t *protected_size);
bool srtp_protect_rtcp(srtp *it, uint8_t *data, size_t size, size_t *protected_size);

/* HMAC-SHA1 of libcrypto, for STUN. False where it fails. */
bool hmac_sha1(const uint8_t *key, size_t key_size, const uint8_t *data, size_t size,
               uint8_t mac[20]);

#endif
