"""Lists are in force from the start, and change while Chromium's anchors speak."""

from datetime import UTC, datetime, timedelta

import pytest

from slicer import AudioSpec, Kind, Role, SliceParams, Subscription, VideoSpec
from tests.harness.end_to_end import Studio, studio
from tests.harness.rooms.chromium import PublishOptions, chromium
from tests.harness.storage.seaweed import Seaweed

ANN, BOB = "vip_ann", "guest_bob"
AT_FIRST = Subscription.of(allow_audio=["vip_.*$"], block_video=["guest_.*$"])
THEN = Subscription.of(block_audio=[ANN], allow_video=["guest_.*$", ANN], block_video=["vip_.*$"])
WITHIN = timedelta(seconds=1)
ANSWERED = timedelta(seconds=2)
"""A picture waits for a keyframe, which a busy machine makes late."""
TRACKS = [(who, kind) for who in (ANN, BOB) for kind in Kind]


class Spans:
    """When the first slice of each track began, and when its last one ended, in UTC."""

    def __init__(self, stage: Studio, task: str) -> None:
        self.spans = {
            track: (
                told[0].began,
                max(slice.began + timedelta(seconds=slice.seconds) for slice in told),
            )
            for track in TRACKS
            if (told := stage.stored(task, *track))
        }


@pytest.mark.asyncio
async def test_lists(seaweed: Seaweed) -> None:
    async with chromium() as browser, studio(seaweed) as stage:
        task = await stage.slice(SliceParams(AudioSpec(1), VideoSpec(1), AT_FIRST))
        for who in (ANN, BOB):
            page = await browser.publisher()
            await page.start(stage.url(who), PublishOptions())
        await stage.until(lambda: all(len(stage.stored(task, ANN, kind)) >= 3 for kind in Kind))
        status = stage.engine.describe(task)
        assert set(status.anchors) == {ANN, BOB}
        assert set(status.tracks) == {(ANN, kind, Role.MAIN) for kind in Kind}
        assert {key.split("/")[1] for key in stage.keys(task)} == {ANN}

        modified = datetime.now(UTC)
        stage.engine.modify(task, THEN)
        assert set(stage.engine.describe(task).tracks) == {(BOB, kind, Role.MAIN) for kind in Kind}
        await stage.until(lambda: all(len(stage.stored(task, BOB, kind)) >= 3 for kind in Kind))
        assert (await stage.finish(task)).lost == 0
        spans = Spans(stage, task).spans
    for kind in Kind:
        assert abs(spans[ANN, kind][1] - modified) < ANSWERED
        assert spans[ANN, kind][1] < modified + WITHIN
        print(kind, "stopped after", spans[ANN, kind][1] - modified)
        print(kind, "began after", spans[BOB, kind][0] - modified)
        # Dates are of the capture, which lies a little before the arrival.
        assert spans[BOB, kind][0] > modified - timedelta(seconds=0.2)
    assert spans[BOB, Kind.AUDIO][0] < modified + WITHIN
    assert spans[BOB, Kind.VIDEO][0] < modified + ANSWERED
