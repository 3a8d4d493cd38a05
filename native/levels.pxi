# Levels of a picture's samples.

from cpython.buffer cimport (
    PyBUF_STRIDED, PyBUF_STRIDED_RO, PyBuffer_Release, PyObject_GetBuffer,
)
from libc.stdint cimport uint16_t

cdef extern from "levels.h" nogil:
    ctypedef struct levels:
        uint8_t greatest
        uint16_t scale, offset
    void levels_stretch(levels of, const uint8_t *source, uint8_t *target, size_t count)


def stretch_levels(samples, full, uint8_t greatest, uint16_t scale, uint16_t offset):
    """Write *samples* stretched into *full*: two planes (height, width) of bytes, of one shape."""
    cdef Py_buffer source, target
    cdef levels of
    cdef Py_ssize_t row
    of.greatest, of.scale, of.offset = greatest, scale, offset
    PyObject_GetBuffer(samples, &source, PyBUF_STRIDED_RO)
    try:
        PyObject_GetBuffer(full, &target, PyBUF_STRIDED)
        try:
            _same_planes(&source, &target)
            with nogil:
                for row in range(source.shape[0]):
                    levels_stretch(
                        of,
                        <const uint8_t *>source.buf + row * source.strides[0],
                        <uint8_t *>target.buf + row * target.strides[0],
                        <size_t>source.shape[1],
                    )
        finally:
            PyBuffer_Release(&target)
    finally:
        PyBuffer_Release(&source)


cdef int _same_planes(const Py_buffer *one, const Py_buffer *other) except -1:
    if one.ndim != 2 or other.ndim != 2 or one.itemsize != 1 or other.itemsize != 1:
        raise ValueError("a plane has two dimensions and samples of one byte")
    if one.strides[1] != 1 or other.strides[1] != 1:
        raise ValueError("the samples of a row do not lie side by side")
    if one.shape[0] != other.shape[0] or one.shape[1] != other.shape[1]:
        raise ValueError("the planes differ in shape")
    return 0
