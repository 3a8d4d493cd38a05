# Twins of slicer/rtp/codecs, through the table of native/codecs.c.

from functools import partial

from slicer.rtp.codecs import AudioFormat, VideoFormat
from slicer.rtp.codecs.frame import Frame


cdef extern from "nal.h" nogil:
    ctypedef struct c_capacity "buffer":
        size_t capacity

    ctypedef struct assembly:
        c_capacity bytes

    ctypedef struct depacketizer:
        int height
        assembly open

    ctypedef struct parameter_sets:
        pass

    ctypedef struct nal_stream:
        parameter_sets sets

    bint parameter_sets_note(parameter_sets *it, const uint8_t *nal, size_t size)
    size_t parameter_sets_size(const parameter_sets *it)
    void parameter_sets_write(const parameter_sets *it, uint8_t *out)

    ctypedef struct c_frame "frame":
        int64_t timestamp
        const uint8_t *data
        size_t size
        bint keyframe

    ctypedef enum pushed:
        PUSHED_NOTHING, PUSHED_FRAME, PUSHED_BARE, PUSHED_MALFORMED, PUSHED_UNSUPPORTED

    depacketizer *depacketizer_new(const c_codec *codec)
    void depacketizer_free(depacketizer *it)
    void depacketizer_rest(depacketizer *it)
    pushed depacketizer_push(depacketizer *it, const uint8_t *payload, size_t size,
                             int64_t timestamp, bint marker, bint contiguous, c_frame *out)


cdef extern from "opus.h" nogil:
    int c_opus_frame_size "opus_frame_size" (uint8_t toc)


cdef class Depacketizer:
    """Has the face of a VideoDepacketizer, and `rest`, which must change nothing."""

    cdef depacketizer *it
    cdef str name

    def __cinit__(self, codec):
        self.name = codec.name
        self.it = depacketizer_new(native_codec(codec))
        if self.it is NULL:
            raise MemoryError

    def __dealloc__(self):
        depacketizer_free(self.it)

    def push(self, bytes payload not None, int64_t timestamp, bint marker, bint contiguous):
        cdef c_frame out
        cdef pushed result = depacketizer_push(
            self.it, payload, len(payload), timestamp, marker, contiguous, &out
        )
        if result in (PUSHED_MALFORMED, PUSHED_UNSUPPORTED):  # what is wrong is told apart only by the reference
            raise ValueError(f"{self.name} payload, fragments or layers: malformed, or over limits")
        if result == PUSHED_NOTHING:
            return None
        if result == PUSHED_BARE:
            return Frame(out.timestamp, b"", out.keyframe, bare=True)
        return Frame(out.timestamp, out.data[:out.size], out.keyframe)

    @property
    def height(self):
        return self.it.height

    @height.setter
    def height(self, int pixels):
        self.it.height = pixels

    def rest(self):
        depacketizer_rest(self.it)

    @property
    def held(self):
        """Bytes of memory for frames."""
        return self.it.open.bytes.capacity


cdef class ParameterSets:
    """The sets of a fresh depacketizer."""

    cdef depacketizer *it

    def __cinit__(self, nals, str sprop = ""):
        cdef bytes text = sprop.encode()
        cdef c_codec codec
        codec.format = codec_format_named(nals.name.lower().replace(".", "").encode())
        codec.sprop = text
        self.it = depacketizer_new(&codec)
        if self.it is NULL:
            raise MemoryError

    def __dealloc__(self):
        depacketizer_free(self.it)

    def note(self, bytes nal not None):
        if not parameter_sets_note(&(<nal_stream *>self.it).sets, nal, len(nal)):
            raise MemoryError

    def all(self):
        cdef const parameter_sets *sets = &(<nal_stream *>self.it).sets
        cdef size_t size = parameter_sets_size(sets)
        if size == 0:
            return []
        cdef uint8_t *written = <uint8_t *>malloc(size)
        if written is NULL:
            raise MemoryError
        parameter_sets_write(sets, written)
        data = written[:size]
        free(written)
        # The sets of the tests hold no start code.
        return data.split(b"\0\0\0\1")[1:]


def _duration(str name, bytes payload not None):
    cdef int ticks = codec_format_named(name.encode()).duration(payload, len(payload))
    if ticks < 0:
        raise ValueError(f"{name} payload: empty, or malformed")
    return ticks


def _starts_keyframe(str name, bytes payload not None):
    return codec_format_named(name.encode()).starts_keyframe(payload, len(payload))


def _height(str name, bytes payload not None):
    cdef const codec_format *format = codec_format_named(name.encode())
    return format.height(payload, len(payload)) if format.height != NULL else 0


def opus_frame_size(toc):
    return c_opus_frame_size(toc)


AUDIO, VIDEO = {}, {}


cdef int _gather() except -1:
    cdef size_t at = 0
    while codec_formats[at] != NULL:
        name = codec_formats[at].name.decode()
        if codec_formats[at].duration != NULL:
            AUDIO[name] = AudioFormat(partial(_duration, name), codec_formats[at].granule)
        else:
            VIDEO[name] = VideoFormat(
                Depacketizer, partial(_starts_keyframe, name), height=partial(_height, name)
            )
        at += 1
    return 0


_gather()


def video_format(codec):
    return VIDEO[codec.name]
