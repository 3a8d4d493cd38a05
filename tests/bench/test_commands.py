"""The peers' command lines do the job that was asked for."""

from pathlib import Path

import pytest

from bench.peers.commands import Job, ffmpeg, gstreamer, gstreamer_branches, sdp
from bench.peers.contestants import COMPARISONS, LABELS, OURS, Comparison

FOLDER = Path("out")
JPG = Job("h264", "ogg", "jpg")


def test_ffmpeg_reads_both_ports() -> None:
    lines = sdp(JPG, 20_000).split("\r\n")
    assert "m=video 20000 RTP/AVP 102" in lines
    assert "m=audio 20002 RTP/AVP 111" in lines
    assert "a=fmtp:102 packetization-mode=1" in lines


def test_vp8_has_no_format_line() -> None:
    assert "fmtp" not in sdp(Job("vp8", "ogg", "webp"), 20_000)


@pytest.mark.parametrize("keys_only", [False, True])
def test_ffmpeg_decodes_what_it_is_told(keys_only: bool) -> None:
    words = ffmpeg("ffmpeg", JPG, Path("a.sdp"), FOLDER, keys_only)
    assert ("-skip_frame" in words[: words.index("-i")]) is keys_only
    assert words.index("-threads") < words.index("-i")
    assert words[words.index("-c:a") + 1] == "copy"


@pytest.mark.parametrize("sound", ["ogg", "wav"])
@pytest.mark.parametrize("picture", ["jpg", "png", "webp"])
def test_each_job_has_its_files(sound: str, picture: str) -> None:
    job = Job("h264", sound, picture)
    words = ffmpeg("ffmpeg", job, Path("a.sdp"), FOLDER, False)
    assert f"out/picture-%05d.{picture}" in words
    assert words[-1] == f"out/audio-%04d.{sound}"
    branch = gstreamer_branches(job, 20_000, FOLDER, False)
    assert f"location=out/picture-%05d.{picture}" in branch


def test_gstreamer_drops_before_it_decodes() -> None:
    words = gstreamer_branches(JPG, 20_000, FOLDER, True)
    assert words.index("drop-buffer-flags=delta-unit") < words.index("avdec_h264")
    assert "drop-buffer-flags=delta-unit" not in gstreamer_branches(JPG, 20_000, FOLDER, False)


def test_one_process_holds_every_branch() -> None:
    branches = [gstreamer_branches(JPG, port, FOLDER, False) for port in (20_000, 20_004)]
    words = gstreamer("gst-launch-1.0", branches)
    assert [f"port={port}" in words for port in (20_000, 20_002, 20_004, 20_006)] == [True] * 4
    assert len({word for word in words if word.startswith("name=sound")}) == 2


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda one: one.name)
def test_comparisons_name_each_contestant_once(comparison: Comparison) -> None:
    contestants = comparison.contestants
    keys = [one.key for one in contestants]
    assert len(set(keys)) == len(keys)
    assert all(one.name in LABELS for one in contestants)
    assert {one.name for one in contestants} >= set(OURS)
