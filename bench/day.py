"""A day of media in the core: `python -m bench.day [--hours H] [--packet SECONDS]`.

One anchor's Opus and VP8 go from datagram to cut in the plane that `slicer.hot` has chosen
(SLICER_NATIVE=0: the reference), without sockets and SRTP: an audio slice every 15 s, a picture
every 5 s. The sender's media clocks are 50 ppm fast, which is 4.3 s a day; packets are late by
chance, and one in a hundred is lost for good. Told at the end of each hour: *drift*, by how much
the names of the hour, which say when a slice or a picture was captured, are off (median) more than
those of the first hour; *off*, by how much the worst of them is off; and what is live, as in
`bench.memory`.
"""

import argparse
import gc
import heapq
import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from bench.memory import Live
from slicer.hot import IMPLEMENTATION, Bundle
from slicer.rtp import rtcp
from slicer.rtp.parameters import OPUS, VP8, Kind, RtpParameters
from slicer.slicing.outputs import AudioCut, PictureCut, TrackKey, TrackOutput, Transmit
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.rtp.call import NTP_START, datagram, opus, vp8
from tests.harness.rtp.packetize import vp8 as packetized

HOUR = 3600.0
FAST = 50e-6
"""Seconds a second by which the sender's media clocks gain."""
PATH, JITTER, LOSS = 0.02, 0.002, 0.01
FRAME, GROUP = 0.2, 5
"""Seconds from a frame of video to the next, and frames from a keyframe to the next."""
REPORTED, SETTLED = 2.0, 60.0
"""Seconds from a report to the next, and after which names are looked at."""
TOCS = {0.02: 0xF8, 0.12: 0x19}
"""What begins an Opus packet of so many seconds (RFC 6716 3.1)."""
SOUND = RtpParameters(Kind.AUDIO, {111: OPUS}, ssrcs=(1,))
SIGHT = RtpParameters(Kind.VIDEO, {96: VP8}, ssrcs=(2,))
SPECS: dict[Kind, AudioSpec | VideoSpec] = {
    Kind.AUDIO: AudioSpec(15, 3.0),
    Kind.VIDEO: VideoSpec(5, 3.0),
}

Sent = tuple[float, bytes]
"""When it comes, and its bytes."""


def sent(parameters: RtpParameters, every: float, toc: int = 0) -> Iterator[Sent]:
    """What a source sends for ever, a packet each *every* seconds and its reports, in order."""
    ((payload_type, codec),) = parameters.codecs.items()
    (ssrc,) = parameters.ssrcs
    chance, come, report = random.Random(ssrc), 0.0, REPORTED
    number = 0
    while True:
        captured = number * every
        timestamp = round(captured * (1 + FAST) * codec.clock_rate)
        come = max(come, captured + PATH + chance.expovariate(1 / JITTER))
        if captured >= report:
            report += REPORTED
            ntp = round((NTP_START + captured) * 2**32)
            yield come, rtcp.build([rtcp.SenderReport(ssrc, ntp, timestamp & 0xFFFFFFFF, 0, 0)])
        if number < GROUP or chance.random() >= LOSS:
            if toc:
                payload, marker = opus(number, toc), False
            else:
                (payload,) = packetized(vp8(number, number % GROUP == 0))
                marker = True
            yield come, datagram(payload, number, timestamp, ssrc, payload_type, marker)
        number += 1


@dataclass(frozen=True, slots=True)
class Hour:
    """What is known at the end of an hour: *drift* by kind and *off* in seconds."""

    slices: int
    drift: dict[Kind, float]
    off: float
    live: Live


class Day:
    """The core and what it named, hour by hour. *packet*: seconds of an Opus packet."""

    def __init__(self, packet: float) -> None:
        audio, video = sent(SOUND, packet, TOCS[packet]), sent(SIGHT, FRAME)
        self._coming = heapq.merge(audio, video)
        self._bundle = Bundle(9)
        self._bundle.set_sections("ann", [SOUND, SIGHT], 0.0)
        for kind, spec in SPECS.items():
            self._bundle.attach(TrackKey("task", "ann", kind), spec, 0.0)
        self._begins: dict[Kind, int] = {}
        self._first: dict[Kind, float] = {}
        self._end = 0.0

    def hour(self) -> Hour:
        """Let the next hour go by."""
        self._end += HOUR
        errors: dict[Kind, list[float]] = {kind: [] for kind in Kind}
        for now, data in self._coming:
            for one in self._bundle.receive([data], now):
                self._take(one, errors)
            if now >= self._end:
                break
        middles = {kind: statistics.median(of) for kind, of in errors.items()}
        self._first = self._first or middles
        gc.collect()
        return Hour(
            sum(map(len, errors.values())),
            {kind: middle - self._first[kind] for kind, middle in middles.items()},
            max(abs(one) for of in errors.values() for one in of),
            Live.now(),
        )

    def _take(self, one: TrackOutput | Transmit, errors: dict[Kind, list[float]]) -> None:
        if not isinstance(one, AudioCut | PictureCut):
            return
        kind = one.track.kind
        media = one.start if isinstance(one, AudioCut) else one.timestamp
        begins = self._begins.setdefault(kind, media)
        captured = (media - begins) / one.codec.clock_rate / (1 + FAST)
        if captured > SETTLED:
            errors[kind].append(one.began - captured - PATH)


def main(hours: int, packet: float) -> None:
    """Tell each hour."""
    day = Day(packet)
    for number in range(1, hours + 1):
        one = day.hour()
        audio, video = (1e3 * one.drift[kind] for kind in Kind)
        print(
            f"{IMPLEMENTATION}, hour {number}: {one.slices} slices, drift {audio:+.3f} ms of "
            f"audio, {video:+.3f} of video, off by {1e3 * one.off:.2f} at most; "
            f"{one.live.objects} objects, {one.live.bytes / 1e6:.3f} MB",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.day", description=__doc__)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--packet", type=float, choices=sorted(TOCS), default=0.02)
    given = parser.parse_args()
    main(given.hours, given.packet)
