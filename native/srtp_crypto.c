#include "srtp_crypto.h"

#include <dlfcn.h>

/* OpenSSL has deprecated SHA1_Init and its kin in 3.0 and exports them all the same. A copied
 * SHA_CTX costs a packet 0.1 µs less than EVP_MD_CTX_copy_ex and 0.2 less than EVP_MAC, and neither
 * memory nor a lock. So they are taken where they are, and EVP where they are not.
 */

typedef struct evp_cipher evp_cipher;
typedef struct evp_md evp_md;

enum { CTRL_GCM_GET_TAG = 0x10, CTRL_GCM_SET_TAG = 0x11 }; /* openssl/evp.h */

static struct {
    void *handle;
    bool use_sha1;
    evp_cipher_ctx *(*EVP_CIPHER_CTX_new)(void);
    void (*EVP_CIPHER_CTX_free)(evp_cipher_ctx *);
    int (*EVP_CIPHER_CTX_ctrl)(evp_cipher_ctx *, int, int, void *);
    int (*EVP_CipherInit_ex)(evp_cipher_ctx *, const evp_cipher *, void *, const uint8_t *,
                             const uint8_t *, int);
    int (*EVP_CipherUpdate)(evp_cipher_ctx *, uint8_t *, int *, const uint8_t *, int);
    int (*EVP_CipherFinal_ex)(evp_cipher_ctx *, uint8_t *, int *);
    const evp_cipher *(*EVP_aes_128_ctr)(void);
    const evp_cipher *(*EVP_aes_256_ctr)(void);
    const evp_cipher *(*EVP_aes_128_gcm)(void);
    const evp_cipher *(*EVP_aes_256_gcm)(void);
    evp_md_ctx *(*EVP_MD_CTX_new)(void);
    void (*EVP_MD_CTX_free)(evp_md_ctx *);
    int (*EVP_MD_CTX_copy_ex)(evp_md_ctx *, const evp_md_ctx *);
    int (*EVP_DigestInit_ex)(evp_md_ctx *, const evp_md *, void *);
    int (*EVP_DigestUpdate)(evp_md_ctx *, const void *, size_t);
    int (*EVP_DigestFinal_ex)(evp_md_ctx *, uint8_t *, unsigned *);
    const evp_md *(*EVP_sha1)(void);
    int (*CRYPTO_memcmp)(const void *, const void *, size_t);
    void (*OPENSSL_cleanse)(void *, size_t);
    void (*ERR_clear_error)(void);
    int (*SHA1_Init)(sha_state *);
    int (*SHA1_Update)(sha_state *, const void *, size_t);
    int (*SHA1_Final)(uint8_t *, sha_state *);
} lib;

typedef void (*any_function)(void);

/* ISO C turns no object pointer into a function pointer; POSIX has them alike. */
static bool find(const char *name, void *where) {
    void *symbol = dlsym(lib.handle, name);
    memcpy(where, &symbol, sizeof(any_function));
    return symbol != NULL;
}

#define FIND(name) find(#name, &lib.name)

static bool find_ciphers(void) {
    return FIND(EVP_CIPHER_CTX_new) && FIND(EVP_CIPHER_CTX_free) && FIND(EVP_CIPHER_CTX_ctrl) &&
           FIND(EVP_CipherInit_ex) && FIND(EVP_CipherUpdate) && FIND(EVP_CipherFinal_ex) &&
           FIND(EVP_aes_128_ctr) && FIND(EVP_aes_256_ctr) && FIND(EVP_aes_128_gcm) &&
           FIND(EVP_aes_256_gcm) && FIND(CRYPTO_memcmp) && FIND(OPENSSL_cleanse) &&
           FIND(ERR_clear_error);
}

static bool find_digests(void) {
    return FIND(EVP_MD_CTX_new) && FIND(EVP_MD_CTX_free) && FIND(EVP_MD_CTX_copy_ex) &&
           FIND(EVP_DigestInit_ex) && FIND(EVP_DigestUpdate) && FIND(EVP_DigestFinal_ex) &&
           FIND(EVP_sha1);
}

static void *open_library(const char *library) {
    if (library == NULL || *library == '\0')
        library = getenv("SLICER_LIBCRYPTO");
    if (library != NULL && *library != '\0')
        return dlopen(library, RTLD_NOW | RTLD_LOCAL);
    void *handle = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    return handle != NULL ? handle : dlopen("libcrypto.so.1.1", RTLD_NOW | RTLD_LOCAL);
}

