# cython: language_level=3, boundscheck=False, wraparound=False
"""The native plane. `Bundle` has the face of slicer.slicing.bundle.Bundle, and gives the same
objects; Python is touched for what comes out alone."""

from collections import Counter

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int8_t, int16_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from slicer.errors import BadInput
from slicer.rtp.parameters import (
    AUDIO_LEVEL, Kind, MID, ORIENTATION, REPAIRED_RID, RID, Role, TRANSPORT_WIDE_CC,
)
from slicer.slicing.outputs import (
    AudioCut,
    AudioPacket,
    GroupFrames,
    Missing,
    PictureCut,
    PictureMissing,
    Settled,
    Transmit,
)
from slicer.slicing.spec import AudioSpec, VideoSpec

cdef extern from "bundle.h" nogil:
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
    ctypedef struct c_rid "rid":
        const char *text
        size_t size
    ctypedef struct keyframe_requests:
        pass
    void keyframe_requests_init(keyframe_requests *it)
    double keyframe_requests_last(const keyframe_requests *it)
    bint keyframe_requests_claim(keyframe_requests *it, double now, double interval)
    int MAX_LAYERS, MAX_NAMED_SSRCS, SLOT_VIDEO, SLOT_AUX
    ctypedef struct parameters:
        bint video, aux
        const codec *codecs[128]
        int16_t rtx[128]
        int16_t red[128]
        unsigned feedback
        int transport_cc_ids[14]
        int mid_ids[14]
        int orientation_ids[14]
        int level_ids[14]
        int rid_ids[14]
        const char *mid
        size_t mid_size
        c_rid rids[8]
        size_t rid_count
        uint32_t ssrcs[16]
        size_t ssrc_count
        uint32_t max_bitrate
        keyframe_requests *requests

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
        bint provisional
        int8_t level
    ctypedef struct picture_cut:
        uint64_t track
        const codec *codec
        int64_t timestamp, due, epoch, keyframe
        double began
        buffer frames
        size_t *ends
        size_t count, first
        bint continues, provisional
        uint8_t orientation
    ctypedef struct picture_missing:
        uint64_t track
        int reason
    ctypedef struct settled_cut:
        uint64_t track
        int64_t epoch, start
        double began
    ctypedef enum output_kind "int":
        OUTPUT_AUDIO
        OUTPUT_PICTURE
        OUTPUT_FRAMES
        OUTPUT_MISSING
        OUTPUT_SETTLED
        OUTPUT_TRANSMIT
    ctypedef union output_as:
        audio_cut audio
        picture_cut picture
        picture_missing missing
        settled_cut settled
        buffer transmit
    ctypedef struct output:
        int kind
        output_as as_ "as"
    ctypedef struct outputs:
        output *of
        size_t count
    void outputs_clear(outputs *it)
    void outputs_free(outputs *it)

    ctypedef struct bundle:
        pass
    bundle *bundle_new(uint32_t ssrc)
    void bundle_free(bundle *it)
    void bundle_counters(const bundle *it, uint64_t anchor, counters *sum)
    double bundle_heard(const bundle *it, uint64_t anchor)
    void bundle_set_sections(bundle *it, uint64_t anchor, const parameters *const *sections,
                             size_t count, double now, outputs *out)
    ctypedef struct slice_spec:
        int64_t seconds
        double wait, asks_every
        int max_height
    void bundle_attach(bundle *it, uint64_t anchor, uint64_t track, uint8_t slot,
                       const slice_spec *spec, double now, outputs *out)
    void bundle_detach(bundle *it, uint64_t anchor, uint64_t track, uint8_t slot, double now,
                       outputs *out)
    void bundle_take(bundle *it, const uint8_t *data, size_t size, double arrival)
    void bundle_handle_timer(bundle *it, double now, outputs *out)
    void bundle_flush(bundle *it, outputs *out)
    double bundle_deadline(const bundle *it)
    double bundle_expects(const bundle *it, double now)
    bint bundle_pass_over(bundle *it, const uint8_t *data, size_t size, double arrival)

cdef extern from "codecs.h" nogil:
    const codec_format *codec_format_named(const char *name)

