"""A machine without any account: `slicer moderate` and `slicer run --moderate local`, with the
models that the package brings, on a QR code, on speech with a listed phrase, and on neither."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zxingcpp

from slicer.cli import main
from slicer.cli.exits import HIT, STORED
from slicer.moderation.local.pictures import decode
from tests.harness.media.encoder import encode_pictures
from tests.harness.media.picture import Painter, Rgb
from tests.harness.moderation.models import two_cities, whisper
from tests.harness.rooms.replay import show
from tests.moderation.local.test_pictures import URL, picture

YELLOW = (255, 200, 0)
PLACE = slice(100, 300)
"""Rows and columns in which a code is drawn."""


def screen(code: str) -> Rgb:
    """A test picture, with a QR code where there is one."""
    drawn = Painter().draw(1)
    if code:
        made = np.array(zxingcpp.create_barcode(code, zxingcpp.BarcodeFormat.QRCode).to_image())
        scale = (PLACE.stop - PLACE.start) // made.shape[0]
        large = np.kron(made, np.ones((scale, scale), np.uint8))
        drawn[PLACE.start :, PLACE.start :][: large.shape[0], : large.shape[1]] = large[..., None]
    return drawn


def test_files_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("[Abuse block]\nworst of times\n")
    Path("slicer.toml").write_text(
        f'[moderation]\nlocal_whisper = "{whisper()}"\nlocal_words = "words.txt"\n'
    )
    Path("plain.png").write_bytes(picture())
    Path("code.png").write_bytes(picture(code=URL))
    Path("said.wav").write_bytes(two_cities())
    files = ["plain.png", "code.png", "said.wav"]
    shown = ["--json", "--boxes", "framed", "--config", "slicer.toml"]
    assert main(["moderate", *files, *shown]) == HIT
    out = capsys.readouterr().out.splitlines()
    plain, code, said = (json.loads(line) for line in out)
    assert [one["file"] for one in (plain, code, said)] == files
    assert (plain["suggest"], plain["findings"]) == ("pass", [])
    assert (code["suggest"], code["label"]) == ("review", "QRCode")
    assert code["findings"][0]["description"] == URL
    assert (said["suggest"], said["label"]) == ("block", "Abuse")
    (finding,) = said["findings"]
    assert finding["keywords"] == ["worst of times"]
    assert said["transcript"][0]["begin"] < finding["segments"][0]["begin"]
    (framed,) = Path("framed").iterdir()
    (box,) = code["findings"][0]["boxes"]
    drawn = decode(framed.read_bytes())
    assert tuple(drawn[box["y"], box["x"] + box["width"] // 2]) == YELLOW


@pytest.mark.parametrize(("keep", "stored"), [("none", 0), ("hits", 1), ("all", 3)])
def test_a_room_without_any_api(
    keep: str, stored: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of three pictures the second has a code."""
    drawn = [screen(code) for code in ("", URL, "")]
    room = show(tmp_path / "ada.rtpdump", [encode_pictures("vp8", [one])[0] for one in drawn])
    to = (tmp_path / "slices").as_uri()
    order = ["run", room, "--to", to, "--audio", "0", "--video", "1", "--image", "jpg", "--json"]
    assert main([*order, "--moderate", "local", "--keep", keep]) == STORED
    told: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    verdicts = [one["verdict"] for one in told if one["event"] == "slice_judged"]
    assert [one["label"] for one in verdicts] == ["Normal", "QRCode", "Normal"]
    assert len(list((tmp_path / "slices").rglob("*.jpg"))) == stored
