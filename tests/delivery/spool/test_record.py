"""Records come back as they were written; whatever is torn or changed never does."""

import json
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.delivery.spool.record import StoreUrls, decode, decode_header, describe, encode
from slicer.media.slice import File, ManifestInfo, SliceInfo
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.outputs import TrackKey

URLS = StoreUrls("s3://bucket/x?region=r", "file:///backup", keys=True)
BEGAN = datetime(2025, 1, 6, 14, 31, 43, 250_000, tzinfo=UTC)


def file_of(data: bytes, anchor: str = "ada", kind: Kind = Kind.AUDIO) -> File:
    track = TrackKey("task", anchor, kind)
    return File(SliceInfo("t/ada/a.ogg", track, BEGAN, 15.0, len(data)), data, "audio/ogg")


def record_of(file: File) -> bytes:
    return encode(describe(file, URLS)) + file.data


OLD_SLICE = (
    b'SLICE1 00000350 b8ab7e03\n{"to":"s3://bucket/x?region=r","backup":"file:///backup",'
    b'"keys":true,"backup_keys":false,"key":"t/ada/a.ogg","content_type":"audio/ogg",'
    b'"task":"task","anchor":"ada","kind":"audio","began":"2025-01-06T14:31:43.250000+00:00",'
    b'"seconds":15.0,"width":null,"height":null,"size":4,"sha256":'
    b'"68d9ed2adb24458ff173db06b41b9d1b6e228764c457030d63fad11b02bfae1e"}OggS'
)
OLD_MANIFEST = (
    b'SLICE1 00000357 de387694\n{"to":"s3://bucket/x?region=r","backup":"file:///backup",'
    b'"keys":true,"backup_keys":false,"key":"t/manifest.json","content_type":"application/json",'
    b'"task":"task","anchor":"","kind":"audio","began":"2025-01-06T14:31:43.250000+00:00",'
    b'"seconds":0.0,"width":null,"height":null,"size":2,"sha256":'
    b'"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}{}'
)
"""Records of version 0.1.0, as it wrote them: an upgrade sends them."""


def test_an_auxiliary_track_has_its_role() -> None:
    track = TrackKey("task", "ada", Kind.VIDEO, Role.AUX)
    screen = File(SliceInfo("t/ada/s.png", track, BEGAN, 0.0, 3), b"PNG", "image/png", 640, 360)
    assert decode(record_of(screen)) == (describe(screen, URLS), screen)
    text = record_of(screen)[25:].replace(b'"aux"', b'"xua"')[:-3]
    wrong = b"SLICE1 %08d %08x\n" % (len(text), zlib.crc32(text)) + text
    with pytest.raises(ValueError, match="xua"):
        decode_header(wrong)


@pytest.mark.parametrize(
    ("record", "file"),
    [
        (OLD_SLICE, file_of(b"OggS")),
        (
            OLD_MANIFEST,
            File(ManifestInfo("t/manifest.json", "task", BEGAN, 2), b"{}", "application/json"),
        ),
    ],
)
def test_what_an_older_version_left_is_read_and_written_alike(record: bytes, file: File) -> None:
    assert decode(record) == (describe(file, URLS), file)
    assert record_of(file) == record


@given(st.binary(max_size=2000), st.text(min_size=1, max_size=50), st.sampled_from(Kind))
def test_there_and_back(data: bytes, anchor: str, kind: Kind) -> None:
    made = file_of(data, anchor, kind)
    header, read = decode(record_of(made))
    assert read == made
    assert header.urls == URLS


def test_an_anchor_that_is_no_text_comes_back() -> None:
    made = file_of(b"x", "lone \ud800 surrogate")
    assert decode(record_of(made))[1] == made


def test_a_picture_keeps_its_measures() -> None:
    track = TrackKey("task", "ada", Kind.VIDEO)
    made = File(SliceInfo("k.png", track, BEGAN, size=3), b"png", "image/png", 1280, 720)
    assert decode(record_of(made))[1] == made


@given(st.data())
def test_a_torn_file_is_never_taken_for_whole(data: st.DataObject) -> None:
    file = record_of(file_of(bytes(range(200))))
    cut = data.draw(st.integers(0, len(file) - 1))
    with pytest.raises(ValueError, match=r"\w"):
        decode(file[:cut])
    with pytest.raises(ValueError, match=r"\w"):
        decode(file[:cut] + bytes(len(file) - cut - 1) + bytes([file[-1] ^ 1]))


@given(st.data())
def test_a_changed_bit_is_found(data: st.DataObject) -> None:
    file = bytearray(record_of(file_of(bytes(range(200)))))
    at = data.draw(st.integers(0, len(file) - 1))
    file[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ValueError, match=r"\w"):
        decode(bytes(file))


def test_a_tail_that_does_not_belong_is_found() -> None:
    with pytest.raises(ValueError, match="201 bytes where 200"):
        decode(record_of(file_of(bytes(200))) + b"x")


@given(st.binary(max_size=300))
def test_strange_bytes(file: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode(file)


def with_sum(header: bytes) -> bytes:
    return b"SLICE1 %08d %08x\n" % (len(header), zlib.crc32(header)) + header


@pytest.mark.parametrize(
    "header", [b"[]", b"{}", b'{"to":1}', b"null", b"not JSON", b"[" * 100_000, b"\xff"]
)
def test_a_header_of_somebody_else(header: bytes) -> None:
    with pytest.raises(ValueError, match="not a header of ours"):
        decode_header(with_sum(header))


ODD: list[object] = [None, True, -1, 0.5, "x", "", [], {}, float("nan"), float("inf"), 10**400]
FIELDS = [name for name in json.loads(OLD_SLICE[25:-4]) if name != "anchor"]


@pytest.mark.parametrize("name", FIELDS)
def test_an_odd_field_is_found_before_it_does_harm(name: str) -> None:
    honest = json.loads(OLD_SLICE[25:-4])
    for odd in ODD:
        text = json.dumps(honest | {name: odd}).encode()
        try:
            header, _ = decode_header(with_sum(text))
        except ValueError:
            continue
        again, _ = decode_header(encode(header))
        assert again == header
        assert type(odd) is type(honest[name]) or name in {"seconds", "width", "height"}


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("key", "../../etc/passwd"),
        ("key", "/a"),
        ("began", "2025-01-06T14:31:43"),
        ("sha256", "A" * 64),
        ("kind", "smell"),
        ("seconds", -1.0),
        ("size", -4),
        ("width", 0),
        ("began", "0001-01-01T00:00:00+23:59"),
        ("began", "9999-12-31T23:59:59-23:59"),
        ("content_type", ""),
        ("content_type", "audio/ogg\r\nx-acl: public-read"),
        ("content_type", "\ud800"),
        ("task", ""),
        ("to", ""),
    ],
)
def test_a_field_of_the_right_type_that_no_slice_has(name: str, odd: object) -> None:
    text = json.dumps(json.loads(OLD_SLICE[25:-4]) | {name: odd}).encode()
    with pytest.raises(ValueError, match="not a header of ours"):
        decode_header(with_sum(text))
