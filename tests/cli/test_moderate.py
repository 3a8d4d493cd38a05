"""slicer moderate: files by hand, before a supplier that says what a test wants."""

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from slicer.cli import main
from slicer.cli.exits import BAD_INPUT, HIT, STORED, UNJUDGED
from slicer.errors import ModerationError, SupplierRefused, SupplierUnavailable
from slicer.media import ogg
from slicer.media.slice import File, SliceInfo
from slicer.media.wav import mono_wav
from slicer.moderation import Box, Finding, Label, Segment, Suggest, Verdict
from slicer.moderation.local.pictures import decode
from slicer.rtp.parameters import Kind
from tests.harness.media.audio import make_audio
from tests.harness.media.opus import encode
from tests.harness.moderation.scripted import ScriptedSupplier, install
from tests.moderation.local.test_pictures import picture, png

SEEN = Verdict.of(
    (
        Finding(
            Label.QR_CODE, Suggest.REVIEW, 100, "code", description="x", boxes=(Box(9, 9, 9, 9),)
        ),
        Finding(Label.PORN, Suggest.BLOCK, 70, "nudity", boxes=(Box(10, 20, 30, 40),)),
    )
)
SAID = Verdict.of(
    (Finding(Label.AD, Suggest.REVIEW, 80, "speech", ("buy",), "", (Segment(1.0, 2.0, "buy"),)),),
    "please buy",
)
READ = Verdict(text="nothing of note")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The working folder, with files of each kind."""
    audio = ogg.write(encode(make_audio(1)), 0, 48_000)
    (tmp_path / "said.ogg").write_bytes(audio)
    (tmp_path / "said.wav").write_bytes(mono_wav(audio, 16_000))
    (tmp_path / "seen.png").write_bytes(picture())
    return tmp_path


def supplied(monkeypatch: pytest.MonkeyPatch, outcome: Verdict | ModerationError) -> list[File]:
    """Have supplier `local` say *outcome* of each file; what it is given."""
    given: list[File] = []

    def answer(file: File) -> Verdict | ModerationError:
        given.append(file)
        return outcome

    install(monkeypatch, ScriptedSupplier(answer), "local")
    return given


def test_what_a_supplier_is_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = supplied(monkeypatch, READ)
    assert main(["moderate", "said.ogg", "said.wav", "seen.png"]) == STORED
    first, second, third = sorted(given, key=lambda file: file.info.key)
    for file in (first, second):
        assert isinstance(file.info, SliceInfo)
        assert (file.content_type, file.info.kind) == ("audio/ogg", Kind.AUDIO)
        assert file.data.startswith(b"OggS")
        assert file.info.seconds == pytest.approx(1, abs=0.05)
    assert (third.content_type, third.width, third.height) == ("image/png", 640, 360)


def test_a_table(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    supplied(monkeypatch, SEEN)
    assert main(["moderate", "seen.png"]) == HIT
    head, _, code, nudity = capsys.readouterr().out.splitlines()
    assert head.split() == ["file", "verdict", "label", "score", "found", "by", "what"]
    assert code.split() == ["seen.png", "review", "QRCode", "100", "code", "x"]
    assert nudity.split() == ["seen.png", "block", "Porn", "70", "nudity"]
    supplied(monkeypatch, SAID)
    assert main(["moderate", "said.ogg"]) == HIT
    assert "buy (1.0 s)" in capsys.readouterr().out
    supplied(monkeypatch, READ)
    assert main(["moderate", "seen.png"]) == STORED
    assert "nothing of note" in capsys.readouterr().out


def test_json(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    supplied(monkeypatch, replace(SAID, raw='{"level": -20}'))
    assert main(["moderate", "--json", "said.ogg", "said.wav"]) == HIT
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["file"], second["file"]) == ("said.ogg", "said.wav")
    assert first["raw"] == {"level": -20}
    assert (first["suggest"], first["label"], first["text"]) == ("review", "Ad", "please buy")
    (finding,) = first["findings"]
    assert (finding["suggest"], finding["keywords"]) == ("review", ["buy"])
    assert finding["segments"] == [{"begin": 1.0, "end": 2.0, "text": "buy"}]


def test_boxes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    supplied(monkeypatch, SEEN)
    assert main(["moderate", "seen.png", "--boxes", "drawn"]) == HIT
    drawn, plain = decode((folder / "drawn/001-seen.png").read_bytes()), decode(picture())
    assert {tuple(pixel) for pixel in drawn[20, 10:40]} == {(255, 0, 0)}
    assert tuple(drawn[9, 9]) == (255, 200, 0)
    inside, outside = (slice(23, 57), slice(13, 37)), (slice(60, 360), slice(0, 640))
    assert np.array_equal(drawn[inside], plain[inside])
    assert np.array_equal(drawn[outside], plain[outside])
    supplied(monkeypatch, READ)
    assert main(["moderate", "seen.png", "--boxes", "none"]) == STORED
    assert not list((folder / "none").iterdir())


def test_what_cannot_be_judged(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "none.png").write_bytes(b"no picture")
    (folder / "none.wav").write_bytes(b"no audio")
    supplied(monkeypatch, READ)
    assert main(["moderate", "--json", "seen.png", "none.png", "none.wav"]) == UNJUDGED
    seen, *none = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert seen["suggest"] == "pass"
    assert ["no picture" in none[0]["error"], "no audio" in none[1]["error"]] == [True, True]
    supplied(monkeypatch, SupplierUnavailable("local", "no memory"))
    assert main(["moderate", "seen.png"]) == UNJUDGED
    assert "no memory" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("bomb.png", png(6_500, 6_500), "pixels"),
        ("cut.png", picture()[:2_000], "no picture"),
        ("list.jpg", b"ffconcat version 1.0\nfile seen.png\n", "no picture"),
        ("list.ogg", b"ffconcat version 1.0\nfile said.wav\n", "no audio"),
        ("list.wav", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/said.wav\n", "no audio"),
    ],
)
def test_hostile_files_cost_themselves_alone(
    name: str,
    data: bytes,
    said: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    (folder / name).write_bytes(data)
    given = supplied(monkeypatch, READ)
    assert main(["moderate", "--json", name, "seen.png"]) == UNJUDGED
    hostile, seen = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert said in hostile["error"]
    assert (seen["suggest"], len(given)) == ("pass", 1)


def test_what_cannot_be_read_or_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = supplied(monkeypatch, READ)
    assert main(["moderate", "seen.png", "--boxes", "said.ogg/drawn"]) == BAD_INPUT
    assert "--boxes: got 'said.ogg/drawn'; allowed: a folder" in capsys.readouterr().err
    assert given == [], "before anything is judged"

    def unreadable(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", unreadable)
    assert main(["moderate", "seen.png", "--json"]) == UNJUDGED
    assert "Permission denied" in json.loads(capsys.readouterr().out)["error"]


def test_an_account_that_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = ScriptedSupplier(account=SupplierRefused("tianyu", "a wrong key"))
    install(monkeypatch, refused)
    assert main(["moderate", "seen.png", "--supplier", "tianyu"]) == UNJUDGED
    assert "a wrong key" in capsys.readouterr().err
    assert refused.closed == 1


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("said.txt", "a name that ends with"),
        ("none.png", "a file that is there"),
        ("said.ogg", "judges"),
    ],
)
def test_bad_input(
    file: str,
    said: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pictures_alone = ScriptedSupplier(kinds=frozenset({Kind.VIDEO}))
    install(monkeypatch, pictures_alone, "local")
    assert main(["moderate", file]) == BAD_INPUT
    assert said in capsys.readouterr().err
    assert main(["moderate", "seen.png", "--supplier", "nobody"]) == BAD_INPUT
    assert not pictures_alone.asked


def test_frames_at_the_edge(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = Finding(Label.SEXY, Suggest.REVIEW, 70, "nudity", boxes=(Box(630, 350, 100, 100),))
    supplied(monkeypatch, Verdict.of((edge,)))
    assert main(["moderate", "seen.png", "--boxes", "drawn"]) == HIT
    with av.open(str(folder / "drawn/001-seen.png")) as drawn:
        assert (drawn.streams.video[0].width, drawn.streams.video[0].height) == (640, 360)
