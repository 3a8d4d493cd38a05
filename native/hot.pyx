# cython: language_level=3, boundscheck=False, wraparound=False
"""The native plane. `Receiver` has the face of slicer.slicing.receiver.Receiver, and gives the
same objects; Python is touched for what comes out alone."""

from collections import Counter

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from slicer.rtp.parameters import Kind, TRANSPORT_WIDE_CC
from slicer.slicing.outputs import AudioCut, AudioPacket, PictureCut, Transmit
from slicer.slicing.spec import AudioSpec, VideoSpec

cdef extern from "receiver.h" nogil:
    ctypedef struct counters:
        uint64_t of[1]  # COUNTERS_END of them
    int COUNTERS_END
    const char *const counter_names[1]
    double NEVER
    ctypedef struct buffer:
        uint8_t *data
        size_t size

    ctypedef struct codec_format:
        pass
    int FEEDBACK_NACK, FEEDBACK_PLI, FEEDBACK_FIR, FEEDBACK_REMB, FEEDBACK_TRANSPORT_CC
    ctypedef struct codec:
        const codec_format *format
        uint32_t clock_rate, index
        const char *sprop
    ctypedef struct parameters:
        bint video
        const codec *codecs[128]
        int16_t rtx[128]
        unsigned feedback
        int transport_cc_ids[8]

    ctypedef struct audio_packet:
        int64_t timestamp
        uint32_t duration, size
        size_t offset
    ctypedef struct audio_cut:
        uint64_t track
        const codec *codec
        int64_t start, end, epoch
        double began
        audio_packet *packets
        size_t count
        uint8_t *bytes
    ctypedef struct picture_cut:
        uint64_t track
        const codec *codec
        int64_t timestamp, due, epoch
        double began
        buffer frames
        size_t *ends
        size_t count
    ctypedef enum output_kind "int":
        OUTPUT_AUDIO
        OUTPUT_PICTURE
        OUTPUT_TRANSMIT
    ctypedef union output_as:
        audio_cut audio
        picture_cut picture
        buffer transmit
    ctypedef struct output:
        int kind
        output_as as_ "as"
    ctypedef struct outputs:
        output *of
        size_t count
    void outputs_clear(outputs *it)
    void outputs_free(outputs *it)

    ctypedef struct receiver:
        pass
    receiver *receiver_new(const parameters *streams, size_t count, uint32_t ssrc)
    void receiver_free(receiver *it)
    const counters *receiver_counters(const receiver *it)
    void receiver_attach(receiver *it, uint64_t track, bint video, int64_t seconds, double now,
                         outputs *out)
    void receiver_detach(receiver *it, uint64_t track, bint video, double now, outputs *out)
    void receiver_take(receiver *it, const uint8_t *data, size_t size, double arrival)
    void receiver_handle_timer(receiver *it, double now, outputs *out)
    void receiver_flush(receiver *it, outputs *out)
    double receiver_deadline(receiver *it)
    double receiver_expects(receiver *it, double now)
    bint receiver_pass_over(receiver *it, const uint8_t *data, size_t size, double arrival)

cdef extern from "codecs.h" nogil:
    const codec_format *codec_format_named(const char *name)

cdef dict FEEDBACK = {
    "nack": FEEDBACK_NACK, "nack pli": FEEDBACK_PLI, "ccm fir": FEEDBACK_FIR,
    "goog-remb": FEEDBACK_REMB, "transport-cc": FEEDBACK_TRANSPORT_CC,
}
_tuple = tuple.__new__