cdef dict FEEDBACK = {
    "nack": FEEDBACK_NACK, "nack pli": FEEDBACK_PLI, "ccm fir": FEEDBACK_FIR,
    "goog-remb": FEEDBACK_REMB, "transport-cc": FEEDBACK_TRANSPORT_CC,
}
_tuple = tuple.__new__


cdef struct view:
    const uint8_t *data
    size_t size


cdef class KeyframeRequests:
    """When a keyframe was last asked for of one source, by whichever task."""

    cdef object __weakref__
    cdef keyframe_requests it

    def __cinit__(self):
        keyframe_requests_init(&self.it)

    @property
    def last(self):
        return keyframe_requests_last(&self.it)

    def claim(self, double now, double interval):
        """Whether one may go out now, *interval* seconds after the last; it is noted then."""
        return keyframe_requests_claim(&self.it, now, interval)


cdef class Bundle:
    """The receiving end of one connection; one thread's at a time."""

    cdef bundle *_it
    cdef object _requests_of
    cdef dict _anchors  # name → the number it has below
    cdef dict _sections  # number of an anchor → its Sections
    cdef dict _codecs  # number of a codec → the Codec
    cdef dict _numbers, _tracks  # TrackKey → the number it has below, and back
    cdef uint64_t _last_anchor, _last_number
    cdef uint32_t _last_codec
    cdef outputs _out
    cdef view *_views  # room for a batch
    cdef size_t _capacity
    cdef bint _busy

    def __cinit__(self, ssrc, requests_of=None):
        self._requests_of = requests_of
        self._anchors, self._sections, self._codecs = {}, {}, {}
        self._numbers, self._tracks = {}, {}
        self._it = bundle_new(ssrc)
        if self._it == NULL:
            raise MemoryError

    def __dealloc__(self):
        bundle_free(self._it)
        outputs_free(&self._out)
        free(self._views)

    @property
    def counters(self):
        """What was refused, lost or odd, by reason, over all anchors there were."""
        cdef counters found
        bundle_counters(self._it, 0, &found)
        return _counted(&found)

    def counters_of(self, anchor):
        """Those of this anchor alone, since it came; none where it is not there."""
        cdef counters found
        if anchor not in self._anchors:
            return Counter()
        bundle_counters(self._it, self._anchors[anchor], &found)
        return _counted(&found)

    def heard(self, anchor):
        """When an RTP packet of this anchor last came; -inf: none has, or it is not there."""
        return bundle_heard(self._it, self._anchors.get(anchor, 0))

    def set_sections(self, anchor, sections, double now):
        """This is all that the anchor sends from now on; none: it is gone. Raises BadInput."""
        cdef Change change
        self._enter()
        try:
            change = Change(self, anchor, list(sections))
            bundle_set_sections(
                self._it, change.anchor, change.parameters, change.count, now, &self._out
            )
            return change.commit(&self._out)
        finally:
            self._busy = False

    def attach(self, track, spec, double now):
        """Cut this track from now on. An anchor or track that is not there is ignored."""
        cdef uint8_t slot = _slot(track)
        cdef slice_spec wanted = _spec(spec, slot & SLOT_VIDEO)
        self._enter()
        try:
            bundle_attach(
                self._it, self._anchor(track), self._number(track), slot, &wanted, now,
                &self._out
            )
            return self._outputs(&self._out)
        finally:
            self._busy = False

    def detach(self, track, double now):
        """Cut this track no longer; gives its last cut."""
        cdef uint8_t slot = _slot(track)
        self._enter()
        try:
            bundle_detach(
                self._it, self._anchor(track), self._number(track), slot, now, &self._out
            )
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
                    bundle_take(self._it, self._views[index].data, self._views[index].size, now)
                bundle_handle_timer(self._it, now, &self._out)
            return self._outputs(&self._out)
        finally:
            self._busy = False

    def handle_timer(self, double now):
        """What has become due: packets in order, holes given up, silence, reports, requests."""
        self._enter()
        try:
            with nogil:
                bundle_handle_timer(self._it, now, &self._out)
            return self._outputs(&self._out)
        finally:
            self._busy = False

    def flush(self, double now):
        """Everything that can still be cut: the connection is over."""
        self._enter()
        try:
            with nogil:
                bundle_flush(self._it, &self._out)
            return self._outputs(&self._out)
        finally:
            self._busy = False

    def pass_over(self, bytes datagram, double now):
        """Native only: whether an RTP packet could be taken by its header, still encrypted."""
        cdef const uint8_t *data = <const uint8_t *>PyBytes_AS_STRING(datagram)
        self._enter()
        found = bundle_pass_over(self._it, data, <size_t>PyBytes_GET_SIZE(datagram), now)
        self._busy = False
        return found

    def expects(self, double now):
        """Native only: when to look for packets; None where no cut is expected."""
        self._enter()
        cdef double first = bundle_expects(self._it, now)
        self._busy = False
        return None if first == NEVER else first

    def deadline(self):
        """When to call `handle_timer` next."""
        self._enter()
        cdef double first = bundle_deadline(self._it)
        self._busy = False
        return None if first == NEVER else first

    cdef int _enter(self) except -1:
        if self._busy:
            raise RuntimeError("another thread is in this Bundle")
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

    cdef uint64_t _anchor(self, track):
        """The number of this track's anchor; 0 where it is not there, which is nobody's."""
        return self._anchors.get(track.anchor, 0)

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
        if one.kind == OUTPUT_FRAMES:
            return self._frames(&one.as_.picture)
        if one.kind == OUTPUT_MISSING:
            return PictureMissing(
                self._tracks[one.as_.missing.track], _MISSING[one.as_.missing.reason]
            )
        if one.kind == OUTPUT_SETTLED:
            return Settled(
                self._tracks[one.as_.settled.track], one.as_.settled.epoch,
                one.as_.settled.start, one.as_.settled.began,
            )
        return Transmit(_bytes(one.as_.transmit.data, one.as_.transmit.size))

    cdef object _audio(self, audio_cut *cut):
        cdef list packets = []
        cdef audio_packet *packet
        for index in range(cut.count):
            packet = &cut.packets[index]
            payload = _bytes(cut.bytes + packet.offset, packet.size)
            packets.append(_tuple(AudioPacket, (packet.timestamp, packet.duration, payload)))
        return AudioCut(
            self._tracks[cut.track], self._codecs[cut.codec.index], cut.start, cut.end,
            tuple(packets), cut.began, cut.epoch, cut.provisional,
            cut.level if cut.level >= 0 else None,
        )

    cdef object _picture(self, picture_cut *cut):
        return PictureCut(
            self._tracks[cut.track], self._codecs[cut.codec.index], cut.timestamp,
            cut.due, _frames_of(cut), cut.began, cut.epoch, cut.keyframe, cut.first,
            cut.continues, cut.orientation, cut.provisional,
        )

    cdef object _frames(self, picture_cut *cut):
        return GroupFrames(
            self._tracks[cut.track], self._codecs[cut.codec.index], cut.timestamp, _frames_of(cut),
            cut.epoch, cut.keyframe, cut.first,
        )


