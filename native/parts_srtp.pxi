# SRTP with the face of pylibsrtp's session, and the answers to STUN.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memcpy, memset

cdef extern from "srtp_crypto.h":
    ctypedef bint srtp_bool "bool"
    ctypedef struct c_srtp "srtp":
        pass
    ctypedef struct srtp_keys:
        uint8_t key[2][32]
        uint8_t salt[2][14]
        uint8_t auth[2][20]
    const char *const srtp_counter_names "counter_names"[]
    const size_t SRTP_MAX_TRAILER
    const char *srtp_load(const char *library)
    size_t srtp_key_size(int profile)
    size_t srtp_salt_size(int profile)
    c_srtp *srtp_new(int profile, const uint8_t *key)
    c_srtp *srtp_new_with(int profile, const srtp_keys *keys)
    srtp_bool srtp_derive(int profile, const uint8_t *master, srtp_keys *out)
    void srtp_free(c_srtp *it)
    int srtp_unprotect(c_srtp *it, uint8_t *data, size_t size, size_t *plain)
    int srtp_unprotect_rtcp(c_srtp *it, uint8_t *data, size_t size, size_t *plain)
    srtp_bool srtp_may_skip(const c_srtp *it, const uint8_t *data, size_t size)
    srtp_bool srtp_protect(c_srtp *it, uint8_t *data, size_t size, size_t *protected_size)
    srtp_bool srtp_protect_rtcp(c_srtp *it, uint8_t *data, size_t size, size_t *protected_size)
    void crypto_use_sha1(srtp_bool wanted)
    srtp_bool c_hmac_sha1 "hmac_sha1"(const uint8_t *key, size_t key_size, const uint8_t *data,
                                 size_t size, uint8_t *mac)

cdef extern from "stun.h":
    ctypedef struct stun_agent:
        char local_ufrag[260]
        char remote_ufrag[260]
        uint8_t local_key[260]
        size_t local_key_size
        srtp_bool controlling
    int stun_receive(const stun_agent *it, const uint8_t *data, size_t size,
                     const uint8_t *address, size_t address_size, uint16_t port,
                     uint8_t *out, size_t *out_size)

ctypedef int (*srtp_open)(c_srtp *, uint8_t *, size_t, size_t *)
ctypedef srtp_bool (*srtp_close)(c_srtp *, uint8_t *, size_t, size_t *)

cdef enum:
    SRTP_BUFFER = 1500  # pylibsrtp's


class SrtpRefused(Exception):
    """A packet was refused; says the counter's name."""


def load_libcrypto(library: str | None = None) -> None:
    """Bind libcrypto; raises OSError where that fails. Does nothing where it is bound."""
    name = b"" if library is None else library.encode()
    cdef const char *why = srtp_load(name)
    if why != NULL:
        raise OSError(why.decode())


def use_sha1(bint wanted) -> None:
    """Choose how HMACs go for sessions made from now on: SHA1_Init and its kin, or EVP."""
    crypto_use_sha1(wanted)


