# What the twins share: the declarations, counters, codecs, parameters and packets. C names begin
# with `c_` here, so that the classes may have the reference's names.

from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from collections import Counter
from collections.abc import Mapping

from slicer.rtp.packet import Packet
from slicer.rtp.parameters import AUDIO_LEVEL, MID, ORIENTATION, TRANSPORT_WIDE_CC, Kind


cdef extern from "core.h":
    enum: COUNTERS_END
    enum: NOT_REFUSED
    const double NEVER
    const char **counter_names
    ctypedef struct c_counters "counters":
        uint64_t *of
    ctypedef struct c_buffer "buffer":
        uint8_t *data
        size_t size
    void buffer_free(c_buffer *it)
    ctypedef struct c_unwrapper "unwrapper":
        int64_t last
        bint known
    int64_t unwrapper_peek(const c_unwrapper *it, int bits, int64_t value)
    void unwrapper_move(c_unwrapper *it, int64_t last)

cdef extern from "packet.h":
    ctypedef struct c_packet "packet":
        double arrival
        int64_t sequence, timestamp
        const uint8_t *payload
        const uint8_t *extension
        void *memory
        uint32_t size, ssrc
        uint16_t extension_size, profile
        uint8_t payload_type, orientation
        int8_t level
        bint marker
    ctypedef struct c_turn "turn":
        c_packet packet
        bint contiguous
    ctypedef struct c_turns "turns":
        c_turn *of
        size_t count
    enum:
        NO_ORIENTATION, NO_LEVEL
    ctypedef void extension_found(void *context, int id, const uint8_t *value, size_t size) noexcept
    int packet_parse(c_packet *it, const uint8_t *data, size_t size)
    void packet_extensions(const c_packet *it, extension_found *found, void *context)
    bint packet_keep(c_packet *it)
    void packet_free(c_packet *it)
    bint packet_restore(c_packet *it, uint8_t payload_type, uint32_t ssrc)
    void turns_clear(c_turns *it)
    void turns_free(c_turns *it)

cdef extern from "elements.h":
    enum:
        ELEMENT_MID, ELEMENT_TRANSPORT_CC
    ctypedef struct c_header_element "header_element":
        const uint8_t *value
        uint8_t id, size, kinds
    ctypedef struct c_header_elements "header_elements":
        size_t count
        unsigned kinds
        c_header_element *of
    void elements_find(const c_packet *it, const uint8_t *kinds_of, c_header_elements *found)
cdef extern from "codecs.h" nogil:
    ctypedef struct codec_format:
        const char *name
        int (*duration)(const uint8_t *payload, size_t size)
        int granule
        bint (*starts_keyframe)(const uint8_t *payload, size_t size)
        int (*height)(const uint8_t *payload, size_t size)
    const codec_format **codec_formats
    const codec_format *codec_format_named(const char *name)

cdef extern from "candidates.h":
    ctypedef struct c_candidate "candidate":
        uint32_t ssrc
    ctypedef struct c_candidates "candidates":
        c_candidate *of
        size_t count

cdef extern from "stream.h":
    enum:
        FEEDBACK_NACK, FEEDBACK_PLI, FEEDBACK_FIR, FEEDBACK_REMB, FEEDBACK_TRANSPORT_CC
    ctypedef struct c_codec "codec":
        const codec_format *format
        uint32_t clock_rate, index
        const char *sprop
    ctypedef struct c_parameters "parameters":
        bint video
        const c_codec **codecs
        int16_t *rtx
        int16_t *red
        unsigned feedback
        int *transport_cc_ids
        int *mid_ids
        int *orientation_ids
        int *level_ids
        const char *mid
        size_t mid_size
        uint32_t *ssrcs
        size_t ssrc_count
        uint32_t max_bitrate

cdef extern from "red.h":
    ctypedef struct c_red "red":
        c_packet primary
        c_packet *repeated
        size_t count
    bint red_undo(const c_packet *packet, uint8_t payload_type, c_red *out)

cdef extern from "ring.h":
    ctypedef struct c_ring "ring":
        bint open
        int64_t next
        size_t held
    void ring_init(c_ring *it, double opening, double patience)
    void ring_free(c_ring *it)
    int ring_insert(c_ring *it, c_packet *packet)
    int ring_skip(c_ring *it, c_packet *packet)
    size_t ring_pop(c_ring *it, double now, c_turns *out)
    size_t ring_flush(c_ring *it, c_turns *out)
    void ring_restart(c_ring *it)
    void ring_orphans(c_ring *it, c_turns *out)
    bint ring_lacks(const c_ring *it, int64_t sequence)
    double ring_deadline(c_ring *it)

cdef extern from "nack.h":
    enum: NACK_MAX_MISSING
    ctypedef struct c_nack_list "nack_list":
        size_t count
    void nack_free(c_nack_list *it)
    bint nack_contains(const c_nack_list *it, int64_t sequence)
    bint nack_asked(const c_nack_list *it, int64_t sequence)
    bint nack_receive(c_nack_list *it, int64_t sequence, double now)
    void nack_forget_before(c_nack_list *it, int64_t sequence)
    size_t nack_handle_timer(c_nack_list *it, double now, int64_t *due)
    double nack_deadline(const c_nack_list *it)

