# Sockets, and the thread that reads them: what hot.pyx includes for the twin of webrtc/loop_path.py.

import os as _os
import socket as _socket
from weakref import ref as _weak

from libc.stdint cimport uint16_t
from libc.string cimport memcpy, memset

cdef extern from "plane.h" nogil:
    ctypedef struct plane:
        pass
    ctypedef struct peer:
        pass
    ctypedef struct other:
        uint8_t *address  # an array in truth
        uint8_t address_size
        uint16_t number
        uint32_t scope
        size_t offset, size
    ctypedef struct others:
        other *of
        size_t count
        buffer bytes
    ctypedef struct srtp:
        pass
    ctypedef struct stun_agent:
        char *local_ufrag
        char *remote_ufrag
        uint8_t *local_key
        uint8_t *remote_key
        size_t local_key_size, remote_key_size
        bint controlling
        uint64_t tie_breaker
    ctypedef struct transport:
        int fd
        uint8_t *address
        uint8_t address_size
        uint16_t number
        uint32_t scope
        srtp *inbound
        srtp *outbound
        stun_agent *agent
        bint keep
    plane *plane_new()
    void plane_free(plane *it)
    int plane_fileno(const plane *it)
    size_t plane_ready(plane *it, void **owners, size_t room)
    ctypedef struct plane_stats:
        uint64_t ticks
        uint64_t media
        uint64_t refused
        uint64_t other
        double cpu
    void plane_counts(plane *it, plane_stats *out)
    peer *peer_new(plane *plane, bundle *bundle, void *owner)
    void peer_free(peer *it)
    bint peer_take(peer *it, transport *transport)
    void peer_redirect(peer *it, const uint8_t *address, uint8_t size, uint16_t number,
                       uint32_t scope)
    void peer_release(peer *it)
    void peer_set_sections(peer *it, uint64_t anchor, const parameters *const *sections,
                           size_t count, outputs *out)
    void peer_attach(peer *it, uint64_t anchor, uint64_t track, uint8_t slot,
                     const slice_spec *spec, outputs *out)
    void peer_detach(peer *it, uint64_t anchor, uint64_t track, uint8_t slot, outputs *out)
    void peer_receive(peer *it, const uint8_t *const *data, const size_t *sizes, size_t count,
                      outputs *out)
    void peer_read(peer *it, outputs *out)
    void peer_flush(peer *it, outputs *out)
    void peer_collect(peer *it, outputs *cuts, others *others)
    double peer_heard(peer *it)
    double peer_media_heard(peer *it, uint64_t anchor)
    void peer_counters(peer *it, uint64_t anchor, counters *sum)
    void others_clear(others *it)
    void others_free(others *it)
    const char *srtp_load(const char *library)
    size_t srtp_key_size(int profile)
    size_t srtp_salt_size(int profile)
    srtp *srtp_new(int profile, const uint8_t *key)
    void srtp_free(srtp *it)

cdef enum:
    READY = 64  # peers taken from the plane in one look


def srtp_missing():
    """Why SRTP cannot be undone here: None, or what is wrong with libcrypto."""
    cdef bytes library = _os.environ.get("SLICER_LIBCRYPTO", "").encode()
    cdef const char *name = NULL
    if library:
        name = library
    cdef const char *problem = srtp_load(name)
    return None if problem == NULL else problem.decode()


cdef class Plane:
    """One thread that reads the sockets of all its peers. Raises OSError where there cannot be one."""

    cdef plane *_it

    def __cinit__(self):
        self._it = plane_new()
        if self._it == NULL:
            raise OSError("no native plane on this system")

    def __dealloc__(self):
        if self._it != NULL:
            with nogil:
                plane_free(self._it)

    def fileno(self):
        """Readable while something waits in a peer."""
        return plane_fileno(self._it)

    def ready(self):
        """The owners of the peers in which something waits."""
        cdef void *owners[READY]
        cdef size_t index, count = plane_ready(self._it, owners, READY)
        found = [(<Peer>owners[index]).owner for index in range(count)]
        return [owner for owner in found if owner is not None]

    @property
    def counts(self):
        """How often the thread has looked at its peers, and how many datagrams were given to a
        bundle, refused, or not media."""
        cdef plane_stats found
        plane_counts(self._it, &found)
        return found.ticks, found.media, found.refused, found.other

    @property
    def cpu(self):
        """Seconds of CPU that the thread has used."""
        cdef plane_stats found
        plane_counts(self._it, &found)
        return found.cpu