cdef class Srtp:
    """One direction of SRTP and SRTCP."""

    cdef c_srtp *it

    def __cinit__(self, int profile, bytes key, bytes session_salt=None):
        """*key*: master key and salt; with *session_salt*, the session key of RTP and of RTCP."""
        load_libcrypto()
        if srtp_key_size(profile) == 0:
            raise ValueError("no such profile")
        if session_salt is not None:
            self.it = self._with_session_keys(profile, key, session_salt)
        elif <size_t>len(key) < srtp_key_size(profile) + srtp_salt_size(profile):
            raise ValueError("the key is too short")
        else:
            self.it = srtp_new(profile, key)
        if self.it == NULL:
            raise MemoryError

    cdef c_srtp *_with_session_keys(self, int profile, bytes key, bytes salt) except? NULL:
        cdef srtp_keys keys
        memset(&keys, 0, sizeof(keys))
        cdef size_t key_size = srtp_key_size(profile), salt_size = srtp_salt_size(profile)
        if <size_t>len(key) != key_size or <size_t>len(salt) != salt_size:
            raise ValueError("a key's or salt's size is not the profile's")
        for of in range(2):
            memcpy(keys.key[of], <const uint8_t *>key, len(key))
            memcpy(keys.salt[of], <const uint8_t *>salt, len(salt))
        return srtp_new_with(profile, &keys)

    def __dealloc__(self):
        srtp_free(self.it)

    cdef bytes _open(self, srtp_open function, bytes packet):
        cdef uint8_t buffer[SRTP_BUFFER]
        cdef size_t plain = 0
        if len(packet) > SRTP_BUFFER:
            raise ValueError("packet is too long")
        memcpy(buffer, <const uint8_t *>packet, len(packet))
        cdef int refused = function(self.it, buffer, len(packet), &plain)
        if refused >= 0:
            raise SrtpRefused(srtp_counter_names[refused].decode())
        return (<char *>buffer)[:plain]

    cdef bytes _close(self, srtp_close function, bytes packet):
        buffer = bytearray(packet) + bytearray(SRTP_MAX_TRAILER)
        cdef uint8_t[::1] data = buffer
        cdef size_t size = 0
        if not function(self.it, &data[0], len(packet), &size):
            raise ValueError("the packet cannot be sent")
        return bytes(buffer[:size])

    def unprotect(self, bytes packet) -> bytes:
        """The plain packet. Raises SrtpRefused, and ValueError for one of over 1500 bytes."""
        return self._open(srtp_unprotect, packet)

    def unprotect_rtcp(self, bytes packet) -> bytes:
        """The plain compound. Raises SrtpRefused, and ValueError for one of over 1500 bytes."""
        return self._open(srtp_unprotect_rtcp, packet)

    def protect(self, bytes packet) -> bytes:
        """The protected packet. Raises ValueError where it cannot be sent."""
        return self._close(srtp_protect, packet)

    def protect_rtcp(self, bytes packet) -> bytes:
        """The protected compound. Raises ValueError where it cannot be sent."""
        return self._close(srtp_protect_rtcp, packet)

    def may_skip(self, bytes packet) -> bool:
        """Whether a packet that nobody looks into need not be unprotected."""
        return srtp_may_skip(self.it, <const uint8_t *>packet, len(packet))


def srtp_session_keys(int profile, bytes master) -> list[dict[str, bytes]]:
    """What RTP and RTCP are keyed with: key, salt and auth of each."""
    cdef srtp_keys keys
    load_libcrypto()
    cdef size_t key = srtp_key_size(profile), salt = srtp_salt_size(profile)
    if <size_t>len(master) < key + salt or not srtp_derive(profile, master, &keys):
        raise ValueError("no such profile, or its key is too short")
    return [
        {
            "key": (<char *>keys.key[of])[:key],
            "salt": (<char *>keys.salt[of])[:salt],
            "auth": (<char *>keys.auth[of])[:20],
        }
        for of in range(2)
    ]


def hmac_sha1(bytes key, bytes data) -> bytes:
    """RFC 2104 with SHA-1."""
    cdef uint8_t mac[20]
    load_libcrypto()
    if not c_hmac_sha1(key, len(key), data, len(data), mac):
        raise MemoryError
    return (<char *>mac)[:20]


def stun_answer(bytes local_ufrag, bytes remote_ufrag, bytes password, bint controlling,
                bytes data, bytes address, uint16_t port) -> bytes | None:
    """The response to a Binding request, or None for what is not ours to answer."""
    cdef stun_agent agent
    memset(&agent, 0, sizeof(agent))
    cdef uint8_t out[128]
    cdef size_t size = 0
    load_libcrypto()
    if max(len(local_ufrag), len(remote_ufrag), len(password)) > 256:
        raise ValueError("longer than 256 characters")
    memcpy(agent.local_ufrag, <const char *>local_ufrag, len(local_ufrag))
    memcpy(agent.remote_ufrag, <const char *>remote_ufrag, len(remote_ufrag))
    memcpy(agent.local_key, <const char *>password, len(password))
    agent.local_key_size = len(password)
    agent.controlling = controlling
    if not stun_receive(&agent, data, len(data), address, len(address), port, out, &size):
        return None
    return (<char *>out)[:size]
