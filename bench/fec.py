"""What repairing lost Opus packets by in-band FEC gives and costs, against concealment.

    python -m bench.fec [--seconds 20] [--rounds 5]

SILK in wide band at 24 kbit/s, each packet with a copy of the one before where libopus finds it
worth one. Packets are lost by chance, each round others. Printed is the decoded audio's distance
from what is decoded without loss (dB, of the mean noise of all rounds), by the reference decoder
and by FFmpeg's own; then the part of lost packets that was coded anew, and the CPU time of one.
"""

import argparse
import time
from unittest.mock import patch

import numpy as np

from slicer.media import fec, holes, libopus, ogg
from slicer.media.libopus import Setting
from slicer.slicing.outputs import AudioPacket
from tests.harness.media.audio import make_audio, make_speech
from tests.harness.media.opus import DECODERS, Samples, decode, encode_with_fec

LOSSES = (0.05, 0.1, 0.2)
SILK = {
    Setting.BIT_RATE: 24_000,
    Setting.MODE: libopus.SILK_ONLY,
    Setting.BANDWIDTH: libopus.NARROW_BAND + 2,
}
BOUNDS = {"concealed": 0, "repaired": 1_000_000}


def lose(packets: list[AudioPacket], loss: float, seed: int) -> list[AudioPacket]:
    """All but the part *loss* of *packets*; the first ten stay."""
    random = np.random.Generator(np.random.PCG64(seed))
    return [each for n, each in enumerate(packets) if n < 10 or random.random() >= loss]


def measure(packets: list[AudioPacket], end: int, loss: float, rounds: int) -> str:
    """A row of the table."""
    whole = {decoder: decode(ogg.write(packets, 0, end), decoder) for decoder in DECODERS}
    noise = {(decoder, way): 0.0 for decoder in DECODERS for way in BOUNDS}
    seconds = dict.fromkeys(BOUNDS, 0.0)
    again = lost = 0
    for seed in range(rounds):
        came = lose(packets, loss, seed)
        lost += len(packets) - len(came)
        for way, bound in BOUNDS.items():
            with patch.object(holes, "MAX_RECOVERED", bound):
                began = time.thread_time()
                file = ogg.write(came, 0, end)
                seconds[way] += time.thread_time() - began
                laid = holes.lay(came, 0, end)
            for decoder, reference in whole.items():
                noise[decoder, way] += _power(decode(file, decoder) - reference) / rounds
        again += sum(len(each) > 1 for each in laid.payloads) - len(came)
    levels = [
        f"{10 * np.log10(_power(whole[decoder]) / value):.1f}"
        for (decoder, _), value in noise.items()
    ]
    cost = 1_000 * (seconds["repaired"] - seconds["concealed"]) / max(again, 1)
    return f"{loss:.0%} | {' | '.join(levels)} | {again / lost:.0%} | {cost:.2f}"


def _power(samples: Samples) -> float:
    return float(np.mean(samples**2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    heads = [f"{decoder} {way}" for decoder in DECODERS for way in BOUNDS]
    print(f"audio | lost | {' | '.join(heads)} | repaired | ms a packet")
    for name, audio in (
        ("speech", make_speech(options.seconds)),
        ("beeps", make_audio(options.seconds)),
    ):
        packets = encode_with_fec(audio, SILK)
        copies = sum(fec.carries(packet.payload) > 0 for packet in packets)
        for loss in LOSSES:
            print(f"{name} | {measure(packets, len(audio), loss, options.rounds)}", flush=True)
        print(f"{name}: {copies} of {len(packets)} packets carry a copy")


if __name__ == "__main__":
    main()
