/* STUN fed with any bytes, and with any attributes rightly signed.
 *
 * Bits of the first byte: our role, the address's size, whether to sign what follows, and whether that
 * is an answer. Whatever it is, it is also taken for the answer to a check of ours.
 */
#include "srtp.h"
#include "stun.h"

static void demand(bool true_always) {
    if (!true_always)
        abort();
}

static stun_agent make_agent(bool controlling) {
    stun_agent it = {.local_ufrag = "evtj", .remote_ufrag = "h6vY", .controlling = controlling};
    static const char password[] = "VOkJxbRl1RmTxUk/WvJxBt";
    it.local_key_size = sizeof password - 1;
    memcpy(it.local_key, password, it.local_key_size);
    memcpy(it.remote_key, password, it.local_key_size);
    it.remote_key_size = it.local_key_size;
    return it;
}

/* A Binding request, or its answer, of these attributes and their signature. */
static size_t sign(const stun_agent *it, bool answer, const uint8_t *attributes, size_t size,
                   uint8_t *out) {
    static const uint8_t cookie[] = {0x21, 0x12, 0xa4, 0x42};
    size_t end = 20 + size;
    memset(out, 0, 20);
    out[0] = answer;
    out[1] = 1;
    memcpy(out + 4, cookie, sizeof cookie);
    memcpy(out + 20, attributes, size);
    write16(out + 2, (uint32_t)(size + 24));
    write16(out + end, 0x0008);
    write16(out + end + 2, 20);
    demand(hmac_sha1(it->local_key, it->local_key_size, out, end, out + end + 4));
    return end + 24;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t address[16] = {192, 0, 2, 1};
    uint8_t out[STUN_MAX_RESPONSE];
    size_t out_size = 0;
    if (size == 0 || size > 2000)
        return 0;
    demand(srtp_load(NULL) == NULL);
    stun_agent it = make_agent(data[0] & 1);
    size_t left = size - 1;
    uint8_t *message = malloc(left + 44);
    demand(message != NULL);
    if (data[0] & 4)
        left = sign(&it, data[0] & 8, data + 1, left, message);
    else
        memcpy(message, data + 1, left);
    uint8_t *exact = malloc(left ? left : 1); /* so that reading past it is seen */
    demand(exact != NULL);
    memcpy(exact, message, left);
    stun_verdict verdict = stun_receive(&it, exact, left, address, data[0] & 2 ? 16 : 4, 9, out,
                                        &out_size);
    if (verdict == STUN_ANSWERED)
        demand(out_size >= 64 && out_size <= sizeof out && read16(out + 2) == out_size - 20);
    const uint8_t *name;
    size_t name_size;
    if (stun_named(exact, left, &name, &name_size))
        demand(name >= exact + 24 && name + name_size <= exact + left);
    stun_check check = {.asked = true};
    bool proven;
    if (left >= 20)
        memcpy(check.transaction, exact + 8, sizeof check.transaction);
    if (!stun_check_answered(&check, &it, exact, left, &proven) || read16(exact) != 0x0101)
        demand(!proven);
    free(exact);
    free(message);
    return 0;
}
