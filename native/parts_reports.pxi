# Twins of slicer/rtp/rtcp/reporter.py, and of what it uses of rtcp.py and transport_feedback.py.

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
    void rtcp_write_remb(rtcp_writer *to, uint32_t sender, const uint32_t *ssrcs, size_t count)
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

cdef extern from "reporter.h":
    ctypedef struct c_bool "bool":
        pass
    ctypedef struct c_reporter "reporter":
        char cname[24]
    void reporter_init(c_reporter *it, uint32_t ssrc, c_stream *streams, size_t stream_count,
                       c_counters *counters)
    void reporter_free(c_reporter *it)
    void reporter_arrived(c_reporter *it, const c_packet *packet)
    void reporter_receive(c_reporter *it, const uint8_t *compound, size_t size, double now)
    bint reporter_handle_timer(c_reporter *it, const c_bool *keyframes, double now, c_buffer *out)
    double reporter_deadline(const c_reporter *it)


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

    def remb(self, sender, ssrcs):
        """Always of 100 Mbit/s."""
        cdef uint32_t written[255]
        assert len(ssrcs) <= 255
        for i, ssrc in enumerate(ssrcs):
            written[i] = ssrc
        rtcp_write_remb(&self.to, sender, written, len(ssrcs))

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


cdef class Reporter:
    """Takes the peer's RTCP and makes ours; its streams are moved into one piece of memory."""

    cdef c_reporter it
    cdef readonly Counters counters
    cdef Memory memory
    cdef list streams

    def __init__(self, ssrc, streams, str cname):
        self.counters = Counters()
        self.streams = list(streams)
        self.memory = together(self.streams)
        reporter_init(&self.it, ssrc, self.memory.streams, len(self.streams), &self.counters.of)
        text = cname.encode()
        size = <size_t>len(text)
        assert size < sizeof(self.it.cname)
        memset(self.it.cname, 0, sizeof(self.it.cname))
        memcpy(self.it.cname, <const char *>text, size)

    def __dealloc__(self):
        reporter_free(&self.it)

    def arrived(self, packet):
        cdef c_packet one
        borrowed = []
        borrow_packet(&one, packet, borrowed)
        reporter_arrived(&self.it, &one)

    def receive(self, bytes compound, now):
        data = <const uint8_t *><const char *>compound
        reporter_receive(&self.it, data, len(compound), now)

    def handle_timer(self, keyframes, now):
        cdef c_buffer out
        cdef bytes keyframes_of = bytes(stream in keyframes for stream in self.streams)
        memset(&out, 0, sizeof(out))
        try:
            asked = <const c_bool *><const char *>keyframes_of
            due = reporter_handle_timer(&self.it, asked, now, &out)
            assert due or out.size == 0
            return [(<const char *>out.data)[: out.size]] if due else []
        finally:
            buffer_free(&out)

    def deadline(self):
        return deadline_of(reporter_deadline(&self.it))
