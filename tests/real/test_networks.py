"""libwebrtc behind bad networks: exact lengths, beeps in place, and no damaged picture.

All of `tests/harness/network/conditions.py` are measured by `python -m bench.networks`; these few
take some twenty seconds together.
"""

from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness.end_to_end import studio
from tests.harness.media.content import Content, write_wav
from tests.harness.network.conditions import CONDITIONS, FPS, SECONDS, Outcome, measure
from tests.harness.rooms.libwebrtc import missing
from tests.harness.storage.seaweed import Seaweed

SLICES = 2
CHOSEN = ("loss of 10 %", "jitter of 500 ms", "outage of 5 s", "another address")
networks = pytest.mark.parametrize("name", CHOSEN)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outcomes(
    seaweed: Seaweed, devices: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    if lacks := missing():
        pytest.skip(lacks)
    chosen = [one for one in CONDITIONS if one.name in CHOSEN]
    microphone = tmp_path_factory.mktemp("networks") / "microphone.wav"
    write_wav(microphone, Content(seconds=90))  # it is not repeated
    async with studio(seaweed) as stage:
        found = await measure(stage, (devices[0], microphone), chosen, SLICES)
    for one in found:
        print(one)
    return {one.condition.name: one for one in found}


@networks
def test_slices_have_the_samples_they_are_said_to_have(
    outcomes: dict[str, Outcome], name: str
) -> None:
    one = outcomes[name]
    assert one.exact
    assert len(one.lengths) >= SLICES
    if not one.condition.outage:
        assert set(one.lengths) == {SECONDS}
    assert not one.left


@networks
def test_beeps_are_in_their_place(outcomes: dict[str, Outcome], name: str) -> None:
    one = outcomes[name]
    assert one.beeps >= SECONDS * SLICES - 3
    if not one.condition.outage:
        assert one.beeps >= one.seconds - 3
        assert one.off < 0.1


@networks
def test_no_picture_is_damaged(outcomes: dict[str, Outcome], name: str) -> None:
    one = outcomes[name]
    assert one.damaged == 0
    assert len(one.pictures) >= SECONDS * SLICES - 2
    assert all(0 < step < 30 * FPS for step in one.steps), "on, and never the same one twice"


def test_what_was_lost_is_repaired(outcomes: dict[str, Outcome]) -> None:
    one = outcomes["loss of 10 %"]
    audio, video = one.lost
    assert audio > 5
    assert video > 0
    assert one.repeated > 0
    assert one.filled < audio
