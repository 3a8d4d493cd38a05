"""Pictures: what scores, parts, codes and text mean; and the models that are in the extra."""

import json
import resource
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import compressobj, crc32

import av
import numpy as np
import pytest
import zxingcpp

from slicer.errors import MediaError
from slicer.media import image as images
from slicer.media.decoder import MAX_PIXELS
from slicer.moderation import Box, Label, Suggest
from slicer.moderation.local import pictures
from slicer.moderation.local.pictures import Image, Part, PictureModels
from slicer.moderation.local.word_lists import Rule, WordLists
from slicer.moderation.settings import ModerationSettings
from slicer.slicing.spec import ImageFormat

SETTINGS = ModerationSettings()
WORDS = WordLists([(Rule(Label.AD, Suggest.REVIEW), ["call me", "buy"])])
BOX = Box(1, 2, 30, 40)
URL = "https://example.org/x"


def models(
    score: float = 0.0,
    parts: list[Part] | None = None,
    codes: list[Part] | None = None,
    text: list[Part] | None = None,
) -> PictureModels:
    """Models that see what a test says."""
    seen: list[Callable[[Image], list[Part]] | None] = [
        None if found is None else lambda _image, found=found: found  # type: ignore[misc]
        for found in (parts, codes, text)
    ]
    return PictureModels(lambda _image: score, *seen)


def picture(image_format: ImageFormat = ImageFormat.PNG, code: str = "") -> bytes:
    """Noise, and perhaps a QR code from 32, 32 on."""
    pixels = np.random.default_rng(1).integers(0, 255, (360, 640, 3), np.uint8)
    if code:
        made = zxingcpp.create_barcode(code, zxingcpp.BarcodeFormat.QRCode).to_image(scale=8)
        drawn = np.array(made)
        pixels[: drawn.shape[0], : drawn.shape[1]] = drawn[:, :, None]
    return images.encode(av.VideoFrame.from_ndarray(pixels, "rgb24"), image_format)


@pytest.mark.parametrize(
    ("score", "label", "suggest"),
    [
        (0.49, Label.NORMAL, Suggest.PASS),
        (0.5, Label.SEXY, Suggest.REVIEW),
        (0.79, Label.SEXY, Suggest.REVIEW),
        (0.8, Label.PORN, Suggest.BLOCK),
    ],
)
def test_scores(score: float, label: Label, suggest: Suggest) -> None:
    verdict = pictures.judge(picture(), False, models(score), WORDS, SETTINGS)
    assert (verdict.label, verdict.suggest) == (label, suggest)
    assert json.loads(verdict.raw) == {"nsfw": score}
    stricter = replace(SETTINGS, local_nsfw_review=0.1, local_nsfw_block=0.2)
    assert pictures.judge(picture(), False, models(score), WORDS, stricter).label is Label.PORN


def test_parts() -> None:
    parts = [
        Part("FEMALE_BREAST_EXPOSED", 0.61, BOX),
        Part("FEMALE_BREAST_EXPOSED", 0.45, Box(0, 0, 5, 5)),
        Part("BUTTOCKS_EXPOSED", 0.99, BOX),
        Part("ANUS_EXPOSED", 0.39, BOX),
        Part("FACE_FEMALE", 0.99, BOX),
    ]
    verdict = pictures.judge(picture(), False, models(parts=parts), WORDS, SETTINGS)
    breast, buttocks = verdict.findings
    assert (breast.label, breast.suggest, breast.score) == (Label.PORN, Suggest.BLOCK, 61)
    assert breast.boxes == (BOX, Box(0, 0, 5, 5))
    assert breast.description == "female breast exposed"
    assert (buttocks.label, buttocks.suggest) == (Label.SEXY, Suggest.REVIEW)
    assert verdict.label is Label.PORN
    assert len(json.loads(verdict.raw)["parts"]) == 5
    never = replace(SETTINGS, local_nudity_review=1.0)
    (finding,) = pictures.judge(picture(), False, models(parts=parts[:1]), WORDS, never).findings
    assert finding.suggest is Suggest.BLOCK


def test_both_voices_are_heard() -> None:
    exposed = [Part("MALE_GENITALIA_EXPOSED", 0.7, BOX)]
    one = pictures.judge(picture(), False, models(0.1, exposed), WORDS, SETTINGS)
    other = pictures.judge(picture(), False, models(0.9, []), WORDS, SETTINGS)
    assert {one.suggest, other.suggest} == {Suggest.BLOCK}
    assert [finding.scene for finding in (*one.findings, *other.findings)] == ["nudity", "nsfw"]


def test_text() -> None:
    lines = [Part("CALL  ME now", 0.91, BOX), Part("buy", 0.8, BOX), Part("call", 0.9, BOX)]
    seen = models(text=lines)
    verdict = pictures.judge(picture(), True, seen, WORDS, SETTINGS)
    (finding,) = verdict.findings
    assert (finding.label, finding.suggest, finding.score) == (Label.AD, Suggest.REVIEW, 91)
    assert (finding.keywords, finding.boxes) == (("buy", "call  me"), (BOX,))
    assert verdict.text == "CALL  ME now\nbuy\ncall"
    assert pictures.judge(picture(), False, seen, WORDS, SETTINGS).text == ""


