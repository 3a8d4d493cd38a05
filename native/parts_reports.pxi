# Twins of the reporters in slicer/rtp/rtcp/, and of what they use of its other files.

from slicer.rtp.rtcp import parse as _parse_rtcp

from libc.math cimport NAN


cdef extern from "rtcp.h":
    enum: RTCP_MAX_COUNT
    ctypedef struct rtcp_writer:
        c_buffer *out
        bint failed
    bint rtcp_is_well_formed(const uint8_t *data, size_t size)
    void rtcp_write_receiver_report(rtcp_writer *to, uint32_t ssrc, const c_report_block *blocks,
                                    size_t count)
    void rtcp_write_description(rtcp_writer *to, uint32_t ssrc, const char *cname)
    void rtcp_write_remb(rtcp_writer *to, uint32_t sender, uint32_t bitrate,
                         const uint32_t *ssrcs, size_t count)
    void rtcp_write_nack(rtcp_writer *to, uint32_t sender, uint32_t media,
                         const uint16_t *sequences, size_t count)
    void rtcp_write_picture_loss(rtcp_writer *to, uint32_t sender, uint32_t media)
    void rtcp_write_full_intra(rtcp_writer *to, uint32_t sender, uint32_t media, uint32_t number)

cdef extern from "transport_feedback.h":
    ctypedef struct transport_feedbacks:
        pass
    void transport_feedbacks_begin(transport_feedbacks *it, rtcp_writer *to, uint32_t sender_ssrc,
                                   uint32_t media_ssrc, uint32_t count)
    void transport_feedbacks_take(transport_feedbacks *it, int64_t sequence, double seconds)
    void transport_feedbacks_finish(transport_feedbacks *it)

cdef extern from "transport_reporter.h":
    ctypedef struct c_transport_reporter "transport_reporter":
        bint is_agreed
        double arrivals_at
    void transport_reporter_init(c_transport_reporter *it, uint32_t ssrc, c_counters *counters)
    void transport_reporter_free(c_transport_reporter *it)
    void transport_reporter_arrived(c_transport_reporter *it, uint16_t number, double arrival)
    void transport_reporter_write(c_transport_reporter *it, uint32_t media_ssrc, double now,
                                  rtcp_writer *to)

cdef extern from "audio.h":
    ctypedef struct c_output "output":
        c_buffer transmit "as.transmit"
    ctypedef struct c_outputs "outputs":
        c_output *of
        size_t count
    void outputs_free(c_outputs *it)

cdef extern from "reporter.h":
    ctypedef struct c_bool "bool":
        pass
    ctypedef struct c_reporter "reporter":
        char cname[24]
        c_stream **streams
        size_t stream_count
    void reporter_init(c_reporter *it, uint32_t ssrc, c_transport_reporter *transport,
                       c_counters *counters)
    void reporter_arrived(c_reporter *it, double arrival)
    void reporter_receive(c_reporter *it, const uint8_t *body, double now)
    void reporter_handle_timer(c_reporter *it, const c_bool *keyframes, double now, c_outputs *out)
    double reporter_deadline(const c_reporter *it)
    uint32_t reporter_media_ssrc(const c_reporter *it)


cdef class RtcpWriter:
    """Writes the packets of a compound that the reporter has a writer for."""

    cdef c_buffer out
    cdef rtcp_writer to

    def __cinit__(self):
        memset(&self.out, 0, sizeof(self.out))
        self.to.out = &self.out
        self.to.failed = False

    def __dealloc__(self):
        buffer_free(&self.out)

    def receiver_report(self, ssrc, blocks):
        """At most 31 blocks."""
        cdef c_report_block written[RTCP_MAX_COUNT]
        assert len(blocks) <= RTCP_MAX_COUNT
        for i, block in enumerate(blocks):
            written[i].ssrc = block.ssrc
            written[i].fraction_lost = block.fraction_lost
            written[i].packets_lost = block.packets_lost
            written[i].highest_sequence = block.highest_sequence
            written[i].jitter = block.jitter
            written[i].lsr = block.lsr
            written[i].dlsr = block.dlsr
        rtcp_write_receiver_report(&self.to, ssrc, written, len(blocks))

    def description(self, ssrc, bytes cname):
        """One CNAME of at most 255 bytes, none of them null."""
        assert len(cname) <= 255
        assert 0 not in cname
        rtcp_write_description(&self.to, ssrc, cname)

    def remb(self, sender, bitrate, ssrcs):
        cdef uint32_t written[255]
        assert len(ssrcs) <= 255
        for i, ssrc in enumerate(ssrcs):
            written[i] = ssrc
        rtcp_write_remb(&self.to, sender, bitrate, written, len(ssrcs))

    def nack(self, sender, media, sequences):
        """At most 512 sequence numbers."""
        cdef uint16_t written[NACK_MAX_MISSING]
        assert len(sequences) <= NACK_MAX_MISSING
        for i, sequence in enumerate(sequences):
            written[i] = sequence
        rtcp_write_nack(&self.to, sender, media, written, len(sequences))

    def picture_loss(self, sender, media):
        """RFC 4585 6.3.1."""
        rtcp_write_picture_loss(&self.to, sender, media)

    def full_intra(self, sender, media, number):
        """RFC 5104 4.3.1, one entry."""
        rtcp_write_full_intra(&self.to, sender, media, number)

    def transport_feedback(self, sender, media, count, arrivals):
        """As many as `feedback_for` gives for these arrivals, which ascend."""
        cdef transport_feedbacks feedbacks
        transport_feedbacks_begin(&feedbacks, &self.to, sender, media, count)
        for sequence, seconds in arrivals:
            transport_feedbacks_take(&feedbacks, sequence,
                                     NAN if seconds is None else seconds)
        transport_feedbacks_finish(&feedbacks)

    def compound(self):
        """What was written so far."""
        assert not self.to.failed
        return self.out.data[: self.out.size] if self.out.size else b""