cdef class Peer:
    """One connection in the plane. *owner* is what `Plane.ready` gives for it.

    A Bundle that was given to a peer is used through the peer alone.
    """

    cdef peer *_it
    cdef readonly Plane plane
    cdef readonly Bundle bundle
    cdef object _owner
    cdef outputs _out
    cdef others _others

    def __cinit__(self, Plane plane not None, Bundle bundle not None, owner):
        self.plane, self.bundle = plane, bundle
        self._owner = _weak(owner)
        bundle._enter()  # for good: it is the peer's
        self._it = peer_new(plane._it, bundle._it, <void *>self)
        if self._it == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self._it != NULL:
            with nogil:
                peer_free(self._it)
        outputs_free(&self._out)
        others_free(&self._others)

    @property
    def owner(self):
        """Who it is of; None once that is gone (it is not kept alive by this)."""
        return self._owner()

    def take(self, int fd, address, keys=None, ice=None):
        """Read this non-blocking UDP socket from now on; the descriptor is the peer's to close.

        *address*: the peer's, (IP address, number); *keys*: (DTLS-SRTP profile, inbound, outbound
        master key and salt), None for plain RTP; *ice*: (ufrag, password, remote ufrag, remote
        password, whether we control, tie breaker), None to leave STUN to the owner. With another
        socket than the first, without either, those given before stay. Raises ValueError, OSError.
        """
        cdef transport link
        memset(&link, 0, sizeof(link))
        link.fd = fd
        try:
            _address(address, link.address, &link.address_size, &link.number, &link.scope)
            link.keep = keys is None and ice is None
            if keys is not None:
                link.inbound = _srtp(keys[0], keys[1])
                link.outbound = _srtp(keys[0], keys[2])
            if ice is not None:
                link.agent = _agent(ice)
        except BaseException:
            srtp_free(link.inbound)
            srtp_free(link.outbound)
            free(link.agent)
            _os.close(fd)
            raise
        cdef bint taken
        with nogil:
            taken = peer_take(self._it, &link)
        if not taken:
            raise OSError("the native plane cannot take a socket: no memory or no thread")

    def redirect(self, address):
        """The peer is at another address."""
        cdef transport link
        _address(address, link.address, &link.address_size, &link.number, &link.scope)
        peer_redirect(self._it, link.address, link.address_size, link.number, link.scope)

    def release(self):
        """Read and send nothing from now on; closes the socket."""
        with nogil:
            peer_release(self._it)

    def set_sections(self, anchor, sections):
        """As Bundle.set_sections, at the present time; RTCP is sent, cuts come back."""
        cdef Change change = Change(self.bundle, anchor, list(sections))
        with nogil:
            peer_set_sections(self._it, change.anchor, change.parameters, change.count, &self._out)
        return change.commit(&self._out)

    def attach(self, track, spec):
        """As Bundle.attach, at the present time; RTCP is sent, cuts come back."""
        cdef uint8_t slot = _slot(track)
        cdef slice_spec wanted = _spec(spec, slot & SLOT_VIDEO)
        cdef uint64_t anchor = self.bundle._anchor(track), number = self.bundle._number(track)
        with nogil:
            peer_attach(self._it, anchor, number, slot, &wanted, &self._out)
        return self.bundle._outputs(&self._out)

    def detach(self, track):
        """As Bundle.detach, at the present time."""
        cdef uint8_t slot = _slot(track)
        cdef uint64_t anchor = self.bundle._anchor(track), number = self.bundle._number(track)
        with nogil:
            peer_detach(self._it, anchor, number, slot, &self._out)
        found = self.bundle._outputs(&self._out)
        self.bundle._forget(track)
        return found

    def receive(self, datagrams):
        """Take decrypted datagrams that came another way."""
        cdef tuple batch = tuple(datagrams)
        cdef size_t index, count = len(batch)
        cdef const uint8_t **data = <const uint8_t **>calloc(count or 1, sizeof(uint8_t *))
        cdef size_t *sizes = <size_t *>calloc(count or 1, sizeof(size_t))
        try:
            if data == NULL or sizes == NULL:
                raise MemoryError
            for index in range(count):
                data[index] = <const uint8_t *>PyBytes_AS_STRING(batch[index])
                sizes[index] = PyBytes_GET_SIZE(batch[index])
            with nogil:
                peer_receive(self._it, data, sizes, count, &self._out)
            return self.bundle._outputs(&self._out)
        finally:
            free(data)
            free(sizes)

    def read(self):
        """What came since the last look."""
        with nogil:
            peer_read(self._it, &self._out)
        return self.bundle._outputs(&self._out)

    def flush(self):
        """Everything that can still be cut."""
        with nogil:
            peer_flush(self._it, &self._out)
        return self.bundle._outputs(&self._out)

    def collect(self):
        """The cuts that wait, and the datagrams that are not ours, each with where it came from."""
        with nogil:
            peer_collect(self._it, &self._out, &self._others)
        found = []
        cdef other *one
        for index in range(self._others.count):
            one = &self._others.of[index]
            data = _bytes(self._others.bytes.data + one.offset, one.size)
            found.append((data, (_host(one), one.number)))
        others_clear(&self._others)
        return self.bundle._outputs(&self._out), found

    @property
    def heard(self):
        """When anything came last that is proven to be the peer's, on the monotonic clock."""
        return peer_heard(self._it)

    def media_heard(self, anchor):
        """As Bundle.heard."""
        return peer_media_heard(self._it, self.bundle._anchors.get(anchor, 0))

    @property
    def counters(self):
        """What was refused, lost or odd, by reason: the bundle's and the peer's own."""
        cdef counters found
        peer_counters(self._it, 0, &found)
        return _counted(&found)

    def counters_of(self, anchor):
        """As Bundle.counters_of."""
        cdef counters found
        if anchor not in self.bundle._anchors:
            return Counter()
        peer_counters(self._it, self.bundle._anchors[anchor], &found)
        return _counted(&found)