@pytest.mark.parametrize("image_format", ImageFormat)
def test_what_the_extra_brings(image_format: ImageFormat) -> None:
    seen = pictures.load(SETTINGS)
    plain = pictures.judge(picture(image_format), True, seen, WORDS, SETTINGS)
    assert not plain.hit
    verdict = pictures.judge(picture(image_format, URL), True, seen, WORDS, SETTINGS)
    (finding,) = verdict.findings
    assert (finding.label, finding.suggest) == (Label.QR_CODE, Suggest.REVIEW)
    assert finding.description == URL
    (box,) = finding.boxes
    assert abs(box.x - 32) <= 2
    assert abs(box.width - box.height) <= 2
    off = pictures.load(replace(SETTINGS, local_qr=False))
    assert not pictures.judge(picture(image_format, URL), True, off, WORDS, SETTINGS).hit


@pytest.mark.parametrize("data", [b"", b"no picture", picture()[:40]])
def test_what_is_no_picture(data: bytes) -> None:
    with pytest.raises(MediaError, match=r"^no picture: (Invalid data|nothing is decoded)"):
        pictures.decode(data)


def png(width: int, height: int) -> bytes:
    """A black picture of its true size, deflated."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + name + data + struct.pack("!I", crc32(name + data))

    packed, row = compressobj(1), bytes(1 + 3 * width)
    rows = b"".join(packed.compress(row) for _ in range(height)) + packed.flush()
    head = chunk(b"IHDR", struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_picture_that_is_too_large_takes_no_memory_of_its_size() -> None:
    bomb = png(6_500, 6_500)
    assert len(bomb) < 2_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MediaError, match=f"more than {MAX_PIXELS} pixels"):
        pictures.decode(bomb)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 6_500 * 6_500


@pytest.mark.parametrize(("width", "height"), [(1, 65_535), (65_535, 1), (1, 1)])
def test_pictures_of_odd_shapes_have_a_verdict(width: int, height: int) -> None:
    seen = pictures.load(SETTINGS)
    assert not pictures.judge(png(width, height), True, seen, WORDS, SETTINGS).hit


def test_what_stands_behind_a_picture_is_not_looked_at() -> None:
    """A file that is a picture and something else, too."""
    plain = pictures.decode(picture())
    for behind in (b"<script>", b"PK\x03\x04", picture(code=URL)):
        assert np.array_equal(pictures.decode(picture() + behind), plain)


def test_a_list_of_files_is_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be read from this machine's disk."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.png").write_bytes(picture())
    with pytest.raises(MediaError, match="no picture"):
        pictures.decode(b"ffconcat version 1.0\nfile secret.png\n")


class Detector:
    """nudenet's class, as far as it is used: blue first, boxes as lists of four."""

    def __init__(self) -> None:
        self.onnx_session: object = None

    def detect(self, image: Image) -> list[dict[str, Any]]:
        assert self.onnx_session == "one thread"
        assert image.flags.c_contiguous
        assert image[0, 0].tolist() == [0, 0, 255]
        return [{"class": "FACE_MALE", "score": 0.5, "box": [1, 2, 30, 40]}]


class Reader:
    """rapidocr's class, likewise: its threads stand in its configuration file."""

    def __init__(self, config: str) -> None:
        with open(config, encoding="utf-8") as file:
            assert "&intra_nums 1" in file.read()

    def __call__(self, image: Image) -> tuple[list[Any] | None, object]:
        if image[0, 0].tolist() != [0, 0, 255]:
            return None, None
        return [[[[1, 2], [31, 2.2], [31, 42], [0.9, 42]], "text", 0.9]], [0.1]


class Options:
    intra_op_num_threads = 0


def session(path: object, options: Options, providers: list[str]) -> str:
    assert str(path).endswith("320n.onnx")
    assert (options.intra_op_num_threads, providers) == (1, ["CPUExecutionProvider"])
    return "one thread"


def module(name: str, path: str, **names: object) -> ModuleType:
    made = ModuleType(name)
    made.__file__ = path
    made.__spec__ = None
    vars(made).update(names)
    return made


def test_what_operators_install_themselves(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Neither is in an extra that the tests have: they are stood in for at their interfaces."""
    (tmp_path / "config.yaml").write_text("intra: &intra_nums -1\ninter: &inter_nums -1\n")
    path = str(tmp_path / "__init__.py")
    stood_in = [
        module("nudenet", path, NudeDetector=Detector),
        module("rapidocr_onnxruntime", path, RapidOCR=Reader),
        module("onnxruntime", path, SessionOptions=Options, InferenceSession=session),
    ]
    monkeypatch.setattr(pictures, "load_nsfw", lambda: lambda _image: 0.0)
    monkeypatch.setattr(pictures, "find_spec", lambda name: name == "nudenet")
    for each in stood_in:
        monkeypatch.setitem(sys.modules, each.__name__, each)
    seen = pictures.load(replace(SETTINGS, local_ocr_every=1))
    red = np.zeros((4, 4, 3), np.uint8)
    red[:, :, 0] = 255
    assert seen.parts
    assert seen.parts(red) == [Part("FACE_MALE", 0.5, BOX)]
    assert seen.text
    assert seen.text(red) == [Part("text", 0.9, BOX)]
    assert seen.text(np.zeros((4, 4, 3), np.uint8)) == []