const char *srtp_load(const char *library) {
    if (lib.handle != NULL)
        return NULL;
    lib.handle = open_library(library);
    if (lib.handle == NULL)
        return "libcrypto (OpenSSL 3 or 1.1) cannot be loaded; SLICER_LIBCRYPTO names its file";
    if (!find_ciphers() || !find_digests()) {
        dlclose(lib.handle);
        lib.handle = NULL;
        return "libcrypto lacks functions of OpenSSL 1.1 and later";
    }
    crypto_use_sha1(true);
    return NULL;
}

void crypto_use_sha1(bool wanted) {
    lib.use_sha1 = wanted && FIND(SHA1_Init) && FIND(SHA1_Update) && FIND(SHA1_Final);
}

bool crypto_equal(const uint8_t *one, const uint8_t *other, size_t size) {
    return lib.CRYPTO_memcmp(one, other, size) == 0;
}

void crypto_wipe(void *data, size_t size) {
    if (lib.handle != NULL)
        lib.OPENSSL_cleanse(data, size);
}

static const evp_cipher *cipher_of(cipher_kind kind) {
    switch (kind) {
    case AES_128_CTR: return lib.EVP_aes_128_ctr();
    case AES_256_CTR: return lib.EVP_aes_256_ctr();
    case AES_128_GCM: return lib.EVP_aes_128_gcm();
    case AES_256_GCM: return lib.EVP_aes_256_gcm();
    }
    return NULL;
}

/* What fails may leave word in a list of the thread's, which others (Python's ssl) take for theirs. */
static bool passed(bool success) {
    if (!success)
        lib.ERR_clear_error();
    return success;
}

evp_cipher_ctx *cipher_new(cipher_kind kind, const uint8_t *key) {
    if (lib.handle == NULL)
        return NULL;
    evp_cipher_ctx *it = lib.EVP_CIPHER_CTX_new();
    if (it != NULL && lib.EVP_CipherInit_ex(it, cipher_of(kind), NULL, key, NULL, 1) == 1)
        return it;
    passed(false);
    cipher_free(it);
    return NULL;
}

void cipher_free(evp_cipher_ctx *it) {
    if (it != NULL)
        lib.EVP_CIPHER_CTX_free(it);
}

/* The key schedule stays; the nonce is all that a packet changes. */
static bool start(evp_cipher_ctx *it, const uint8_t *iv, bool encrypt) {
    return lib.EVP_CipherInit_ex(it, NULL, NULL, NULL, iv, encrypt) == 1;
}

static bool update(evp_cipher_ctx *it, uint8_t *out, const uint8_t *data, size_t size) {
    int written;
    return size == 0 || lib.EVP_CipherUpdate(it, out, &written, data, (int)size) == 1;
}

bool cipher_count(evp_cipher_ctx *it, const uint8_t iv[BLOCK_SIZE], uint8_t *data, size_t size) {
    return passed(start(it, iv, true) && update(it, data, data, size));
}

static bool run(evp_cipher_ctx *it, const aead *what) {
    uint8_t rest[BLOCK_SIZE]; /* stays empty: GCM holds nothing back */
    int written;
    return update(it, NULL, what->header, what->header_size) &&
           update(it, NULL, what->trailer, what->trailer_size) &&
           update(it, what->data, what->data, what->size) &&
           lib.EVP_CipherFinal_ex(it, rest, &written) == 1;
}

bool cipher_seal(evp_cipher_ctx *it, const aead *what, uint8_t tag[GCM_TAG_SIZE]) {
    return passed(start(it, what->iv, true) && run(it, what) &&
                  lib.EVP_CIPHER_CTX_ctrl(it, CTRL_GCM_GET_TAG, GCM_TAG_SIZE, tag) == 1);
}

bool cipher_open(evp_cipher_ctx *it, const aead *what, const uint8_t tag[GCM_TAG_SIZE]) {
    uint8_t expected[GCM_TAG_SIZE];
    memcpy(expected, tag, sizeof expected);
    return passed(start(it, what->iv, false) &&
                  lib.EVP_CIPHER_CTX_ctrl(it, CTRL_GCM_SET_TAG, GCM_TAG_SIZE, expected) == 1 &&
                  run(it, what));
}

/* RFC 2104 2: a key as one block, combined with a byte. Keys longer than a block are hashed. */
#define HMAC_BLOCK 64

static bool digest(const uint8_t *data, size_t size, uint8_t out[MAC_SIZE]) {
    evp_md_ctx *work = lib.EVP_MD_CTX_new();
    bool done = work != NULL && lib.EVP_DigestInit_ex(work, lib.EVP_sha1(), NULL) == 1 &&
                lib.EVP_DigestUpdate(work, data, size) == 1 &&
                lib.EVP_DigestFinal_ex(work, out, NULL) == 1;
    lib.EVP_MD_CTX_free(work);
    return passed(done);
}

