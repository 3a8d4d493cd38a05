# How much a run of audio packets holds.


def packets_extent(packets):
    """Bytes of their payloads, and ticks that they last; each packet is an `AudioPacket`."""
    cdef Py_ssize_t size = 0
    cdef int64_t ticks = 0
    for packet in packets:
        if not isinstance(packet, tuple) or len(<tuple>packet) != 3:
            raise TypeError("a packet is no AudioPacket")
        ticks += <int64_t>(<tuple>packet)[1]
        size += len(<bytes?>(<tuple>packet)[2])
    return size, ticks
