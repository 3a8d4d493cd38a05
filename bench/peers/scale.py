"""How the cost of ours grows with the number of anchors: SRTP without ICE, then full WebRTC.

One process, the senders on the other core. For each number of anchors: CPU for a minute of an
anchor, the share of the core, lost datagrams, memory, and how late files were.
"""

from collections.abc import Callable, Sequence
from typing import Any

from bench.peers.commands import Job
from bench.peers.contestants import Contestant
from bench.peers.rounds import complaints
from bench.peers.run import Bench, Outcome, run
from bench.peers.statistics import quantile

ANCHORS = (1, 16, 64, 128, 250, 500)
WEBRTC_ANCHORS = 64
JOBS = (Job("h264", "ogg", "jpg"), Job("vp8", "ogg", "webp"))
FULL = 0.95
KEPT_UP = 0.9
"""The share of the core above which, and of the pictures below which, no more are tried."""

Tell = Callable[[str], None]


def point(outcome: Outcome, job: Job, way: str) -> dict[str, Any]:
    """One run's figures."""
    usage, found = outcome.usage, outcome.found
    landed = [picture.landed for picture in found.pictures]
    return {
        "job": job.name,
        "way": way,
        "anchors": outcome.anchors,
        "cost": outcome.cost,
        "core": usage.cpu / usage.seconds,
        "others": usage.others / usage.seconds,
        "pss": usage.pss,
        "dropped": usage.dropped,
        "pictures": [outcome.delivered, outcome.expected],
        "missed": [found.missed, found.pictures_due],
        "packet": packet(outcome),
        "sound_late_p50": quantile(found.sounds_landed, 0.5),
        "sound_late_p99": quantile(found.sounds_landed, 0.99),
        "picture_late_p50": quantile(landed, 0.5),
        "picture_late_p99": quantile(landed, 0.99),
        "sender": outcome.sender,
        "sender_core": outcome.sender_cpu / usage.seconds,
        "complaints": complaints(outcome),
        "ours": outcome.ours,
    }


def packet(outcome: Outcome) -> float | None:
    """Seconds of the plane's thread for a packet sent to it: system calls, SRTP, all up to the cut,
    RTCP; from the first packet to the last. None of the reference, which has no such thread."""
    seconds = outcome.ours.get("plane_cpu")
    return None if seconds is None else float(seconds / outcome.sender["sent"])


def memory_each(points: Sequence[dict[str, Any]]) -> float | None:
    """Bytes for each anchor more, from the fewest to the most that were measured."""
    if len(points) < 2:
        return None
    few = min(points, key=lambda one: one["anchors"])
    many = max(points, key=lambda one: one["anchors"])
    return float((many["pss"] - few["pss"]) / (many["anchors"] - few["anchors"]))


def grow(
    bench: Bench,
    name: str,
    jobs: Sequence[Job],
    anchors: Sequence[int],
    webrtc: Sequence[int],
    tell: Tell,
) -> list[dict[str, Any]]:
    """Measure each job with ever more anchors, until the core is full. *bench* has SRTP."""
    points: list[dict[str, Any]] = []
    for job in jobs:
        for way, counts in (("bundle", anchors), ("whip", webrtc)):
            tell(f"\n{job.name}, {'WebRTC' if way == 'whip' else 'SRTP without ICE'}")
            theirs = []
            for many in sorted(counts):
                outcome = run(bench, Contestant(name, way), job, many)
                theirs.append(point(outcome, job, "webrtc" if way == "whip" else "srtp"))
                tell(line(theirs[-1]))
                if theirs[-1]["core"] > FULL or outcome.delivered < KEPT_UP * outcome.expected:
                    tell("  it does not keep up: no more are tried")
                    break
            each = memory_each(theirs)
            if each is not None:
                tell(f"  {each / 1000:.0f} kB of memory for each anchor more")
            points += theirs
    return points


def line(one: dict[str, Any]) -> str:
    """One point in a line."""
    return (
        f"  {one['anchors']:4} anchors {one['cost'] * 1000:7.1f} ms/min each, "
        f"{one['core']:4.0%} of the core, {one['pss'] / 1e6:5.0f} MB, "
        + ("" if one["packet"] is None else f"plane {one['packet'] * 1e6:.2f} us a packet, ")
        + f"dropped {one['dropped']}, pictures {one['pictures'][0]}/{one['pictures'][1]}, "
        f"late p50/p99: sound {one['sound_late_p50']:.3f}/{one['sound_late_p99']:.3f} s, "
        f"pictures {one['picture_late_p50']:.3f}/{one['picture_late_p99']:.3f} s; "
        f"senders {one['sender_core']:.0%}, others {one['others']:.0%} of the core"
        + "".join(f"\n       !! {why}" for why in one["complaints"])
    )
