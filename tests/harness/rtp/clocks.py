"""A sender with clocks of its own: audio and video over a path that delays, with their reports.

Truth is the capture plus PATH, the least delay of the path: what a name should say.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

RATES = (48_000, 90_000)  # audio, video
EVERY = (0.02, 1 / 30)
REPORTED = (5.0, 1.0)  # seconds between two reports, give or take a half (RFC 3550 6.3.1)
ENCODING = (0.005, 0.06)
PATH = 0.03
NTP = 3.9e9
STARTS = (1_000, 7_000)


class Arrival(NamedTuple):
    """A packet, or a report of *ntp*, of a stream (0: audio, 1: video), captured at *captured*."""

    now: float
    stream: int
    captured: float
    timestamp: int
    ntp: float | None


@dataclass
class Clocks:
    """What goes wrong where. Each is a function of true seconds since the start."""

    seconds: float = 120.0
    jitter: float = 0.012  # seconds: mean of what a packet is late by
    freezes: tuple[tuple[float, float], ...] = ()  # media clocks stand still: (from, seconds)
    frozen: tuple[int, ...] = (0,)  # the streams whose clocks those are
    ntp: Callable[[float], float] = lambda t: t
    delay: Callable[[float], float] = lambda _: 0.0
    drift: float = 0.0  # of the media clocks, in seconds a second
    wrong: Callable[[float, int], float] = lambda *_: 0.0  # by which a stream's report is
    kept: float = 1.0  # of the reports, how many arrive
    twice: bool = False  # every report
    late: float = 0.0  # seconds, half of the reports
    sparse: int = 1  # one packet in so many is sent: long calls, cheaply
    seed: int = 1
    _chance: random.Random = field(init=False)

    def arrivals(self) -> list[Arrival]:
        """Everything, as it arrives."""
        self._chance = random.Random(self.seed)
        found = [
            one for stream in (0, 1) for one in (*self._packets(stream), *self._reports(stream))
        ]
        return sorted(found, key=lambda one: one.now)

    def _packets(self, stream: int) -> Iterator[Arrival]:
        last = 0.0  # a stream hands on its packets in order
        for number in range(0, round(self.seconds / EVERY[stream]), self.sparse):
            captured = number * EVERY[stream]
            if not self._is_frozen(stream, captured):
                last = max(last, captured + ENCODING[stream] + self._on_the_way(captured))
                yield Arrival(last, stream, captured, self._media(stream, captured), None)

    def _reports(self, stream: int) -> Iterator[Arrival]:
        at = REPORTED[stream] * self._chance.uniform(0.1, 0.6)
        while at < self.seconds:
            if self._chance.random() < self.kept and not self._is_frozen(stream, at):
                now = at + self._on_the_way(at) + self.late * (self._chance.random() < 0.5)
                ntp = NTP + self.ntp(at) + self.wrong(at, stream)
                for copy in range(1 + self.twice):
                    yield Arrival(now + 0.01 * copy, stream, at, self._media(stream, at), ntp)
            at += REPORTED[stream] * self._chance.uniform(0.5, 1.5)

    def _on_the_way(self, at: float) -> float:
        return (
            PATH
            + self.delay(at)
            + (self._chance.expovariate(1 / self.jitter) if self.jitter else 0.0)
        )

    def _is_frozen(self, stream: int, at: float) -> bool:
        freezes = self.freezes if stream in self.frozen else ()
        return any(since <= at < since + for_ for since, for_ in freezes) if freezes else False

    def _media(self, stream: int, at: float) -> int:
        stood = 0.0
        for since, for_ in self.freezes if stream in self.frozen else ():
            stood += min(for_, at - since) if at >= since else 0.0
        return STARTS[stream] + round((at * (1 + self.drift) - stood) * RATES[stream])


class Named(NamedTuple):
    """The error of a name in seconds: made when its packet came, and settled by the next report."""

    stream: int
    captured: float
    at_once: float
    settled: float


def names(clocks: Clocks, sender: Any, every: float = 1.0) -> list[Named]:
    """Run a sender; a name each *every* seconds and stream. *sender*: a SenderClock."""
    mappers = [sender.begin(stream, RATES[stream]) for stream in (0, 1)]
    waiting: list[list[Arrival]] = [[], []]
    first = dict[Arrival, float]()
    due, made = [0.0, 0.0], list[Named]()
    for one in clocks.arrivals():
        mapper, truth = mappers[one.stream], one.captured + PATH
        if one.ntp is None:
            mapper.arrived(one.timestamp, one.now)
            if one.captured >= due[one.stream]:
                due[one.stream] = one.captured + every
                first[one] = mapper.at(one.timestamp) - truth
                waiting[one.stream].append(one)
            continue
        mapper.reported(one.ntp, one.timestamp, one.now)
        for name in [each for each in waiting[one.stream] if each.timestamp <= mapper.settled]:
            waiting[one.stream].remove(name)
            settled = mapper.at(name.timestamp) - name.captured - PATH
            made.append(Named(one.stream, name.captured, first[name], settled))
    return made
