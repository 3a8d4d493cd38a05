/* What SRTP and STUN need of libcrypto, and the steps of srtp.c that have known answers of their
 * own: RFC 3711 B.2 and RFC 7714 16 and 17 start from session keys, RFC 3711 B.3 ends with them.
 */
#ifndef SLICER_SRTP_CRYPTO_H
#define SLICER_SRTP_CRYPTO_H

#include "srtp.h"

#define MAC_SIZE 20   /* HMAC-SHA1, whole */
#define BLOCK_SIZE 16 /* AES */
#define GCM_IV_SIZE 12
#define GCM_TAG_SIZE 16

/* libcrypto's EVP_CIPHER_CTX and EVP_MD_CTX */
typedef struct evp_cipher_ctx evp_cipher_ctx;
typedef struct evp_md_ctx evp_md_ctx;

typedef enum cipher_kind { AES_128_CTR, AES_256_CTR, AES_128_GCM, AES_256_GCM } cipher_kind;

/* NULL where there is no memory, no libcrypto or it refuses. */
evp_cipher_ctx *cipher_new(cipher_kind kind, const uint8_t *key);
void cipher_free(evp_cipher_ctx *it); /* NULL is let pass */

/* In place; false where libcrypto fails. */
bool cipher_count(evp_cipher_ctx *it, const uint8_t iv[BLOCK_SIZE], uint8_t *data, size_t size);

/* The associated data is `header` and then `trailer`. */
typedef struct aead {
    const uint8_t *iv;
    const uint8_t *header, *trailer;
    size_t header_size, trailer_size;
    uint8_t *data; /* in place */
    size_t size;
} aead;

bool cipher_seal(evp_cipher_ctx *it, const aead *what, uint8_t tag[GCM_TAG_SIZE]);
/* False where the tag is not right. */
bool cipher_open(evp_cipher_ctx *it, const aead *what, const uint8_t tag[GCM_TAG_SIZE]);

/* libcrypto's SHA_CTX takes 96 bytes (all of 1.1 and 3). */
typedef struct sha_state {
    uint32_t words[32];
} sha_state;

/* A key with both of its blocks hashed already (RFC 2104 4): a packet costs its own bytes. */
typedef struct hmac_key {
    bool is_low_level;              /* by SHA1_Init and its kin, else by EVP_Digest… */
    sha_state inner, outer;         /* low level */
    evp_md_ctx *before, *after, *work; /* EVP */
} hmac_key;

bool hmac_key_init(hmac_key *it, const uint8_t *key, size_t size);
void hmac_key_free(hmac_key *it); /* zero-initialised is let pass */
/* Of `data` and then `more`. */
bool hmac_key_sign(const hmac_key *it, const uint8_t *data, size_t size, const uint8_t *more,
                   size_t more_size, uint8_t mac[MAC_SIZE]);

/* Whether two are the same, in a time that does not tell where they differ. */
bool crypto_equal(const uint8_t *one, const uint8_t *other, size_t size);
void crypto_wipe(void *data, size_t size);
/* For tests: false has HMACs go by EVP from now on, as where libcrypto has no SHA1_Init. */
void crypto_use_sha1(bool wanted);

enum { OF_RTP, OF_RTCP, OF_END };

typedef struct srtp_keys {
    uint8_t key[OF_END][32], salt[OF_END][14], auth[OF_END][MAC_SIZE];
} srtp_keys;

/* RFC 3711 4.3 with a derivation rate of 0. */
bool srtp_derive(srtp_profile profile, const uint8_t *master, srtp_keys *out);
srtp *srtp_new_with(srtp_profile profile, const srtp_keys *keys);

#endif