cdef extern from "reception.h":
    ctypedef struct c_report_block "report_block":
        uint32_t ssrc
        uint8_t fraction_lost
        int64_t packets_lost
        uint32_t highest_sequence, jitter, lsr, dlsr
    ctypedef struct c_reception "reception":
        uint32_t ssrc
    void reception_init(c_reception *it, uint32_t ssrc, double clock_rate)
    void reception_receive(c_reception *it, int64_t sequence, int64_t timestamp, double arrival)
    void reception_restart(c_reception *it)
    void reception_reported(c_reception *it, uint64_t ntp, double now)
    c_report_block reception_report(c_reception *it, double now)

cdef extern from "minima.h":
    ctypedef struct c_sliding_minimum "sliding_minimum":
        double value
    void sliding_minimum_init(c_sliding_minimum *it)
    void sliding_minimum_add(c_sliding_minimum *it, double value, double now)
    void sliding_minimum_begin_at(c_sliding_minimum *it, double value)
    ctypedef struct c_level "level":
        double delay
        int64_t timestamp
    ctypedef struct c_suffix_minima "suffix_minima":
        c_level *levels
        size_t count
    double suffix_minima_least(const c_suffix_minima *it)
    void suffix_minima_add(c_suffix_minima *it, double delay, int64_t timestamp)
    void suffix_minima_forget(c_suffix_minima *it, int64_t timestamp)
    bint suffix_minima_rise(const c_suffix_minima *it, double threshold, int64_t *last,
                            double *least)

cdef extern from "clock_offset.h":
    ctypedef struct c_clock_offset "clock_offset":
        double value
        bint confirmed
    void clock_offset_init(c_clock_offset *it)
    void clock_offset_assume(c_clock_offset *it, double value)
    void clock_offset_confirm(c_clock_offset *it, double value, double now)
    void clock_offset_move(c_clock_offset *it, double seconds)
    void clock_offset_add(c_clock_offset *it, double value, double now)

cdef extern from "mapping.h":
    ctypedef struct c_mapper "mapper":
        size_t references
        int64_t settled
    ctypedef struct c_sender_clock "sender_clock":
        size_t count
    void sender_clock_init(c_sender_clock *it)
    void sender_clock_free(c_sender_clock *it)
    bint sender_clock_place(c_sender_clock *it, size_t *place)
    void sender_clock_end(c_sender_clock *it, size_t place)
    c_mapper *sender_clock_begin(c_sender_clock *it, size_t stream, double clock_rate)
    c_mapper *mapper_retain(c_mapper *it)
    void mapper_release(c_mapper *it)
    void mapper_arrived(c_mapper *it, int64_t timestamp, double arrival)
    bint mapper_reported(c_mapper *it, double ntp, int64_t timestamp, double now)
    double mapper_skew(const c_mapper *it, int64_t timestamp, double arrival)
    double mapper_at(const c_mapper *it, int64_t timestamp)

cdef extern from "stream.h":
    ctypedef struct c_source "source":
        uint32_t ssrc
        c_unwrapper sequences, timestamps
        c_reception reception
        bint has_nacks
        c_nack_list nacks
        c_ring ring
        double last_arrival
    ctypedef struct c_ordered "ordered":
        c_packet packet
        const c_codec *codec
        c_mapper *mapper
        int64_t epoch
        bint contiguous
    ctypedef struct c_ordereds "ordereds":
        c_ordered *of
        size_t count
    void ordereds_clear(c_ordereds *it)
    void ordereds_free(c_ordereds *it)
    ctypedef struct c_stream "stream":
        void *owner
        bint asleep, has_source
        int64_t epoch
        c_mapper *mapper
        c_source source
        c_candidates candidates
        uint32_t *retired
        size_t retired_count
    bint stream_init(c_stream *it, const c_parameters *parameters, c_counters *counters,
                     c_sender_clock *sender)
    void stream_free(c_stream *it)
    void stream_insert(c_stream *it, c_packet *packet)
    void stream_drain(c_stream *it, double now, c_ordereds *out)
    void stream_flush(c_stream *it, c_ordereds *out)
    void stream_doze(c_stream *it, double until)
    void stream_wake(c_stream *it)
    size_t stream_missing(c_stream *it, double now, uint16_t *missing)
    double stream_deadline(c_stream *it)
    bint stream_would_sleep(const c_stream *it, const c_packet *packet)


cdef class Counters:
    """How often each thing happened, by name; the face of a Counter that others count in."""

    cdef c_counters of

    def __getitem__(self, str name):
        for i in range(COUNTERS_END):
            if counter_names[i].decode() == name:
                return self.of.of[i]
        return 0

    def __iter__(self):
        return iter([counter_names[i].decode() for i in range(COUNTERS_END) if self.of.of[i]])

    def __len__(self):
        return sum(1 for i in range(COUNTERS_END) if self.of.of[i])

    def __eq__(self, other):
        return Counter(self) == Counter(other)

    def __repr__(self):
        return repr(Counter(self))

    def keys(self):
        return list(self)

    def items(self):
        return [(name, self[name]) for name in self]

    def values(self):
        return [self[name] for name in self]

    def get(self, name, default=None):
        return self[name] or default


