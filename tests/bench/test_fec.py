"""The measurement of in-band FEC: what is lost, and a row that says repairing helps."""

from bench import fec
from tests.harness.media.audio import make_speech
from tests.harness.media.opus import encode_with_fec


def test_packets_are_lost_by_chance_but_not_the_first() -> None:
    packets = encode_with_fec(make_speech(2), fec.SILK)
    came = fec.lose(packets, 0.2, 1)
    assert came[:10] == packets[:10]
    assert 70 < len(came) < 90
    assert came == fec.lose(packets, 0.2, 1) != fec.lose(packets, 0.2, 2)


def test_a_row_has_each_decoders_levels_the_part_repaired_and_the_cost() -> None:
    audio = make_speech(4)
    row = fec.measure(encode_with_fec(audio, fec.SILK), len(audio), 0.1, 1).split(" | ")
    loss, ffmpeg, ffmpeg_repaired, libopus, libopus_repaired, part, cost = row
    assert loss == "10%"
    assert float(ffmpeg_repaired) > float(ffmpeg) + 2
    assert float(libopus_repaired) > float(libopus) + 2
    assert 20 < int(part.rstrip("%")) <= 100
    assert float(cost) > 0
