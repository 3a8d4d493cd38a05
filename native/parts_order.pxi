# Twins of one part each: packet, rtx, red, unwrap, ring, nack, reception, mapping, stream.

cimport cython

from slicer.rtp.rtcp.reports import ReportBlock
from slicer.rtp.stream import Ordered


def parse(bytes datagram):
    cdef c_packet it
    refused = packet_parse(&it, <const uint8_t *><const char *>datagram, len(datagram))
    if refused != NOT_REFUSED:
        raise ValueError(reason(refused))
    return reference_packet(&it)


cdef void _found(void *context, int id, const uint8_t *value, size_t size) noexcept:
    (<dict>context)[id] = (<const char *>value)[:size]


def extensions(profile, bytes block):
    cdef c_packet it
    cdef dict found = {}
    borrow_packet(&it, Packet(0, False, 0, 0, 0, b"", profile, block), [])
    it.extension = <const uint8_t *><const char *>block
    packet_extensions(&it, _found, <void *>found)
    return found


def wanted_elements(profile, bytes block, ids):
    """Native only: the elements of these ids, as the bundle finds them."""
    cdef c_packet it
    cdef c_header_elements found
    cdef uint8_t kinds_of[256]
    borrow_packet(&it, Packet(0, False, 0, 0, 0, b"", profile, block), [])
    it.extension = <const uint8_t *><const char *>block
    for number in range(256):
        kinds_of[number] = number in ids
    elements_find(&it, kinds_of, &found)
    return {
        found.of[i].id: (<const char *>found.of[i].value)[: found.of[i].size]
        for i in range(found.count)
    }


def restore(packet, payload_type, ssrc):
    cdef c_packet it
    borrowed = []
    borrow_packet(&it, packet, borrowed)
    return reference_packet(&it) if packet_restore(&it, payload_type, ssrc) else None


def undo(packet, payload_type):
    cdef c_packet it
    cdef c_red found
    borrowed = []
    borrow_packet(&it, packet, borrowed)
    if not red_undo(&it, payload_type, &found):
        raise ValueError("malformed_payload")
    repeated = [reference_packet(&found.repeated[i]) for i in range(found.count)]
    return [reference_packet(&found.primary), *repeated]


cdef class Unwrapper:
    cdef c_unwrapper it
    cdef int bits

    def __init__(self, bits):
        self.bits = bits

    @property
    def last(self):
        return self.it.last if self.it.known else None

    def unwrap(self, value):
        unwrapper_move(&self.it, self.peek(value))
        return self.it.last

    def peek(self, value):
        return unwrapper_peek(&self.it, self.bits, value)


cdef list _turns(c_turns *turns):
    given = []
    for i in range(turns.count):
        given.append((reference_packet(&turns.of[i].packet), turns.of[i].contiguous))
    turns_clear(turns)
    return given


cdef class ReorderRing:
    cdef c_ring it
    cdef c_turns out
    cdef list borrowed

    def __cinit__(self, opening, patience):
        ring_init(&self.it, opening, patience)
        self.borrowed = []

    def __dealloc__(self):
        ring_free(&self.it)
        turns_free(&self.out)

    def insert(self, packet):
        cdef c_packet one
        borrow_packet(&one, packet, self.borrowed)
        return reason(ring_insert(&self.it, &one))

    def skip(self, packet):
        cdef c_packet one
        borrow_packet(&one, packet, self.borrowed)
        return reason(ring_skip(&self.it, &one))

    def pop(self, now):
        ring_pop(&self.it, now, &self.out)
        return self._given()

    def flush(self):
        ring_flush(&self.it, &self.out)
        return self._given()

    def restart(self):
        ring_restart(&self.it)
        self.borrowed = []

    def lacks(self, sequence):
        return ring_lacks(&self.it, sequence)

    def orphans(self):
        ring_orphans(&self.it, &self.out)
        return [packet for packet, _ in _turns(&self.out)]

    def deadline(self):
        return deadline_of(ring_deadline(&self.it))

    @property
    def expects(self):
        return self.it.next if self.it.open else None

    cdef list _given(self):
        given = _turns(&self.out)
        self.borrowed = []
        return given


