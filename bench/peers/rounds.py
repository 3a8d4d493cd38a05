"""Rounds: every contestant in turn, again and again, so that the machine's drift meets them all."""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.peers.capture import load
from bench.peers.contestants import FFMPEG, FFMPEG_KEYS, LABELS, NATIVE, Comparison, Contestant
from bench.peers.run import Bench, Outcome, run
from bench.peers.statistics import Spread, ratios

FULL = 0.7
"""How much of the measured cores' time a contestant may be expected to need; beyond that, queues
would be measured, and losses."""
ENOUGH = 0.9
"""The share of pictures that must be there for a run to count."""
QUIET = 0.05
"""How much of the measured cores others may have had."""
CALIBRATION = 15.0
PACKAGES = ("aiortc", "av", "fpng-py", "numpy", "pylibsrtp", "simplejpeg")

Tell = Callable[[str], None]


def fits(cost: float, wanted: int, cores: int) -> int:
    """How many of the anchors wanted the measured cores can carry, at this cost for each."""
    return max(1, min(wanted, int(FULL * 60 * cores / cost)))


def available(contestant: Contestant, bench: Bench) -> str:
    """Why a contestant cannot take part here; empty where it can."""
    binary = {"ffmpeg": bench.ffmpeg, "gstreamer": bench.gstreamer}.get(
        contestant.name.partition("-")[0]
    )
    if binary is not None and not _asked([binary, "--version"]):
        return f"no {binary} here: see bench/peers/install.sh"
    if contestant.name == NATIVE and find_spec("slicer._hot") is None:
        return "this build has no native plane"
    return ""


def compare(
    comparison: Comparison, bench: Bench, anchors: Sequence[int], rounds: int, tell: Tell
) -> list[dict[str, Any]]:
    """All rounds of one comparison, one result for each number of anchors."""
    tell(f"\n{comparison.title}")
    taking_part = []
    for contestant in comparison.contestants:
        if why := available(contestant, bench):
            tell(f"  {LABELS[contestant.name]}: {why}")
        else:
            taking_part.append(contestant)
    costs = {
        contestant.key: _calibrated(comparison, contestant, bench).cost
        for contestant in (taking_part if max(anchors) > 1 else [])
    }
    return [_at(comparison, taking_part, bench, many, rounds, costs, tell) for many in anchors]


def _calibrated(comparison: Comparison, contestant: Contestant, bench: Bench) -> Outcome:
    """What one anchor costs: for how many there will be room."""
    seconds = min(bench.seconds, CALIBRATION)
    return run(_with(bench, seconds), contestant, comparison.job(contestant), 1)


def _with(bench: Bench, seconds: float) -> Bench:
    return Bench(**{**vars(bench), "seconds": seconds})


def _at(
    comparison: Comparison,
    contestants: Sequence[Contestant],
    bench: Bench,
    anchors: int,
    rounds: int,
    costs: dict[str, float],
    tell: Tell,
) -> dict[str, Any]:
    outcomes: dict[str, list[Outcome]] = {contestant.key: [] for contestant in contestants}
    tell(f"  {anchors} anchor{'s' * (anchors > 1)}, {rounds} x {bench.seconds:g} s")
    for number in range(rounds):
        for contestant in contestants:
            cost = costs.get(contestant.key, 0.0)
            many = fits(cost, anchors, len(bench.measured)) if cost else anchors
            outcome = run(bench, contestant, comparison.job(contestant), many)
            outcomes[contestant.key].append(outcome)
            tell(f"    round {number + 1}: {line(outcome)}")
    return summary(comparison, anchors, outcomes)


def line(outcome: Outcome) -> str:
    """One run in a line."""
    usage = outcome.usage
    text = (
        f"{outcome.contestant:18} {outcome.cost:7.3f} CPU-s/min, {outcome.anchors} anchors, "
        f"{usage.pss / outcome.anchors / 1e6:.1f} MB each, "
        f"{outcome.delivered}/{outcome.expected} pictures"
    )
    return text + "".join(f"; !! {why}" for why in complaints(outcome))


