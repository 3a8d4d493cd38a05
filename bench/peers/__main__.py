"""What the same job costs in CPU: ffmpeg, GStreamer, aiortc and rtc-slicer on one live capture.

`python -m bench.peers` compares; `python -m bench.peers scale` measures how ours grows. The system
packages that the peers need are installed by bench/peers/install.sh; who is missing is left out.
"""

import argparse
import math
import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.peers import chart, curve
from bench.peers.capture import CODECS, load
from bench.peers.commands import AUDIO_SECONDS
from bench.peers.contestants import COMPARISONS, NATIVE, REFERENCE
from bench.peers.rounds import compare, surroundings, table, write
from bench.peers.run import Bench
from bench.peers.scale import ANCHORS, JOBS, WEBRTC_ANCHORS, grow

HERE = Path(__file__).parent
QUICK = 15.0
OVERHEAD = 25.0
"""Seconds beside its window that a run takes."""


def numbers(text: str) -> list[int]:
    """Whole numbers with commas between."""
    return [int(part) for part in text.split(",")]


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("what", choices=["compare", "scale"], nargs="?", default="compare")
    parser.add_argument("--anchors", type=numbers, help="how many, default 1,16; scale: 1,…,500")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each window (60)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of 15 s, one anchor")
    parser.add_argument("--only", default="", help="contestants by name, with commas between")
    parser.add_argument(
        "--comparisons",
        default="",
        help="of " + ", ".join(one.name for one in COMPARISONS) + "; scale: of jpg, webp",
    )
    parser.add_argument("--ffmpeg", default="ffmpeg", help="another binary")
    parser.add_argument("--gstreamer", default="gst-launch-1.0", help="another binary")
    parser.add_argument("--measured-cores", type=numbers, default=[0])
    parser.add_argument("--sender-cores", type=numbers, default=[1])
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="for the files")
    parser.add_argument("--results", type=Path, help="where the JSON goes")
    return parser


def main() -> None:
    """Measure, print, write the results and the chart."""
    given = options().parse_args()
    if given.quick:
        given.rounds, given.seconds = 1, QUICK
    bench = Bench(
        AUDIO_SECONDS * math.ceil(given.seconds / AUDIO_SECONDS),
        given.ffmpeg,
        given.gstreamer,
        tuple(given.measured_cores),
        tuple(given.sender_cores),
        given.folder,
    )
    os.sched_setaffinity(0, bench.others)
    if given.what == "scale":
        scaled(given, bench)
    else:
        compared(given, bench)


def scaled(given: argparse.Namespace, bench: Bench) -> None:
    """Grow, and write the points."""
    name = given.only or (NATIVE if find_spec("slicer._hot") else REFERENCE)
    anchors = given.anchors or ([1, 16] if given.quick else ANCHORS)
    webrtc = [WEBRTC_ANCHORS] if max(anchors) >= WEBRTC_ANCHORS else [max(anchors)]
    for codec in CODECS:
        load(codec)
    jobs = [one for one in JOBS if not given.comparisons or one.picture in given.comparisons]
    points = grow(replace(bench, srtp=True), name, jobs, anchors, webrtc, print)
    told = {"surroundings": surroundings(bench, CODECS), "points": points}
    path = given.results or HERE / "scale.json"
    write(path, told)
    curve.write(path.with_suffix(".svg"), told)


def compared(given: argparse.Namespace, bench: Bench) -> None:
    """Compare, print, write results and chart."""
    anchors = given.anchors or ([1] if given.quick else [1, 16])
    chosen = [one for one in COMPARISONS if not given.comparisons or one.name in given.comparisons]
    codecs = sorted({one.codec for one in chosen})
    for codec in codecs:
        load(codec)
    kinds = sum(len(one.contestants) for one in chosen)
    minutes = kinds * len(anchors) * given.rounds * (given.seconds + OVERHEAD) / 60
    print(f"about {minutes:.0f} minutes at most", flush=True)
    results: list[dict[str, Any]] = []
    told = {"surroundings": surroundings(bench, codecs), "results": results}
    for comparison in chosen:
        kept = [
            one
            for one in comparison.contestants
            if not given.only or one.name in given.only.split(",")
        ]
        narrowed = type(comparison)(**{**vars(comparison), "contestants": tuple(kept)})
        results += compare(narrowed, bench, anchors, given.rounds, print)
    print("\n".join(line for result in results for line in table(result)))
    path = given.results or (HERE / "results.json")
    write(path, told)
    chart.write(path.with_name("chart.svg"), told)


if __name__ == "__main__":
    main()
