"""A page of a folder's slices: which files are slices, what it says of them, how many it takes."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slicer.cli import main
from slicer.cli.exits import BAD_INPUT, NO_STORE, STORED
from slicer.cli.sheet import NAME, entry, slices
from slicer.rtp.parameters import Kind, Role
from tests.harness.rooms.replay import talk
from tests.harness.storage.seaweed import REGION, WRITER, Seaweed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three audio slices that a replay stored, two pictures, and files that are no slices."""
    talk(tmp_path / "ada.rtpdump", 5)
    to = tmp_path / "out"
    command = ["replay", "ada.rtpdump", "--audio-type", "111:opus", "--audio", "2"]
    assert main([*command, "--to", str(to)]) == STORED
    images = to / "t" / "b%20o" / "images"
    images.mkdir(parents=True)
    for name in ("1_2_b%20o_20260102030405.jpg", "1_2_b%20o_20260102030405_1.png"):
        (images / name).write_bytes(b"picture")
    (images / "1_2_b%20o_99999999999999.jpg").write_bytes(b"no time")
    (images / "readme.txt").write_text("no slice")
    (to / "stray_20260102030405.ogg").write_bytes(b"in no folder of slices")
    return to


def test_a_page_of_what_a_task_stored(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["sheet", str(folder)]) == STORED
    assert capsys.readouterr().out == f"{folder / NAME}: 5 slices\n"
    page = (folder / NAME).read_text()
    for path, _, _ in slices(folder):
        assert f'src="./{path.relative_to(folder).as_posix().replace("%", "%25")}"' in page
    assert 'data-anchor="b o"' in page
    assert "stray" not in page


def test_a_folder_whose_name_is_no_text(folder: Path) -> None:
    moved = folder.rename(folder.with_name("caf\udce9"))
    assert main(["sheet", str(moved)]) == STORED
    assert r"caf\udce9" in (moved / NAME).read_text()


def test_the_newest_are_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["sheet", str(folder), "--limit", "2"]) == STORED
    assert "2 slices; 3 older ones left out: --limit 5" in capsys.readouterr().out


def test_a_page_of_what_a_bucket_holds(
    folder: Path,
    tmp_path: Path,
    seaweed: Seaweed,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = seaweed.make_bucket("sheet")
    for path in folder.rglob("*.*"):
        key = f"of/{path.relative_to(folder).as_posix()}"
        seaweed.client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    monkeypatch.setenv("SLICER_ACCESS_KEY", WRITER.access_key)
    monkeypatch.setenv("SLICER_SECRET_KEY", WRITER.secret_key)
    url = f"s3://{bucket}/of?region={REGION}&endpoint={seaweed.endpoint}&path_style=1"
    to = tmp_path / "copy"
    capsys.readouterr()
    assert main(["sheet", url, "--to", str(to)]) == STORED
    told = capsys.readouterr()
    assert told.out.splitlines()[1] == f"{to / NAME}: 5 slices"
    assert f"s3://{bucket}/of at {seaweed.endpoint}: 5 slices\n" in told.out
    assert "copying" in told.err
    assert "5/5" in told.err
    there = {path.relative_to(folder): path.read_bytes() for path, *_ in slices(folder)}
    assert {path.relative_to(to): path.read_bytes() for path, *_ in slices(to)} == there
    assert main(["sheet", url, "--to", str(tmp_path / "few"), "--limit", "2"]) == STORED
    assert "2 slices; 3 older ones left in it\n" in capsys.readouterr().out
    assert main(["sheet", f"{url}&x=1", "--to", str(to)]) == BAD_INPUT
    assert main(["sheet", url]) == BAD_INPUT
    assert "--to: got 'nothing'; allowed: a folder" in capsys.readouterr().err
    monkeypatch.setenv("SLICER_SECRET_KEY", "wrong")
    assert main(["sheet", url, "--to", str(to)]) == NO_STORE


def test_what_a_slice_is(folder: Path) -> None:
    found = sorted(slices(folder), key=lambda one: one[2])
    assert [kind for _, kind, _ in found].count(Kind.AUDIO) == 3
    audio = next(one for one in found if one[1] is Kind.AUDIO)
    lengths = [entry(folder, *one).seconds for one in found if one[1] is Kind.AUDIO]
    assert sorted(lengths) == pytest.approx([1, 2, 2], abs=0.001), "without the pre-roll"
    picture = next(one for one in found if one[1] is Kind.VIDEO)
    shown = entry(folder, *picture)
    assert (shown.anchor, shown.seconds, shown.size) == ("b o", 0.0, 7)
    assert shown.start == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert shown.role is Role.MAIN
    screen = picture[0].with_name("1_2_b%20o_aux_20260102030405.jpg")
    screen.write_bytes(b"picture")
    assert entry(folder, screen, *picture[1:]).role is Role.AUX
    audio[0].write_bytes(b"broken")
    assert entry(folder, *audio).seconds == 0.0


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sheet", str(tmp_path)]) == STORED
    assert "0 slices" in capsys.readouterr().out
    assert "No slice was stored" in (tmp_path / NAME).read_text()


def test_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sheet", "nowhere"]) == BAD_INPUT
    assert "PLACE: got 'nowhere'; allowed: a folder that is there" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / NAME).mkdir()
    assert main(["sheet", str(tmp_path)]) == BAD_INPUT
    assert os.strerror(errno.EISDIR) in capsys.readouterr().err
