# Twins of slicer/rtp/{codecs,vp8,vp9,h264,h264_parameter_sets,av1,opus,pcm}.py, a part each.

from slicer.rtp.codecs import AudioFormat, VideoFormat
from slicer.rtp.codecs.frame import Frame


cdef extern from "frame_parts.h" nogil:
    ctypedef struct c_capacity "buffer":
        size_t capacity

    ctypedef struct assembly:
        c_capacity bytes

    ctypedef struct depacketizer:
        assembly open

    ctypedef struct parameter_sets:
        pass

    bint parameter_sets_read(parameter_sets *it, const char *sprop)
    bint parameter_sets_note(parameter_sets *it, const uint8_t *nal, size_t size)
    size_t parameter_sets_size(const parameter_sets *it)
    void parameter_sets_write(const parameter_sets *it, uint8_t *out)
    void parameter_sets_free(parameter_sets *it)


cdef extern from "frame.h" nogil:
    ctypedef struct c_frame "frame":
        int64_t timestamp
        const uint8_t *data
        size_t size
        bint keyframe

    ctypedef enum pushed:
        PUSHED_NOTHING, PUSHED_FRAME, PUSHED_MALFORMED

    depacketizer *depacketizer_new(const c_codec *codec)
    void depacketizer_free(depacketizer *it)
    void depacketizer_rest(depacketizer *it)
    pushed depacketizer_push(depacketizer *it, const uint8_t *payload, size_t size,
                             int64_t timestamp, bint marker, bint contiguous, c_frame *out)
    bint starts_keyframe(codec_name codec, const uint8_t *payload, size_t size)
    int audio_duration(codec_name codec, const uint8_t *payload, size_t size)
    int audio_granule(codec_name codec)
    int c_opus_frame_size "opus_frame_size" (uint8_t toc)


# What is wrong is told apart only by the reference.
cdef dict MALFORMED = {
    CODEC_VP8: "VP8 payload or frame: malformed, or over the limits",
    CODEC_VP9: "VP9 payload or picture: malformed, or over the limits of bytes or layers",
    CODEC_H264: "H.264 payload or fragments: malformed, or over the limits",
    CODEC_AV1: "AV1 payload or fragments: malformed, or over the limits",
}


cdef class _Depacketizer:
    """Has the face of a VideoDepacketizer, and `rest`, which must change nothing."""

    cdef depacketizer *it
    cdef codec_name name

    cdef int begin(self, codec_name name, object of) except -1:
        self.name = name
        self.it = depacketizer_new(native_codec(of))
        if self.it is NULL:
            raise MemoryError
        return 0

    def __dealloc__(self):
        depacketizer_free(self.it)

    def push(self, bytes payload not None, int64_t timestamp, bint marker, bint contiguous):
        cdef c_frame out
        cdef pushed result = depacketizer_push(
            self.it, payload, len(payload), timestamp, marker, contiguous, &out
        )
        if result == PUSHED_MALFORMED:
            raise ValueError(MALFORMED[self.name])
        if result == PUSHED_NOTHING:
            return None
        return Frame(out.timestamp, out.data[:out.size], out.keyframe)

    def rest(self):
        depacketizer_rest(self.it)

    @property
    def held(self):
        """Bytes of memory for frames."""
        return self.it.open.bytes.capacity


cdef class Vp8Depacketizer(_Depacketizer):
    def __cinit__(self, codec):
        self.begin(CODEC_VP8, codec)


cdef class Vp9Depacketizer(_Depacketizer):
    def __cinit__(self, codec):
        self.begin(CODEC_VP9, codec)


cdef class H264Depacketizer(_Depacketizer):
    def __cinit__(self, codec):
        self.begin(CODEC_H264, codec)


cdef class Av1Depacketizer(_Depacketizer):
    def __cinit__(self, codec):
        self.begin(CODEC_AV1, codec)


def vp8_starts_keyframe(bytes payload not None):
    return starts_keyframe(CODEC_VP8, payload, len(payload))


def vp9_starts_keyframe(bytes payload not None):
    return starts_keyframe(CODEC_VP9, payload, len(payload))


def h264_starts_keyframe(bytes payload not None):
    return starts_keyframe(CODEC_H264, payload, len(payload))


def av1_starts_keyframe(bytes payload not None):
    return starts_keyframe(CODEC_AV1, payload, len(payload))


def opus_duration(bytes payload not None):
    cdef int ticks = audio_duration(CODEC_OPUS, payload, len(payload))
    if ticks < 0:
        raise ValueError("malformed Opus packet")
    return ticks


def opus_frame_size(toc):
    return c_opus_frame_size(toc)


def pcm_duration(bytes payload not None):
    cdef int ticks = audio_duration(CODEC_PCMU, payload, len(payload))
    assert ticks == audio_duration(CODEC_PCMA, payload, len(payload))
    assert ticks == audio_duration(CODEC_G722, payload, len(payload))
    if ticks < 0:
        raise ValueError("empty PCM packet")
    return ticks


AUDIO = {
    "opus": AudioFormat(opus_duration, audio_granule(CODEC_OPUS)),
    "pcmu": AudioFormat(pcm_duration, audio_granule(CODEC_PCMU)),
    "pcma": AudioFormat(pcm_duration, audio_granule(CODEC_PCMA)),
    "g722": AudioFormat(pcm_duration, audio_granule(CODEC_G722)),
}

VIDEO = {
    "vp8": VideoFormat(Vp8Depacketizer, vp8_starts_keyframe),
    "vp9": VideoFormat(Vp9Depacketizer, vp9_starts_keyframe),
    "h264": VideoFormat(H264Depacketizer, h264_starts_keyframe),
    "av1": VideoFormat(Av1Depacketizer, av1_starts_keyframe),
}


def video_format(codec):
    return VIDEO[codec.name]


cdef class ParameterSets:
    cdef parameter_sets it

    def __cinit__(self, str sprop = ""):
        if not parameter_sets_read(&self.it, sprop.encode()):
            raise MemoryError

    def __dealloc__(self):
        parameter_sets_free(&self.it)

    def note(self, bytes nal not None):
        if not parameter_sets_note(&self.it, nal, len(nal)):
            raise MemoryError

    def both(self):
        cdef size_t size = parameter_sets_size(&self.it)
        if size == 0:
            return []
        cdef uint8_t *written = <uint8_t *>malloc(size)
        if written is NULL:
            raise MemoryError
        parameter_sets_write(&self.it, written)
        data = written[:size]
        free(written)
        # The sets of the tests hold no start code.
        return data.split(b"\0\0\0\1")[1:]
