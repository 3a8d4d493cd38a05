"""Which layer of simulcast is taken: content, by a Bundle, so that both planes are held to it."""

from dataclasses import replace
from itertools import count, groupby, pairwise, permutations

import pytest

from slicer.rtp import rtcp
from slicer.rtp.layers import FALL_BACK, LARGER, MAX_PATIENCE, MAX_SSRCS, PATIENCE, WINDOW
from slicer.rtp.parameters import (
    MID,
    REPAIRED_RID,
    RID,
    TRANSPORT_WIDE_CC,
    VP8,
    Kind,
    RtpParameters,
)
from slicer.rtp.stream import CHANGES
from slicer.slicing.spec import VideoSpec
from tests.harness.rtp.call import VIDEO_TRACK, Call, Network, Sender, number_of
from tests.harness.rtp.parts import bundle_of

VIDEO = RtpParameters(
    Kind.VIDEO,
    {96: VP8},
    {97: 96},
    {3: TRANSPORT_WIDE_CC, 4: MID, 5: RID, 6: REPAIRED_RID},
    frozenset({"nack", "nack pli", "transport-cc"}),
    "v",
    rids=("q", "h", "f"),
)
SIZES = {"q": 100, "h": 200, "f": 400}
HEIGHTS = {"q": 180, "h": 360, "f": 720}
FIRST = {rid: 10_000 * place for place, rid in enumerate("xqhf")}
"""The number of each layer's first frame: a picture's number tells its layer."""
SETTLED = (PATIENCE + 1) * WINDOW