cdef class NackList:
    cdef c_nack_list it

    def __dealloc__(self):
        nack_free(&self.it)

    def __contains__(self, sequence):
        return nack_contains(&self.it, sequence)

    def asked(self, sequence):
        return nack_asked(&self.it, sequence)

    def receive(self, sequence, now):
        if not nack_receive(&self.it, sequence, now):
            raise MemoryError

    def forget_before(self, sequence):
        nack_forget_before(&self.it, sequence)

    def handle_timer(self, now):
        cdef int64_t due[NACK_MAX_MISSING]
        count = nack_handle_timer(&self.it, now, due)
        return [due[i] for i in range(count)]

    def deadline(self):
        return deadline_of(nack_deadline(&self.it))


cdef class Reception:
    cdef c_reception own
    cdef Stream stream  # whose source it is of, or None

    def __init__(self, ssrc, clock_rate):
        reception_init(&self.own, ssrc, clock_rate)

    cdef c_reception *at(self) except NULL:
        return &self.own if self.stream is None else &self.stream.it.source.reception

    @property
    def ssrc(self):
        return self.at().ssrc

    def receive(self, sequence, timestamp, arrival):
        reception_receive(self.at(), sequence, timestamp, arrival)

    def restart(self):
        reception_restart(self.at())

    def reported(self, ntp, now):
        reception_reported(self.at(), ntp, now)

    def report(self, now):
        block = reception_report(self.at(), now)
        return ReportBlock(
            ssrc=block.ssrc,
            fraction_lost=block.fraction_lost,
            packets_lost=block.packets_lost,
            highest_sequence=block.highest_sequence,
            jitter=block.jitter,
            lsr=block.lsr,
            dlsr=block.dlsr,
        )


cdef class SlidingMinimum:
    cdef c_sliding_minimum it

    def __cinit__(self):
        sliding_minimum_init(&self.it)

    @property
    def value(self):
        return self.it.value

    def add(self, value, now):
        sliding_minimum_add(&self.it, value, now)

    def begin_at(self, value):
        sliding_minimum_begin_at(&self.it, value)


cdef class SuffixMinima:
    cdef c_suffix_minima it

    @property
    def levels(self):
        return [(self.it.levels[i].delay, self.it.levels[i].timestamp) for i in range(self.it.count)]

    @property
    def least(self):
        return suffix_minima_least(&self.it)

    def add(self, delay, timestamp):
        suffix_minima_add(&self.it, delay, timestamp)

    def forget(self, timestamp):
        suffix_minima_forget(&self.it, timestamp)

    def rise(self, threshold):
        cdef int64_t last = 0
        cdef double least = 0.0
        found = suffix_minima_rise(&self.it, threshold, &last, &least)
        return (last if found else None), least


cdef class ClockOffset:
    cdef c_clock_offset it

    def __cinit__(self):
        clock_offset_init(&self.it)

    @property
    def value(self):
        return self.it.value

    @property
    def confirmed(self):
        return self.it.confirmed

    def assume(self, value):
        clock_offset_assume(&self.it, value)

    def confirm(self, value, now):
        clock_offset_confirm(&self.it, value, now)

    def move(self, seconds):
        clock_offset_move(&self.it, seconds)

    def add(self, value, now):
        clock_offset_add(&self.it, value, now)


cdef class TimestampMapper:
    cdef c_mapper *it
    cdef SenderClock sender

    def __init__(self, clock_rate, SenderClock sender):
        self._take(mapper_retain(sender.start(sender.place(), clock_rate)), sender)

    def __dealloc__(self):
        mapper_release(self.it)

    cdef void _take(self, c_mapper *it, SenderClock sender):
        self.it, self.sender = it, sender

    def __eq__(self, other):
        return isinstance(other, TimestampMapper) and self.it == (<TimestampMapper>other).it

    def __hash__(self):
        return hash(<size_t>self.it)

    @property
    def settled(self):
        return self.it.settled

    def arrived(self, timestamp, arrival):
        mapper_arrived(self.it, timestamp, arrival)

    def reported(self, ntp, timestamp, now):
        return mapper_reported(self.it, ntp, timestamp, now)

    def skew(self, timestamp, arrival):
        return mapper_skew(self.it, timestamp, arrival)

    def at(self, timestamp):
        return mapper_at(self.it, timestamp)


cdef TimestampMapper reference_mapper(c_mapper *it, SenderClock sender):
    cdef TimestampMapper made = TimestampMapper.__new__(TimestampMapper)
    made._take(mapper_retain(it), sender)
    return made


