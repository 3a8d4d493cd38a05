# Twin of slicer/rtp/demultiplexer.py.


cdef extern from "demultiplexer.h":
    ctypedef struct c_known_ssrc "known_ssrc":
        c_section *section
    ctypedef struct c_section "section":
        c_stream *stream
    ctypedef struct c_demultiplexer "demultiplexer":
        size_t count
    bint demultiplexer_init(c_demultiplexer *it, c_counters *counters)
    void demultiplexer_free(c_demultiplexer *it)
    void demultiplexer_replace(c_demultiplexer *it, c_stream **streams, size_t count, double now)
    c_stream *demultiplexer_route(c_demultiplexer *it, const c_packet *packet,
                                  const c_header_elements *found)
    c_known_ssrc *demultiplexer_find(const c_demultiplexer *it, uint32_t ssrc)
    const c_header_element *demultiplexer_mid(const c_header_elements *found)
    c_stream *demultiplexer_known(c_demultiplexer *it, const c_packet *packet,
                                  const c_header_element *mid)


cdef int fill_elements(c_header_elements *it, elements, dict kinds) except -1:
    """Those that are of a kind, which live as long as `elements`."""
    it.count = it.kinds = 0
    for number, value in elements.items():
        if number not in kinds:
            continue
        it.of[it.count].value = <const uint8_t *><const char *>value
        it.of[it.count].id, it.of[it.count].size = number, len(value)
        it.of[it.count].kinds = kinds[number]
        it.kinds |= <unsigned>kinds[number]
        it.count += 1
    return 0


cdef class Demultiplexer:
    cdef c_demultiplexer it
    cdef readonly Counters counters
    cdef list streams, owners
    cdef dict kinds

    def __init__(self):
        self.owners = []
        self.counters, self.streams, self.kinds = Counters(), [], {}
        if not demultiplexer_init(&self.it, &self.counters.of):
            raise MemoryError

    def __dealloc__(self):
        demultiplexer_free(&self.it)

    def replace(self, streams, now):
        cdef c_stream **places
        self.owners += [one for one in streams.values() if one not in self.owners]
        for stream, owner in streams.items():
            (<Stream>stream).it.owner = <void *>(<size_t>self.owners.index(owner) + 1)
        streams = list(streams)
        places = places_of(streams)
        demultiplexer_replace(&self.it, places, len(streams), now)
        free(places)
        self.streams = streams
        self.kinds = {
            number: ELEMENT_MID
            for stream in streams
            for number, uri in stream.parameters.extensions.items()
            if uri == MID
        }

    def route(self, packet, elements):
        cdef c_packet one
        cdef c_header_elements found
        borrowed = []
        borrow_packet(&one, packet, borrowed)
        fill_elements(&found, elements, self.kinds)
        known = demultiplexer_known(&self.it, &one, demultiplexer_mid(&found))
        stream = demultiplexer_route(&self.it, &one, &found)
        assert known == NULL or known == stream
        return self._of(stream)

    def find(self, ssrc):
        known = demultiplexer_find(&self.it, ssrc)
        return None if known == NULL else self._of(known.section.stream)

    cdef object _of(self, const c_stream *stream):
        for one in self.streams:
            if (<Stream>one).it == stream:
                return one
        return None
