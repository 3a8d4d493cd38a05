"""From runs to results: what counts, what is doubted, how it is shown."""

from dataclasses import replace

import pytest

from bench.peers.contestants import FFMPEG, NATIVE, Comparison, Contestant
from bench.peers.measure import Usage
from bench.peers.outputs import Harvest
from bench.peers.rounds import complaints, fits, line, summary, table
from bench.peers.run import Outcome, opening

USAGE = Usage(60.0, 4.0, 0.0, 70_000_000, 80_000_000, 0, 1)
GOOD = Outcome("ffmpeg", 1, USAGE, 4.0, 12, 12, Harvest(pictures_due=12), {"late": 0.01})


@pytest.mark.parametrize(
    ("cost", "wanted", "cores", "room"),
    [(3.5, 16, 1, 12), (0.1, 16, 1, 16), (100.0, 16, 1, 1), (10.0, 16, 2, 8)],
)
def test_no_more_anchors_than_fit(cost: float, wanted: int, cores: int, room: int) -> None:
    assert fits(cost, wanted, cores) == room


def test_a_good_run_is_believed() -> None:
    assert complaints(GOOD) == []
    assert complaints(replace(GOOD, delivered=11)) == []  # one may fall beyond the window's edge


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (replace(GOOD, delivered=6), "6 of 12 pictures"),
        (replace(GOOD, usage=replace(USAGE, dropped=3)), "3 datagrams"),
        (replace(GOOD, usage=replace(USAGE, others=6.0)), "others had 10%"),
        (replace(GOOD, found=Harvest(pictures_due=12, missed=2)), "2 of 12 due times"),
        (replace(GOOD, sender={"late": 0.5}), "0.50 s late"),
        (replace(GOOD, sender={"connections_lost": 2}), "2 connections lost"),
        (replace(GOOD, ours={"lost": 3}), "3 slices lost"),
    ],
)
def test_a_bad_run_is_doubted_aloud(bad: Outcome, why: str) -> None:
    assert [why in found for found in complaints(bad)] == [True]
    assert why in line(bad)


def test_the_results_say_how_many_times_cheaper() -> None:
    contestants = (Contestant(FFMPEG, "pairs"), Contestant(NATIVE, "bundle"))
    comparison = Comparison("jpg", "a title", "h264", "jpg", contestants)
    ours = [replace(GOOD, contestant="native", cost=cost) for cost in (0.1, 0.2)]
    theirs = [replace(GOOD, cost=cost) for cost in (4.0, 6.0)]
    result = summary(comparison, 16, {"ffmpeg": theirs, "native": ours})
    times = result["contestants"]["native"]["times_cheaper_than_ffmpeg"]
    assert times == {"low": 30.0, "median": 35.0, "high": 40.0}
    assert result["contestants"]["native"]["times_cheaper_than_nokey"] is None
    shown = "\n".join(table(result))
    assert "a title – 16 anchor(s)" in shown
    assert "35.0 (30.0…40.0)" in shown
    assert "every frame decoded (1 fit)" in shown


def test_who_took_no_part_is_not_in_the_results() -> None:
    contestants = (Contestant(FFMPEG, "pairs"), Contestant(NATIVE, "bundle"))
    comparison = Comparison("jpg", "a title", "h264", "jpg", contestants)
    assert summary(comparison, 1, {"ffmpeg": [GOOD]})["contestants"].keys() == {"ffmpeg"}


@pytest.mark.parametrize(("last", "opens"), [(0.0, 13.5), (4.9, 18.5), (2.9, 13.5), (3.0, 18.5)])
def test_a_window_opens_between_two_pictures_once_all_are_warm(last: float, opens: float) -> None:
    assert opening([100.0, 100.0 + last], warm_up=7.0) == 100.0 + opens