def complaints(outcome: Outcome) -> list[str]:
    """Why a run must not be believed."""
    found = []
    if outcome.delivered < ENOUGH * outcome.expected - outcome.anchors:
        found.append(f"{outcome.delivered} of {outcome.expected} pictures")
    if outcome.usage.dropped:
        found.append(f"{outcome.usage.dropped} datagrams dropped")
    if outcome.found.missed > (1 - ENOUGH) * outcome.found.pictures_due:
        found.append(f"{outcome.found.missed} of {outcome.found.pictures_due} due times missed")
    if outcome.sender.get("connections_lost"):
        found.append(f"{outcome.sender['connections_lost']} connections lost")
    if outcome.ours.get("lost"):
        found.append(f"{outcome.ours['lost']} slices lost")
    others = outcome.usage.others / outcome.usage.seconds
    if others > QUIET:
        found.append(f"the machine was not quiet: others had {others:.0%} of the measured core")
    if outcome.sender.get("late", 0) > 0.25:
        found.append(f"the senders were {outcome.sender['late']:.2f} s late")
    return found


def summary(
    comparison: Comparison, anchors: int, outcomes: dict[str, list[Outcome]]
) -> dict[str, Any]:
    """The figures of one comparison with one number of anchors."""
    rounds = {key: [one.cost for one in theirs] for key, theirs in outcomes.items()}
    to_full, to_keys = ratios(rounds, FFMPEG), ratios(rounds, FFMPEG_KEYS)
    contestants = {
        contestant.key: {
            "label": LABELS[contestant.name],
            "sound": contestant.sound,
            "anchors": outcomes[contestant.key][0].anchors,
            "way": contestant.way,
            "cost": vars(Spread.of(rounds[contestant.key])),
            "times_cheaper_than_ffmpeg": _maybe(to_full.get(contestant.key)),
            "times_cheaper_than_nokey": _maybe(to_keys.get(contestant.key)),
            "command": _told(outcomes[contestant.key][0].command),
            "complaints": [why for one in outcomes[contestant.key] for why in complaints(one)],
            "runs": [one.facts() for one in outcomes[contestant.key]],
        }
        for contestant in comparison.contestants
        if outcomes.get(contestant.key)
    }
    return {
        "comparison": comparison.name,
        "title": comparison.title,
        "anchors": anchors,
        "contestants": contestants,
    }


def _maybe(spread: Spread | None) -> dict[str, float] | None:
    return None if spread is None else vars(spread)


def table(result: dict[str, Any]) -> list[str]:
    """One comparison's result as people read it."""
    lines = [f"\n{result['title']} – {result['anchors']} anchor(s)"]
    lines.append(f"  {'':42} {'CPU-s/min/anchor':26} {'x ffmpeg':20} {'x nokey':20}")
    for one in result["contestants"].values():
        words = [_spread(one["cost"], ".3f")]
        words += [
            _spread(one[name], ".1f")
            for name in ("times_cheaper_than_ffmpeg", "times_cheaper_than_nokey")
        ]
        fewer = f" ({one['anchors']} fit)" if one["anchors"] < result["anchors"] else ""
        lines.append(f"  {one['label'] + fewer:42} {words[0]:26} {words[1]:20} {words[2]:20}")
        lines += [f"      !! {why}" for why in sorted(set(one["complaints"]))]
    return lines


def _spread(values: dict[str, float] | None, form: str) -> str:
    return "-" if values is None else format(Spread(**values), form)


def _asked(command: Sequence[str]) -> str:
    """The first line a program says of itself; empty where there is none."""
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except OSError:
        return ""
    return (told.stdout or told.stderr or "?").splitlines()[0]


def surroundings(bench: Bench, codecs: Iterable[str]) -> dict[str, Any]:
    """Versions and the machine, for the report."""
    told = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", told)
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu": model[1] if model else platform.processor(),
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "measured_on": list(bench.measured),
            "senders_on": list(bench.others),
        },
        "versions": {
            "ffmpeg": _asked([bench.ffmpeg, "-version"]),
            "gstreamer": _asked([bench.gstreamer, "--version"]),
            "python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
        },
        "seconds": bench.seconds,
        "captures": [load(codec).describe() for codec in codecs],
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except ImportError:
        return ""


def write(path: Path, results: dict[str, Any]) -> None:
    """As JSON, one fact a line."""
    path.write_text(json.dumps(results, indent=1) + "\n")


def _told(command: Sequence[str]) -> list[str]:
    """A command line as anyone may read it: where this machine keeps its Python is nobody's."""
    return ["python" if word == sys.executable else word for word in command]