def rtcp_well_formed(bytes data):
    """Whether a compound is taken, or counted as malformed."""
    return rtcp_is_well_formed(data, len(data))


cdef class TransportReporter:
    cdef c_transport_reporter it
    cdef readonly Counters counters
    cdef dict kinds

    def __init__(self, ssrc):
        self.counters, self.kinds = Counters(), {}
        transport_reporter_init(&self.it, ssrc, &self.counters.of)

    def __dealloc__(self):
        transport_reporter_free(&self.it)

    @property
    def is_agreed(self):
        return self.it.is_agreed

    def replace(self, sections):
        self.kinds = {
            number: ELEMENT_TRANSPORT_CC
            for parameters in sections
            for number, uri in parameters.extensions.items()
            if uri == TRANSPORT_WIDE_CC and "transport-cc" in parameters.feedback
        }
        self.it.is_agreed = bool(self.kinds)

    def arrived(self, elements, arrival):
        cdef c_header_elements found
        fill_elements(&found, elements, self.kinds)
        for i in range(found.count):
            if found.of[i].size == 2:
                number = found.of[i].value[0] << 8 | found.of[i].value[1]
                transport_reporter_arrived(&self.it, number, arrival)

    def handle_timer(self, media_ssrc, now):
        cdef RtcpWriter writer = RtcpWriter()
        transport_reporter_write(&self.it, media_ssrc, now, &writer.to)
        compound = writer.compound()
        return _parse_rtcp(compound) if compound else []

    def deadline(self):
        return deadline_of(self.it.arrivals_at)


cdef class Reporter:
    """Its streams may be replaced at any time."""

    cdef c_reporter it
    cdef readonly Counters counters
    cdef TransportReporter transport
    cdef list _streams
    cdef c_stream **places

    def __init__(self, ssrc, streams, str cname, TransportReporter transport):
        self.counters, self.transport = Counters(), transport
        reporter_init(&self.it, ssrc, &transport.it, &self.counters.of)
        self.streams = streams
        text = cname.encode()
        size = <size_t>len(text)
        assert size < sizeof(self.it.cname)
        memset(self.it.cname, 0, sizeof(self.it.cname))
        memcpy(self.it.cname, <const char *>text, size)

    def __dealloc__(self):
        free(self.places)

    @property
    def streams(self):
        return self._streams

    @streams.setter
    def streams(self, streams):
        self._streams = list(streams)
        free(self.places)
        self.places = places_of(self._streams)
        self.it.streams, self.it.stream_count = self.places, len(self._streams)

    @property
    def media_ssrc(self):
        return reporter_media_ssrc(&self.it)

    def arrived(self, packet):
        reporter_arrived(&self.it, packet.arrival)

    def receive(self, report, now):
        cdef bytes body = report.pack()[2]
        reporter_receive(&self.it, <const uint8_t *><const char *>body, now)

    def handle_timer(self, keyframes, now):
        cdef c_outputs out
        cdef bytes keyframes_of = bytes(stream in keyframes for stream in self._streams)
        memset(&out, 0, sizeof(out))
        try:
            asked = <const c_bool *><const char *>keyframes_of
            reporter_handle_timer(&self.it, asked, now, &out)
            return [
                (<const char *>out.of[index].transmit.data)[: out.of[index].transmit.size]
                for index in range(out.count)
            ]
        finally:
            outputs_free(&out)

    def deadline(self):
        return deadline_of(reporter_deadline(&self.it))