static void pad(const uint8_t key[HMAC_BLOCK], uint8_t with, uint8_t out[HMAC_BLOCK]) {
    for (size_t i = 0; i < HMAC_BLOCK; i++)
        out[i] = key[i] ^ with;
}

static void init_low_level(hmac_key *it, const uint8_t ipad[HMAC_BLOCK],
                           const uint8_t opad[HMAC_BLOCK]) {
    lib.SHA1_Init(&it->inner);
    lib.SHA1_Update(&it->inner, ipad, HMAC_BLOCK);
    lib.SHA1_Init(&it->outer);
    lib.SHA1_Update(&it->outer, opad, HMAC_BLOCK);
}

static bool init_evp(hmac_key *it, const uint8_t ipad[HMAC_BLOCK], const uint8_t opad[HMAC_BLOCK]) {
    it->before = lib.EVP_MD_CTX_new();
    it->after = lib.EVP_MD_CTX_new();
    it->work = lib.EVP_MD_CTX_new();
    return passed(it->before != NULL && it->after != NULL && it->work != NULL &&
                  lib.EVP_DigestInit_ex(it->before, lib.EVP_sha1(), NULL) == 1 &&
                  lib.EVP_DigestUpdate(it->before, ipad, HMAC_BLOCK) == 1 &&
                  lib.EVP_DigestInit_ex(it->after, lib.EVP_sha1(), NULL) == 1 &&
                  lib.EVP_DigestUpdate(it->after, opad, HMAC_BLOCK) == 1);
}

bool hmac_key_init(hmac_key *it, const uint8_t *key, size_t size) {
    uint8_t block[HMAC_BLOCK] = {0}, ipad[HMAC_BLOCK], opad[HMAC_BLOCK];
    *it = (hmac_key){0};
    if (lib.handle == NULL || (size > HMAC_BLOCK && !digest(key, size, block)))
        return false;
    if (size <= HMAC_BLOCK && size > 0)
        memcpy(block, key, size);
    pad(block, 0x36, ipad);
    pad(block, 0x5c, opad);
    it->is_low_level = lib.use_sha1;
    bool done = true;
    if (it->is_low_level)
        init_low_level(it, ipad, opad);
    else
        done = init_evp(it, ipad, opad);
    crypto_wipe(block, sizeof block);
    crypto_wipe(ipad, sizeof ipad);
    crypto_wipe(opad, sizeof opad);
    if (!done)
        hmac_key_free(it);
    return done;
}

void hmac_key_free(hmac_key *it) {
    if (lib.handle == NULL)
        return;
    lib.EVP_MD_CTX_free(it->before);
    lib.EVP_MD_CTX_free(it->after);
    lib.EVP_MD_CTX_free(it->work);
    crypto_wipe(it, sizeof *it);
    *it = (hmac_key){0};
}

static bool sign_low_level(const hmac_key *it, const uint8_t *data, size_t size,
                           const uint8_t *more, size_t more_size, uint8_t mac[MAC_SIZE]) {
    sha_state work = it->inner;
    lib.SHA1_Update(&work, data, size);
    lib.SHA1_Update(&work, more, more_size);
    lib.SHA1_Final(mac, &work);
    work = it->outer;
    lib.SHA1_Update(&work, mac, MAC_SIZE);
    return lib.SHA1_Final(mac, &work) == 1;
}

bool hmac_key_sign(const hmac_key *it, const uint8_t *data, size_t size, const uint8_t *more,
                   size_t more_size, uint8_t mac[MAC_SIZE]) {
    if (it->is_low_level)
        return sign_low_level(it, data, size, more, more_size, mac);
    return passed(lib.EVP_MD_CTX_copy_ex(it->work, it->before) == 1 &&
                  lib.EVP_DigestUpdate(it->work, data, size) == 1 &&
                  lib.EVP_DigestUpdate(it->work, more, more_size) == 1 &&
                  lib.EVP_DigestFinal_ex(it->work, mac, NULL) == 1 &&
                  lib.EVP_MD_CTX_copy_ex(it->work, it->after) == 1 &&
                  lib.EVP_DigestUpdate(it->work, mac, MAC_SIZE) == 1 &&
                  lib.EVP_DigestFinal_ex(it->work, mac, NULL) == 1);
}

bool hmac_sha1(const uint8_t *key, size_t key_size, const uint8_t *data, size_t size,
               uint8_t mac[MAC_SIZE]) {
    hmac_key one;
    bool done = hmac_key_init(&one, key, key_size) && hmac_key_sign(&one, data, size, data, 0, mac);
    hmac_key_free(&one);
    return done;
}
