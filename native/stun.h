/* Answers connectivity and consent checks once ICE has finished (RFC 8489, 8445 7.3, 7675 5.1).
 *
 * Anything that is not a well-formed Binding request with our credentials, from the nominated address
 * and without a change of pair or role, is left to who set the connection up.
 */
#ifndef SLICER_STUN_H
#define SLICER_STUN_H

#include "core.h"

#define STUN_MAX_RESPONSE 128

typedef struct stun_agent {
    char local_ufrag[260], remote_ufrag[260]; /* RFC 8839: up to 256 */
    uint8_t local_key[260], remote_key[260];  /* ice-pwd: short-term credentials */
    size_t local_key_size, remote_key_size;
    uint64_t tie_breaker;
    bool controlling;
} stun_agent;

typedef enum stun_verdict {
    STUN_OTHERS,   /* not ours to answer: give it to the ICE agent */
    STUN_ANSWERED, /* `out` holds the response */
} stun_verdict;

/* `address`: 4 or 16 bytes of the IP address it came from, in network order; `port` in host order. */
stun_verdict stun_receive(const stun_agent *it, const uint8_t *data, size_t size,
                          const uint8_t *address, size_t address_size, uint16_t port,
                          uint8_t out[STUN_MAX_RESPONSE], size_t *out_size);

/* Whether this is a Binding request that has a user name, and our half of it; what is signed is not
 * looked at. Twin of `named_fragment` in webrtc/lite/agent.py. */
bool stun_named(const uint8_t *data, size_t size, const uint8_t **name, size_t *name_size);

#define STUN_MAX_REQUEST 640
#define STUN_TRANSACTION 12

/* Our own checks of consent (RFC 7675 5.1). What ends a silent peer is its silence, not a check that
 * it does not answer: some who only send answer none. */
typedef struct stun_check {
    double due;
    uint8_t transaction[STUN_TRANSACTION];
    bool asked;
} stun_check;

void stun_check_begin(stun_check *it, double now);
/* Write the next check, its transaction id from `random`; false where it cannot be. */
bool stun_check_write(stun_check *it, const stun_agent *agent,
                      const uint8_t random[STUN_TRANSACTION], double now,
                      uint8_t out[STUN_MAX_REQUEST], size_t *out_size);
/* Whether this is the answer to the last check, whatever it says. `proven`: the peer has signed it. */
bool stun_check_answered(const stun_check *it, const stun_agent *agent, const uint8_t *data,
                         size_t size, bool *proven);

#endif