cdef uint8_t _slot(track):
    """The place of a track, as the C code has it."""
    kind, role = track.slot
    return (SLOT_VIDEO if kind is Kind.VIDEO else 0) | (SLOT_AUX if role is Role.AUX else 0)


cdef slice_spec _spec(spec, bint video):
    """What a task asks of a track, as the C code reads it."""
    cdef slice_spec it
    assert isinstance(spec, VideoSpec if video else AudioSpec)
    it.seconds, it.wait = spec.seconds, spec.waits
    it.asks_every = spec.asks_every if video else 0.0
    it.max_height = (spec.max_height or 0) if video else 0
    return it


cdef tuple _MISSING = tuple(Missing)
"""In the order of `missing_reason` in audio.h."""


cdef tuple _frames_of(picture_cut *cut):
    cdef list frames = []
    cdef size_t begin = 0
    for index in range(cut.count):
        frames.append(_bytes(cut.frames.data + begin, cut.ends[index] - begin))
        begin = cut.ends[index]
    return tuple(frames)


cdef object _counted(const counters *found):
    total = Counter()
    for index in range(COUNTERS_END):
        if found.of[index]:
            total[counter_names[index].decode()] = found.of[index]
    return total


cdef bytes _bytes(const uint8_t *data, size_t size):
    return PyBytes_FromStringAndSize(<const char *>data, <Py_ssize_t>size)


include "sections.pxi"
include "levels.pxi"
include "extent.pxi"
include "plane.pxi"
include "listener.pxi"
