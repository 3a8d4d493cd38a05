"""CPU for a minute of an anchor at 0, 5 and 20 % loss: `python -m bench.losses [--seconds S]`.

Opus (SILK with in-band FEC) and VP8 of 1.5 Mbit/s at 30 frames a second, an audio slice every 15 s
and a picture every 5 s, over a path of 20 ms that loses media by chance: requests for lost packets
and for keyframes are answered. *core*: from the datagram to the cut, reports and requests
included, in the plane that `slicer.hot` has chosen (SLICER_NATIVE=0: the reference), without
sockets and SRTP. *files*: writing the audio slices, lost packets repaired by FEC. Pictures are left
out: one costs the same at any loss.
"""

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from unittest.mock import patch

from slicer.hot import IMPLEMENTATION, Bundle
from slicer.media import libopus, ogg
from slicer.media.libopus import Setting
from slicer.rtp.parameters import OPUS, Kind, RtpParameters
from slicer.slicing.outputs import AudioCut, TrackOutput, Transmit
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.media.audio import make_speech
from tests.harness.media.opus import encode_with_fec
from tests.harness.rtp.call import AUDIO_TRACK, VIDEO, VIDEO_TRACK, Call, Network, Sender

LOSSES = (0.0, 0.05, 0.2)
PATH = 0.02
TICK = 0.02
ROUNDS = 3
AUDIO = RtpParameters(Kind.AUDIO, {111: OPUS}, feedback=frozenset({"nack", "transport-cc"}))
SILK = {
    Setting.BIT_RATE: 24_000,
    Setting.MODE: libopus.SILK_ONLY,
    Setting.BANDWIDTH: libopus.NARROW_BAND + 2,
}


class Timed:
    """A Bundle, and the seconds of CPU that its calls took."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._bundle = Bundle(1)
        self._bundle.set_sections("ann", [AUDIO, VIDEO], 0.0)
        self._bundle.attach(AUDIO_TRACK, AudioSpec(15), 0.0)
        self._bundle.attach(VIDEO_TRACK, VideoSpec(5), 0.0)

    def receive(self, batch: Sequence[bytes], now: float) -> list[TrackOutput | Transmit]:
        began = time.process_time()
        given = self._bundle.receive(batch, now)
        self.seconds += time.process_time() - began
        return given

    def handle_timer(self, now: float) -> list[TrackOutput | Transmit]:
        began = time.process_time()
        given = self._bundle.handle_timer(now)
        self.seconds += time.process_time() - began
        return given

    def flush(self, now: float) -> list[TrackOutput | Transmit]:
        return self._bundle.flush(now)

    def deadline(self) -> float | None:
        return self._bundle.deadline()


Outcome = tuple[float, float, Counter[str]]
"""Seconds of CPU of the core and of the files, and what was done about lost packets."""


def run(loss: float, seconds: float, payloads: Sequence[bytes]) -> Outcome:
    """One call."""
    senders = [
        Sender(AUDIO, ssrc=1, reports=5.0),
        Sender(VIDEO, ssrc=2, every=1 / 30, size=6250, mtu=1200, reports=1.0),
    ]
    timed, done = Timed(), Counter[str]()
    call = Call(timed, senders, Network(PATH, loss=loss), tick=TICK)  # type: ignore[arg-type]
    with patch("tests.harness.rtp.call.opus", lambda number, _: payloads[number % len(payloads)]):
        call.run(seconds)
    slices = [cut for cut in call.cuts if isinstance(cut, AudioCut)]
    assert slices, "nothing was cut"
    began = time.process_time()
    for cut in slices:
        ogg.write(cut.packets, cut.start, cut.end, (), done)
    return timed.seconds, time.process_time() - began, done


def main(seconds: float) -> None:
    """The best of some rounds is told."""
    payloads = [one.payload for one in encode_with_fec(make_speech(20), SILK)]
    for loss in LOSSES:
        rounds = [run(loss, seconds, payloads) for _ in range(ROUNDS)]
        core = min(core for core, _, _ in rounds) * 60_000 / seconds
        files = min(files for _, files, _ in rounds) * 60_000 / seconds
        _, _, done = rounds[0]
        repaired = f"{done['recovered']} repaired, {done['concealed']} filled"
        print(f"{IMPLEMENTATION}, {loss:.0%}: core {core:.1f} ms, files {files:.1f} ms; {repaired}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.losses", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    main(parser.parse_args().seconds)