cdef class Negotiated:
    """The streams of one connection as the C code reads them, and the codecs' own objects."""

    cdef parameters *streams
    cdef codec *codecs
    cdef size_t count
    cdef list objects  # of Codec, by index
    cdef list texts  # what `sprop` points into

    def __cinit__(self, list negotiated):
        cdef dict indices = {}
        self.objects, self.texts = [], []
        for stream in negotiated:
            for each in stream.codecs.values():
                if indices.setdefault(id(each), len(self.objects)) == len(self.objects):
                    self.objects.append(each)
        self.count = len(negotiated)
        self.streams = <parameters *>calloc(self.count or 1, sizeof(parameters))
        self.codecs = <codec *>calloc(len(self.objects) or 1, sizeof(codec))
        if self.streams == NULL or self.codecs == NULL:
            raise MemoryError
        for index, each in enumerate(self.objects):
            self._codec(&self.codecs[index], index, each)
        for index, stream in enumerate(negotiated):
            self._stream(&self.streams[index], stream, indices)

    def __dealloc__(self):
        free(self.streams)
        free(self.codecs)

    cdef int _codec(self, codec *it, uint32_t index, each) except -1:
        if each.clock_rate < 1:
            raise ValueError(f"clock rate {each.clock_rate}")
        sprop = each.parameter_sets
        # What is not base64 is ignored, entry by entry: "?" is none, and ends no text.
        sprop = sprop.replace("\0", "?").encode("ascii", "replace")
        self.texts.append(sprop)
        it.format = codec_format_named(each.name.encode())
        it.clock_rate = each.clock_rate
        it.index = index
        it.sprop = sprop
        return 0

    cdef int _stream(self, parameters *it, stream, dict indices) except -1:
        it.video = stream.kind is Kind.VIDEO
        for payload_type, each in stream.codecs.items():
            it.codecs[_seven_bits(payload_type)] = &self.codecs[<size_t>indices[id(each)]]
        for payload_type in range(128):
            it.rtx[payload_type] = -1
        for payload_type, original in stream.rtx.items():
            it.rtx[_seven_bits(payload_type)] = _seven_bits(original)
        for feedback in stream.feedback:
            it.feedback |= <unsigned>FEEDBACK.get(feedback, 0)
        ids = [number for number, uri in stream.extensions.items() if uri == TRANSPORT_WIDE_CC]
        for index in range(8):
            it.transport_cc_ids[index] = ids[index] if index < len(ids) else -1
        return 0


cdef int _seven_bits(payload_type) except -1:
    if not 0 <= payload_type <= 127:
        raise ValueError(f"payload type {payload_type}")
    return payload_type


cdef struct view:
    const uint8_t *data
    size_t size


