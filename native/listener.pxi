# The listening socket of a port: what hot.pyx includes for the twin of webrtc/lite/admission.py.

from libc.string cimport memcmp

cdef extern from "listener.h" nogil:
    ctypedef struct listener:
        pass
    int PLANE_BATCH
    listener *listener_new()
    void listener_free(listener *it)
    size_t listener_read(listener *it, int fd)
    const uint8_t *listener_at(const listener *it, size_t index, other *of)

cdef extern from "stun.h" nogil:
    bint stun_named(const uint8_t *data, size_t size, const uint8_t **name, size_t *name_size)


cdef class Listener:
    """Reads a listening socket. Raises OSError where there cannot be one."""

    cdef listener *_it
    cdef other _last  # whose address was made last, for a flood mostly has one source
    cdef object _address

    def __cinit__(self):
        self._it = listener_new()
        if self._it == NULL:
            raise OSError("no native listener on this system")

    def __dealloc__(self):
        listener_free(self._it)

    def read(self, int fd, peers, fragments, size_t most):
        """Read *most* datagrams at most, rounded up to a batch: those that `admission.admit` lets
        pass, and how many there were in all."""
        cdef list admitted = []
        cdef set beside = set()
        cdef size_t index, got, total = 0
        while total < most:
            got = listener_read(self._it, fd)
            for index in range(got):
                self._admit(index, peers, fragments, beside, admitted)
            total += got
            if got < <size_t>PLANE_BATCH:
                break
        return admitted, total

    cdef int _admit(
        self, size_t index, peers, fragments, set beside, list admitted
    ) except -1:
        cdef other of
        cdef const uint8_t *name
        cdef size_t size
        cdef const uint8_t *data = listener_at(self._it, index, &of)
        cdef bint named = (
            stun_named(data, of.size, &name, &size)
            and PyBytes_FromStringAndSize(<const char *>name, size).decode() in fragments
        )
        if not named and not peers and not beside:
            return 0
        if self._address is None or not _same(&of, &self._last):
            self._address, self._last = (_host_and_zone(&of), of.number), of
        address = self._address
        if named:
            beside.add(address)
        elif address not in peers and address not in beside:
            return 0
        admitted.append((_bytes(data, of.size), address))
        return 0


cdef bint _same(const other *one, const other *two):
    return (
        one.number == two.number
        and one.scope == two.scope
        and one.address_size == two.address_size
        and memcmp(one.address, two.address, one.address_size) == 0
    )


cdef object _host_and_zone(const other *one):
    host = _host(one)
    if not one.scope:
        return host
    try:
        return f"{host}%{_socket.if_indextoname(one.scope)}"
    except OSError:  # the interface is gone
        return f"{host}%{one.scope}"