Mapping.register(Counters)


# A codec's identity is its address, so what once had one keeps it: [codec, its sprop], by id.
cdef dict _codec_places = {}
cdef list _codecs = []


cdef const c_codec *native_codec(codec) except NULL:
    """The codec of a reference's Codec: always the same one."""
    if id(codec) not in _codec_places:
        sprop = codec.parameter_sets.encode()
        made = <c_codec *>calloc(1, sizeof(c_codec))
        if made == NULL:
            raise MemoryError
        made.format = codec_format_named(codec.name.encode())
        made.clock_rate = codec.clock_rate
        made.index = len(_codecs)
        made.sprop = sprop
        _codecs.append((codec, sprop))
        _codec_places[id(codec)] = <size_t>made
    return <const c_codec *><size_t>_codec_places[id(codec)]


cdef reference_codec(const c_codec *codec):
    return _codecs[codec.index][0]


cdef dict _mids = {}  # what C strings point into
cdef dict _FEEDBACK = {
    "nack": FEEDBACK_NACK, "nack pli": FEEDBACK_PLI, "ccm fir": FEEDBACK_FIR,
    "goog-remb": FEEDBACK_REMB, "transport-cc": FEEDBACK_TRANSPORT_CC,
}


cdef int fill_parameters(c_parameters *it, parameters) except -1:
    """What the reference's RtpParameters say."""
    memset(it, 0, sizeof(c_parameters))
    it.video = parameters.kind is Kind.VIDEO
    for number in range(128):
        it.rtx[number] = parameters.rtx.get(number, -1)
        it.red[number] = parameters.red.get(number, -1)
        if number in parameters.codecs:
            it.codecs[number] = native_codec(parameters.codecs[number])
    for said in parameters.feedback:
        it.feedback |= <unsigned>_FEEDBACK.get(said, 0)
    for place in range(14):
        it.transport_cc_ids[place] = extension_id(parameters, TRANSPORT_WIDE_CC, place)
        it.mid_ids[place] = extension_id(parameters, MID, place)
        it.orientation_ids[place] = extension_id(parameters, ORIENTATION, place)
        it.level_ids[place] = extension_id(parameters, AUDIO_LEVEL, place)
    cdef bytes mid = _mids.setdefault(parameters.mid, parameters.mid.encode())
    it.mid, it.mid_size = mid, <size_t>len(mid)
    for place, ssrc in enumerate(parameters.ssrcs):
        it.ssrcs[place] = <uint32_t>ssrc
    it.ssrc_count = <size_t>len(parameters.ssrcs)
    it.max_bitrate = parameters.max_bitrate
    return 0


cdef int extension_id(parameters, uri, int place) except? -1:
    """The id of this place among those of a header extension; -1 where there is none."""
    ids = [number for number, what in parameters.extensions.items() if what == uri]
    return ids[place] if place < len(ids) else -1


cdef int borrow_packet(c_packet *it, packet, list borrowed) except -1:
    """The packet on the bytes of a reference's Packet, which `borrowed` keeps alive."""
    cdef bytes payload = bytes(packet.payload)
    cdef bytes extension = bytes(packet.extension)
    memset(it, 0, sizeof(c_packet))
    it.arrival = packet.arrival
    it.sequence, it.timestamp = packet.sequence, packet.timestamp
    it.payload, it.size = <const uint8_t *><const char *>payload, <uint32_t>len(payload)
    it.extension = <const uint8_t *><const char *>extension
    it.extension_size = <uint16_t>len(extension)
    it.profile, it.ssrc = packet.profile, packet.ssrc
    it.payload_type, it.marker = packet.payload_type, packet.marker
    it.orientation = NO_ORIENTATION if packet.orientation is None else packet.orientation
    it.level = NO_LEVEL if packet.level is None else packet.level
    borrowed.append((payload, extension))
    return 0


cdef reference_packet(const c_packet *it):
    return Packet(
        it.payload_type,
        it.marker,
        it.sequence,
        it.timestamp,
        it.ssrc,
        (<const char *>it.payload)[:it.size] if it.size else b"",
        it.profile,
        (<const char *>it.extension)[:it.extension_size] if it.extension_size else b"",
        it.arrival,
        None if it.orientation == NO_ORIENTATION else it.orientation,
        None if it.level == NO_LEVEL else it.level,
    )


cdef reason(int refused):
    """The counter's name, or None for what was not refused."""
    return None if refused == NOT_REFUSED else counter_names[refused].decode()


cdef deadline_of(double deadline):
    return None if deadline == NEVER else deadline


COUNTERS = [counter_names[i].decode() for i in range(COUNTERS_END)]
