"""What a replay tells at its end, and its exit code, from outside."""

import random
from pathlib import Path

import pytest

from slicer.cli import main
from slicer.cli.exits import NO_ROOM, NOTHING, STORED
from tests.harness.rooms.captures import ipv4, pcap, rtp, udp

CHANCE = random.Random(3)


def audio(index: int, ssrc: int = 1, *, encrypted: bool = False) -> bytes:
    payload = CHANCE.randbytes(170 if encrypted else 160)
    return ipv4(udp(rtp(8, index, index * 160, payload, ssrc)))


def replay(tmp_path: Path, *frames: bytes, cut: int = 0, options: tuple[str, ...] = ()) -> int:
    (tmp_path / "a.pcap").write_bytes(pcap(*frames, cut=cut))
    to = (tmp_path / "out").as_uri()
    return main(["replay", str(tmp_path / "a.pcap"), "--plain", "--to", to, *options])


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """The table, as what → how many."""
    found = (line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    return {row[1].strip(): int(row[0]) for row in found if len(row) == 2 and row[0].isdecimal()}


def test_what_became_of_all_packets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [audio(index) for index in range(100)]
    frames += [ipv4(udp(rtp(96, index))) for index in range(5)] + [ipv4(udp(bytes(20)))]
    assert replay(tmp_path, *frames, options=("--audio", "1")) == STORED
    assert rows(capsys) == {
        "records read": 106,
        "RTP": 105,
        "of anchors: --anchor ID names them": 100,
        "of no known codec: --audio-type, --video-type say it": 5,
        "STUN": 1,
        "slices made": 2,
    }


def test_an_encrypted_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(tmp_path, *(audio(index, encrypted=True) for index in range(50))) == NO_ROOM
    captured = capsys.readouterr()
    assert "a.pcap is encrypted (SRTP): 50 packets; open it with --keys FILE" in captured.err
    assert "50  " in captured.out
    assert "encrypted (SRTP): --keys FILE opens it" in captured.out
    assert not (tmp_path / "out").exists() or not [*(tmp_path / "out").rglob("*.ogg")]


def test_a_part_that_is_encrypted_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [audio(index) for index in range(60)]
    frames += [audio(index, 2, encrypted=True) for index in range(60)]
    assert replay(tmp_path, *frames) == STORED
    assert "refused: a audio: encrypted (SRTP), and no key opens it" in capsys.readouterr().out


def test_cut_off_packets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(tmp_path, *(audio(index) for index in range(9)), cut=40) == NO_ROOM
    assert rows(capsys) == {
        "records read": 9,
        "cut off while capturing: tcpdump -s 0 takes them whole": 9,
        "slices made": 0,
    }


def test_media_of_which_nothing_can_be_made(tmp_path: Path) -> None:
    """Video that never has a keyframe."""
    frames = [
        ipv4(udp(rtp(96, index, index * 3_000, b"\x10\x01" + bytes(50)))) for index in range(9)
    ]
    assert replay(tmp_path, *frames, options=("--video-type", "96:vp8")) == NOTHING


def test_an_anchor_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(tmp_path, *(audio(index) for index in range(9)), options=("--anchor", "ada")) == 0
    assert "+ ada audio" in capsys.readouterr().out


def test_a_file_that_is_not_there_has_no_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "/nowhere.pcap", "--to", (tmp_path / "out").as_uri()]) == 2
    assert "slices made" not in capsys.readouterr().out
