"""The driver: every output goes where it belongs, and one timer is armed."""

from collections.abc import Sequence
from typing import cast

from slicer.hot import Bundle
from slicer.rtp.parameters import OPUS, Kind, RtpParameters
from slicer.slicing.outputs import AudioCut, Subscribe, TrackKey, TrackOutput, Transmit
from slicer.slicing.spec import AudioSpec
from slicer.webrtc.driver import AGAIN, BundleDriver
from tests.harness.clock import ManualClock
from tests.harness.rtp.call import AUDIO, AUDIO_TRACK, datagram, opus

TRACK = TrackKey("task", "ann", Kind.AUDIO)
CUT = AudioCut(TRACK, OPUS, 0, 48_000, (), 1000.0)
REPORT = Transmit(b"report")


class Recorder:
    """Stands in for a bundle: writes down each call, and gives what a test put in."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.outputs: list[TrackOutput | Transmit] = []
        self.next: float | None = None

    def _call(self, *call: object) -> list[TrackOutput | Transmit]:
        self.calls.append(call)
        given, self.outputs = self.outputs, []
        return given

    def set_sections(
        self, anchor: str, sections: Sequence[RtpParameters], now: float
    ) -> list[TrackOutput | Transmit]:
        return self._call("set_sections", anchor, *sections, now)

    def attach(self, track: TrackKey, spec: object, now: float) -> list[TrackOutput | Transmit]:
        return self._call("attach", track, spec, now)

    def detach(self, track: TrackKey, now: float) -> list[TrackOutput | Transmit]:
        return self._call("detach", track, now)

    def receive(self, datagrams: Sequence[bytes], now: float) -> list[TrackOutput | Transmit]:
        return self._call("receive", *datagrams, now)

    def handle_timer(self, now: float) -> list[TrackOutput | Transmit]:
        return self._call("handle_timer", now)

    def flush(self, now: float) -> list[TrackOutput | Transmit]:
        return self._call("flush", now)

    def deadline(self) -> float | None:
        return self.next


class Bench:
    """A driver on a manual clock, with all that comes out of it in one list."""

    def __init__(self) -> None:
        self.clock = ManualClock(1000.0)
        self.bundle = Recorder()
        self.out: list[bytes | TrackOutput] = []
        bundle = cast("Bundle", self.bundle)
        self.waiting: list[list[bytes]] = []
        self.driver = BundleDriver(bundle, self.clock, self.out.append, self.out.append, self.read)

    def read(self) -> bool:
        """Take a batch of what waits; whether that was all."""
        if self.waiting:
            self.driver.receive(self.waiting.pop(0))
        return not self.waiting


def test_outputs_go_where_they_belong_in_order() -> None:
    bench = Bench()
    bench.bundle.outputs = [REPORT, CUT, REPORT]
    bench.driver.receive([b"1", b"2"])
    assert bench.bundle.calls == [("receive", b"1", b"2", 1000.0)]
    assert bench.out == [b"report", CUT, b"report"]


def test_sections_that_go_hand_over_their_last_cuts() -> None:
    bench = Bench()
    audio = RtpParameters(Kind.AUDIO, {111: OPUS})
    bench.driver.set_sections("ann", [audio])
    bench.bundle.outputs = [CUT]
    bench.driver.set_sections("ann", [])
    assert bench.bundle.calls == [
        ("set_sections", "ann", audio, 1000.0),
        ("set_sections", "ann", 1000.0),
    ]
    assert bench.out == [CUT]


def test_attach_and_detach_hand_over() -> None:
    bench = Bench()
    bench.driver.attach(Subscribe(TRACK, AudioSpec(5)))
    bench.bundle.outputs = [CUT]
    bench.driver.detach(TRACK)
    assert bench.bundle.calls == [
        ("attach", TRACK, AudioSpec(5), 1000.0),
        ("detach", TRACK, 1000.0),
    ]
    assert bench.out == [CUT]


def test_the_timer_follows_the_deadline() -> None:
    bench = Bench()
    bench.bundle.next = 1002.0
    bench.driver.receive([])
    bench.driver.receive([])
    assert bench.clock.timers == [1002.0]
    bench.bundle.next = 1001.0
    bench.driver.receive([])
    assert bench.clock.timers == [1001.0]
    bench.bundle.next = 1003.0
    bench.bundle.outputs = [REPORT]
    bench.clock.advance(1)
    assert bench.bundle.calls[-1] == ("handle_timer", 1001.0)
    assert bench.out == [b"report"]
    assert bench.clock.timers == [1003.0]
    bench.bundle.next = None
    bench.driver.receive([])
    assert bench.clock.timers == []


def test_a_deadline_that_did_not_move_is_armed_again_once_it_fired() -> None:
    bench = Bench()
    bench.bundle.next = 1001.0
    bench.driver.receive([])
    bench.clock.call_at(1001.0, lambda: setattr(bench.bundle, "next", 1004.0))
    bench.clock.advance(1)
    assert bench.bundle.calls[1:] == [("handle_timer", 1001.0)] * 2
    assert bench.clock.timers == [1004.0]


def test_close_flushes_and_disarms() -> None:
    bench = Bench()
    bench.bundle.next = 1005.0
    bench.driver.receive([])
    bench.bundle.outputs = [CUT]
    bench.driver.close()
    assert bench.bundle.calls[-1] == ("flush", 1000.0)
    assert bench.out == [CUT]
    assert bench.clock.timers == []


def test_a_timer_waits_until_all_is_read_that_came_before_it() -> None:
    bench = Bench()
    bench.bundle.next = 1001.0
    bench.driver.receive([])
    bench.waiting = [[b"1"], [b"2"], [b"3"]]
    bench.clock.advance(1)
    assert bench.bundle.calls[1:] == [("receive", b"1", 1001.0)]
    bench.clock.advance(AGAIN)
    bench.clock.call_at(bench.clock.now(), lambda: setattr(bench.bundle, "next", None))
    bench.clock.advance(AGAIN)
    assert [call[:2] for call in bench.bundle.calls[2:4]] == [("receive", b"2"), ("receive", b"3")]
    assert bench.bundle.calls[4] == ("handle_timer", bench.clock.now())


def test_a_stall_of_the_process_does_not_shatter_audio() -> None:
    """Half a minute stood still, and its packets come in one go, as does the timer."""
    clock = ManualClock(1000.0)
    cuts: list[TrackOutput] = []
    waiting: list[list[bytes]] = []

    def read() -> bool:
        if waiting:
            driver.receive(waiting.pop(0))
        return not waiting

    driver = BundleDriver(Bundle(1), clock, lambda _: None, cuts.append, read)
    driver.set_sections("ann", [AUDIO])
    driver.attach(Subscribe(AUDIO_TRACK, AudioSpec(5)))
    for number in range(100):
        driver.receive([datagram(opus(number), number, number * 960)])
        clock.advance(0.02)
    late = [datagram(opus(number), number, number * 960) for number in range(100, 1600)]
    waiting += [late[at : at + 500] for at in range(0, 1500, 500)]
    clock.advance(30)  # the timers that became due meanwhile come now
    while waiting:
        clock.advance(AGAIN)
    driver.close()
    lengths = [cut.end - cut.start for cut in cuts if isinstance(cut, AudioCut)]
    assert lengths == [5 * 48_000] * 6 + [2 * 48_000]