cdef class Receiver:
    """The receiving end of one anchor's connection; one thread's at a time."""

    cdef readonly object anchor
    cdef receiver *_it
    cdef Negotiated _negotiated
    cdef dict _numbers, _tracks  # TrackKey → the number it has below, and back
    cdef uint64_t _last_number
    cdef outputs _out
    cdef view *_views  # room for a batch
    cdef size_t _capacity
    cdef bint _busy

    def __cinit__(self, anchor, streams, ssrc):
        self.anchor = anchor
        self._numbers, self._tracks = {}, {}
        self._negotiated = Negotiated(list(streams))
        self._it = receiver_new(self._negotiated.streams, self._negotiated.count, ssrc)
        if self._it == NULL:
            raise MemoryError

    def __dealloc__(self):
        receiver_free(self._it)
        outputs_free(&self._out)
        free(self._views)

    @property
    def counters(self):
        """What was refused, lost or odd, by reason, over all streams."""
        return _counted(receiver_counters(self._it))

    def attach(self, track, spec, double now):
        """Cut this track from now on. A kind the anchor does not send is ignored."""
        cdef bint video = track.kind is Kind.VIDEO
        cdef int64_t seconds = spec.seconds
        assert isinstance(spec, VideoSpec if video else AudioSpec)
        self._enter()
        try:
            receiver_attach(self._it, self._number(track), video, seconds, now, &self._out)
            return self._outputs(&self._out)
        finally:
            self._busy = False

    def detach(self, track, double now):
        """Cut this track no longer; gives its last cut."""
        cdef bint video = track.kind is Kind.VIDEO
        self._enter()
        try:
            receiver_detach(self._it, self._number(track), video, now, &self._out)
            found = self._outputs(&self._out)
            self._forget(track)
            return found
        finally:
            self._busy = False

    def receive(self, datagrams, double now):
        """Take datagrams as they arrived, RTP and RTCP mixed, decrypted."""
        cdef tuple batch = tuple(datagrams)  # ours: what the views show lives as long
        cdef size_t index, count = len(batch)
        self._enter()
        try:
            self._view(batch, count)
            with nogil:
                for index in range(count):
                    receiver_take(self._it, self._views[index].data, self._views[index].size, now)
                receiver_handle_timer(self._it, now, &self._out)
            return self._outputs(&self._out)
        finally:
            self._busy = False

    def handle_timer(self, double now):
        """What has become due: packets in order, holes given up, silence, reports, requests."""
        self._enter()
        try:
            with nogil:
                receiver_handle_timer(self._it, now, &self._out)
            return self._outputs(&self._out)
        finally:
            self._busy = False

    def flush(self, double now):
        """Everything that can still be cut: the connection is over."""
        self._enter()
        try:
            with nogil:
                receiver_flush(self._it, &self._out)
            return self._outputs(&self._out)
        finally:
            self._busy = False

    def pass_over(self, bytes datagram, double now):
        """Native only: whether an RTP packet could be taken by its header, still encrypted."""
        cdef const uint8_t *data = <const uint8_t *>PyBytes_AS_STRING(datagram)
        self._enter()
        found = receiver_pass_over(self._it, data, <size_t>PyBytes_GET_SIZE(datagram), now)
        self._busy = False
        return found

    def expects(self, double now):
        """Native only: when to look for packets; None where no cut is expected."""
        self._enter()
        cdef double first = receiver_expects(self._it, now)
        self._busy = False
        return None if first == NEVER else first

    def deadline(self):
        """When to call `handle_timer` next."""
        self._enter()
        cdef double first = receiver_deadline(self._it)
        self._busy = False
        return None if first == NEVER else first

    cdef int _enter(self) except -1:
        if self._busy:
            raise RuntimeError("another thread is in this Receiver")
        self._busy = True
        return 0

    cdef int _view(self, tuple batch, size_t count) except -1:
        """Note where the datagrams' bytes are."""
        cdef size_t index
        if count > self._capacity:
            free(self._views)
            self._capacity = 0
            self._views = <view *>malloc(count * sizeof(view))
            if self._views == NULL:
                raise MemoryError
            self._capacity = count
        for index in range(count):
            datagram = batch[index]
            if not isinstance(datagram, bytes):
                raise TypeError(f"a datagram is bytes, not {type(datagram).__name__}")
            self._views[index].data = <const uint8_t *>PyBytes_AS_STRING(datagram)
            self._views[index].size = PyBytes_GET_SIZE(datagram)
        return 0

    cdef uint64_t _number(self, track):
        """The number of this track, which the cuts of it will bear."""
        number = self._numbers.get(track)
        if number is None:
            self._last_number += 1
            number = self._numbers[track] = self._last_number
            self._tracks[number] = track
        return number

    cdef int _forget(self, track) except -1:
        """No cut will bear this track's number any more."""
        del self._tracks[self._numbers.pop(track)]
        return 0

    cdef list _outputs(self, outputs *out):
        """As the reference's objects, in their order; *out* is empty then."""
        cdef list found = []
        try:
            for index in range(out.count):
                found.append(self._output(&out.of[index]))
        finally:
            outputs_clear(out)
        return found

    cdef object _output(self, output *one):
        if one.kind == OUTPUT_AUDIO:
            return self._audio(&one.as_.audio)
        if one.kind == OUTPUT_PICTURE:
            return self._picture(&one.as_.picture)
        return Transmit(_bytes(one.as_.transmit.data, one.as_.transmit.size))

    cdef object _audio(self, audio_cut *cut):
        cdef list packets = []
        cdef audio_packet *packet
        for index in range(cut.count):
            packet = &cut.packets[index]
            payload = _bytes(cut.bytes + packet.offset, packet.size)
            packets.append(_tuple(AudioPacket, (packet.timestamp, packet.duration, payload)))
        return AudioCut(
            self._tracks[cut.track], self._negotiated.objects[cut.codec.index], cut.start, cut.end,
            tuple(packets), cut.began, cut.epoch,
        )

    cdef object _picture(self, picture_cut *cut):
        cdef list frames = []
        cdef size_t begin = 0
        for index in range(cut.count):
            frames.append(_bytes(cut.frames.data + begin, cut.ends[index] - begin))
            begin = cut.ends[index]
        return PictureCut(
            self._tracks[cut.track], self._negotiated.objects[cut.codec.index], cut.timestamp,
            cut.due, tuple(frames), cut.began, cut.epoch,
        )


cdef object _counted(const counters *found):
    total = Counter()
    for index in range(COUNTERS_END):
        if found.of[index]:
            total[counter_names[index].decode()] = found.of[index]
    return total


cdef bytes _bytes(const uint8_t *data, size_t size):
    return PyBytes_FromStringAndSize(<const char *>data, <Py_ssize_t>size)


include "levels.pxi"
include "plane.pxi"