class Publisher:
    """A publisher of one video, whose layers begin at once unless a test says otherwise."""

    def __init__(
        self,
        rids: str = "qhf",
        parameters: RtpParameters = VIDEO,
        network: Network | None = None,
        named: int | None = 20,
        max_height: int | None = None,
    ) -> None:
        self.bundle = bundle_of("ann", [parameters])
        self.bundle.attach(VIDEO_TRACK, VideoSpec(1, max_height=max_height), 0.0)
        self.parameters, self.named = parameters, named
        self.transport = count()
        self.layers = {rid: self.layer(rid) for rid in rids}
        self.call = Call(self.bundle, list(self.layers.values()), network or Network(delay=0.02))

    def layer(self, rid: str, ssrc: int = 0) -> Sender:
        return Sender(
            self.parameters,
            ssrc=ssrc or "xqhf".index(rid),
            every=0.04,
            size=SIZES[rid],
            named=self.named,
            number=FIRST[rid],
            rid=rid,
            height=HEIGHTS[rid],
            transport=self.transport,
        )

    def pictures(self) -> str:
        """The layers that the pictures so far are of, in order, a letter for each."""
        return "".join("xqhf"[number_of(cut.frames[-1]) // 10_000] for cut in self.call.pictures)

    def order(self) -> str:
        """The same, one letter for all that follow each other."""
        return "".join(rid for rid, _ in groupby(self.pictures()))


@pytest.mark.parametrize("rids", ["".join(order) for order in permutations("qhf")])
def test_the_largest_layer_is_taken_in_whatever_order_they_are_listed_and_begin(rids: str) -> None:
    publisher = Publisher(rids, replace(VIDEO, rids=tuple(rids)))
    publisher.call.run(SETTLED + 0.5)
    settled = len(publisher.pictures())
    publisher.call.run(10)
    assert publisher.pictures()[settled:] == "f" * (len(publisher.pictures()) - settled)
    assert len(publisher.pictures()) - settled >= 9
    assert publisher.bundle.counters["layer_changed"] == (rids[0] != "f")
    assert publisher.bundle.counters["clock_jumped"] == 0


@pytest.mark.parametrize(
    ("max_height", "layer"),
    [(100, "q"), (180, "q"), (181, "h"), (360, "h"), (361, "f"), (720, "f"), (2160, "f")],
)
@pytest.mark.parametrize("rids", ["qhf", "fhq"])
def test_the_smallest_layer_that_reaches_the_height_is_taken(
    rids: str, max_height: int, layer: str
) -> None:
    publisher = Publisher(rids, max_height=max_height)
    publisher.call.run(SETTLED + 3)
    settled = len(publisher.pictures())
    publisher.call.run(6)
    assert publisher.pictures()[settled:] == layer * (len(publisher.pictures()) - settled)
    assert len(publisher.pictures()) - settled >= 5
    assert publisher.bundle.counters["clock_jumped"] == 0


def test_the_layer_that_is_enough_stops_and_comes_back() -> None:
    publisher = Publisher("qhf", max_height=360)
    publisher.call.run(6)
    publisher.layers["h"].muted = True
    publisher.call.run(6)
    publisher.layers["h"].muted = False
    publisher.call.run(10)
    assert publisher.order().endswith("hfh")


def test_tasks_share_the_layer_that_is_enough_for_all() -> None:
    other = VIDEO_TRACK._replace(task="other")
    publisher = Publisher("qhf", max_height=180)
    publisher.call.run(6)
    publisher.call.take(publisher.bundle.attach(other, VideoSpec(1, max_height=360), 6.0))
    publisher.call.run(6)
    assert {one.track.task for one in publisher.call.pictures} == {"task", "other"}
    assert publisher.order() == "qh"
    publisher.call.take(publisher.bundle.attach(other, VideoSpec(1), 12.0))
    publisher.call.run(6)
    assert publisher.order() == "qhf"
    publisher.call.take(publisher.bundle.detach(other, 18.0))
    publisher.call.run(8)
    assert publisher.order() == "qhfq"


def test_a_layer_that_begins_later_is_taken_once_it_has_flowed() -> None:
    publisher = Publisher("q")
    publisher.call.run(5)
    for rid in "hf":
        publisher.call.senders.append(publisher.layer(rid))
        publisher.call.run(5)
    assert publisher.order() == "qhf"
    epochs = [cut.epoch for cut in publisher.call.pictures]
    assert sorted(set(epochs)) == [0, 1, 2]
    assert epochs == sorted(epochs)


def test_a_path_that_narrows_costs_one_change_and_no_flapping() -> None:
    """The large layer stops for 3 s out of every 8: each return takes longer to be believed."""
    publisher = Publisher("f")
    publisher.call.senders.append(publisher.layer("h"))
    for _ in range(8):
        publisher.call.run(5)
        publisher.layers["f"].muted = True
        publisher.call.run(3)
        publisher.layers["f"].muted = False
    assert publisher.order() == "fhfh", "believed after 4 s once, and not again"
    publisher.call.run(MAX_PATIENCE * WINDOW)
    assert publisher.order() == "fhfhf"


def test_a_layer_that_is_taken_again_loses_no_second() -> None:
    publisher = Publisher("f")
    publisher.call.senders.append(publisher.layer("h"))
    publisher.call.run(3)
    publisher.layers["f"].muted = True
    publisher.call.run(4)
    publisher.layers["f"].muted = False
    publisher.call.run(10)
    assert publisher.order() == "fhf"
    began = [cut.began for cut in publisher.call.pictures]
    gaps = [after - before for before, after in pairwise(began)]
    assert max(gaps) <= FALL_BACK * WINDOW + WINDOW + CHANGES + 0.5


def test_a_layer_hardly_larger_than_the_one_taken_is_left_alone() -> None:
    publisher = Publisher("q")
    near = publisher.layer("h")
    near.size = int(SIZES["q"] * LARGER) - 10
    publisher.call.senders.append(near)
    publisher.call.run(10)
    assert publisher.order() == "q"


def test_requests_and_reports_are_about_the_layer_that_is_taken() -> None:
    publisher = Publisher("qhf", network=Network(delay=0.02, loss=0.05, seed=4))
    publisher.call.run(5)
    before = len(publisher.call.compounds)
    publisher.call.run(10)
    said = [one for _, data in publisher.call.compounds[before:] for one in rtcp.parse(data)]
    large = publisher.layers["f"].ssrc
    nacks = [one for one in said if isinstance(one, rtcp.Nack)]
    asked = [one for one in said if isinstance(one, rtcp.PictureLossIndication)]
    reports = [one for one in said if isinstance(one, rtcp.ReceiverReport) and one.reports]
    assert nacks
    assert asked
    assert reports
    assert {one.media_ssrc for one in nacks} == {large}
    assert {one.media_ssrc for one in asked} == {large}
    assert {block.ssrc for one in reports for block in one.reports} == {large}
    assert publisher.bundle.counters["retransmitted"] > 0


def test_what_repeats_another_layer_is_not_taken_for_what_is_missing() -> None:
    """A sender probes the path by repeating packets of any layer; numbers of two may be equal."""
    publisher = Publisher("qf", network=Network(lose=lambda number: number == 401))
    publisher.call.run(8)
    probe = publisher.layers["q"]
    large = publisher.layers["f"]
    sequences = range(large.sequence - 100, large.sequence)
    packets = [probe.again(one) for one in sequences if one in probe.history]
    before = publisher.bundle.counters["other_layer"]
    publisher.call.take(publisher.bundle.receive(packets, publisher.call.now))
    assert publisher.bundle.counters["other_layer"] == before + len(packets) > before
    assert publisher.bundle.counters["padding"] == 0


def test_packets_without_any_name_are_one_layer() -> None:
    """Simulcast was agreed on, and then it was not used."""
    plain = replace(VIDEO, extensions={4: MID})
    publisher = Publisher("f", parameters=plain)
    publisher.layers["f"].rid = ""
    publisher.call.run(5)
    assert publisher.order() == "f"
    assert publisher.bundle.counters["other_layer"] == 0


def test_ssrcs_made_up_cost_the_names_of_the_first_alone() -> None:
    publisher = Publisher("f", named=None)
    publisher.call.run(3)
    for ssrc in range(100, 100 + 2 * MAX_SSRCS):
        publisher.call.senders.append(publisher.layer("q", ssrc))
    publisher.call.run(5)
    assert publisher.order() == "f"


def test_all_layers_count_for_the_senders_congestion_control() -> None:
    publisher = Publisher()
    publisher.call.run(5)
    acknowledged = sum(
        sum(delta is not None for delta in one.deltas)
        for _, one in publisher.call.feedback(rtcp.TransportFeedback)
        if isinstance(one, rtcp.TransportFeedback)
    )
    sent = sum(sender.packets for sender in publisher.layers.values())
    assert acknowledged >= 0.9 * sent
