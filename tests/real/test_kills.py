"""An engine whose slices wait for a slow supplier is killed in the middle, again and again."""

from pathlib import Path

from tests.harness.moderation.kills import kill

KILLS = 5
"""`python -m bench.kills` does it a hundred times."""
SEED = 20_250_106


async def test_each_slice_is_judged_or_told_whenever_it_is_killed(tmp_path: Path) -> None:
    tale = await kill(tmp_path, KILLS, SEED)
    tale.check()
    assert len(tale.spooled) > KILLS, "there was a load"
    assert sum(tale.asked.values()) > len(tale.spooled), (
        "some were killed while they were asked for"
    )