cdef class SenderClock:
    cdef c_sender_clock it
    cdef dict places

    def __cinit__(self):
        sender_clock_init(&self.it)
        self.places = {}

    def __dealloc__(self):
        sender_clock_free(&self.it)

    cdef size_t place(self) except? 64:
        """A place of its own for one more stream."""
        cdef size_t place = 0
        if not sender_clock_place(&self.it, &place):
            raise MemoryError
        return place

    cdef c_mapper *start(self, size_t place, double clock_rate) except NULL:
        it = sender_clock_begin(&self.it, place, clock_rate)
        if it == NULL:
            raise MemoryError
        return it

    def begin(self, stream, clock_rate):
        if stream not in self.places:
            self.places[stream] = self.place()
        return reference_mapper(self.start(self.places[stream], clock_rate), self)

    def end(self, stream):
        if stream in self.places:
            sender_clock_end(&self.it, self.places.pop(stream))


cdef class Source:
    """What is known of one SSRC: a view of the stream's present source."""

    cdef Stream stream

    @property
    def ssrc(self):
        return self.stream.it.source.ssrc

    @property
    def last_arrival(self):
        return self.stream.it.source.last_arrival

    @property
    def reception(self):
        cdef Reception view = Reception.__new__(Reception)
        view.stream = self.stream
        return view


@cython.no_gc_clear  # its sender must outlive it
cdef class Stream:
    cdef c_stream *it
    cdef c_parameters native_parameters
    cdef c_ordereds out
    cdef list borrowed
    cdef SenderClock sender
    cdef readonly Counters counters
    cdef readonly object parameters

    def __init__(self, parameters, SenderClock sender):
        self.parameters, self.sender, self.counters = parameters, sender, Counters()
        self.borrowed = []
        fill_parameters(&self.native_parameters, parameters)
        self.it = <c_stream *>calloc(1, sizeof(c_stream))
        if self.it == NULL or not stream_init(
            self.it, &self.native_parameters, &self.counters.of, &sender.it
        ):
            raise MemoryError

    def __dealloc__(self):
        if self.it != NULL:
            stream_free(self.it)
        free(self.it)
        ordereds_free(&self.out)

    @property
    def asleep(self):
        return self.it.asleep

    @property
    def epoch(self):
        return self.it.epoch

    @property
    def mapper(self):
        return reference_mapper(self.it.mapper, self.sender)

    @property
    def source(self):
        cdef Source view = Source.__new__(Source)
        view.stream = self
        return view if self.it.has_source else None

    @property
    def candidates(self):
        return [self.it.candidates.of[i].ssrc for i in range(self.it.candidates.count)]

    @property
    def retired(self):
        return [self.it.retired[i] for i in range(self.it.retired_count)]

    def insert(self, packet):
        cdef c_packet one
        borrow_packet(&one, packet, self.borrowed)
        stream_insert(self.it, &one)

    def drain(self, now):
        stream_drain(self.it, now, &self.out)
        return self._given()

    def flush(self):
        stream_flush(self.it, &self.out)
        return self._given()

    def doze(self, until=float("inf")):
        stream_doze(self.it, until)

    def wake(self):
        stream_wake(self.it)

    def missing(self, now):
        cdef uint16_t missing[NACK_MAX_MISSING]
        count = stream_missing(self.it, now, missing)
        return [missing[i] for i in range(count)]

    def deadline(self):
        return deadline_of(stream_deadline(self.it))

    def would_sleep(self, packet):
        """Native only."""
        cdef c_packet one
        borrowed = []
        borrow_packet(&one, packet, borrowed)
        return stream_would_sleep(self.it, &one)

    cdef list _given(self):
        cdef c_ordered *one
        given = []
        for i in range(self.out.count):
            one = &self.out.of[i]
            given.append(Ordered(
                reference_packet(&one.packet),
                reference_codec(one.codec),
                one.contiguous,
                one.epoch,
                reference_mapper(one.mapper, self.sender),
            ))
        ordereds_clear(&self.out)
        self.borrowed = []
        return given


cdef c_stream **places_of(list streams) except NULL:
    """Where streams are; the caller frees it."""
    found = <c_stream **>calloc(len(streams) + 1, sizeof(c_stream *))
    if found == NULL:
        raise MemoryError
    for i, stream in enumerate(streams):
        found[i] = (<Stream>stream).it
    return found