cdef object _host(const other *one):
    family = _socket.AF_INET if one.address_size == 4 else _socket.AF_INET6
    return _socket.inet_ntop(family, _bytes(one.address, one.address_size))


cdef int _address(address, uint8_t *out, uint8_t *size, uint16_t *number, uint32_t *scope) except -1:
    host, sep, zone = address[0].partition("%")
    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    cdef bytes packed = _socket.inet_pton(family, host)
    memcpy(out, PyBytes_AS_STRING(packed), len(packed))
    size[0], number[0] = len(packed), address[1]
    scope[0] = _socket.if_nametoindex(zone) if sep and not zone.isdigit() else int(zone or 0)
    return 0


cdef srtp *_srtp(int profile, bytes key) except NULL:
    problem = srtp_missing()
    if problem is not None:
        raise OSError(problem)
    cdef size_t wanted = srtp_key_size(profile) + srtp_salt_size(profile)
    if wanted == 0 or <size_t>len(key) != wanted:
        raise ValueError(f"SRTP profile {profile} with {len(key)} bytes of key and salt")
    cdef srtp *made = srtp_new(profile, <const uint8_t *>PyBytes_AS_STRING(key))
    if made == NULL:
        raise OSError("libcrypto refuses the SRTP key")
    return made


cdef stun_agent *_agent(tuple ice) except NULL:
    cdef bytes ufrag = ice[0].encode(), pwd = ice[1].encode()
    cdef bytes remote_ufrag = ice[2].encode(), remote_pwd = ice[3].encode()
    if max(len(ufrag), len(pwd), len(remote_ufrag), len(remote_pwd)) > 256:
        raise ValueError("ICE credentials of more than 256 characters (RFC 8839 5.4)")
    cdef stun_agent *it = <stun_agent *>calloc(1, sizeof(stun_agent))
    if it == NULL:
        raise MemoryError
    memcpy(it.local_ufrag, PyBytes_AS_STRING(ufrag), len(ufrag))
    memcpy(it.remote_ufrag, PyBytes_AS_STRING(remote_ufrag), len(remote_ufrag))
    memcpy(it.local_key, PyBytes_AS_STRING(pwd), len(pwd))
    memcpy(it.remote_key, PyBytes_AS_STRING(remote_pwd), len(remote_pwd))
    it.local_key_size, it.remote_key_size = len(pwd), len(remote_pwd)
    it.controlling, it.tie_breaker = ice[4], ice[5]
    return it
