"""Which tracks a task cuts, for whom, and how it ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rtp.parameters import Kind, Role
from slicer.slicing import task as module
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    Modified,
    RoomEntered,
    RoomLost,
    Stopped,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import (
    AnchorDropped,
    AnchorTrouble,
    AnchorWaits,
    EndReason,
    Finished,
    Output,
    State,
    StateChanged,
    Subscribe,
    TrackKey,
    TrackRefused,
    Unsubscribe,
)
from slicer.slicing.spec import AudioSpec, SliceParams, VideoSpec
from slicer.slicing.subscription import Subscription
from slicer.slicing.task import SliceTask
from tests.harness.bytecodes import bytecodes

AUDIO, VIDEO = Kind
NOBODY = Subscription.of(allow_audio=["nobody"], allow_video=["nobody"])


def key(anchor: str, kind: Kind) -> TrackKey:
    return TrackKey("t", anchor, kind)


def running(params: SliceParams | None = None) -> SliceTask:
    task = SliceTask("t", params or SliceParams(), 0.0)
    assert task.receive(RoomEntered(), 0.0) == [StateChanged(State.RUNNING)]
    return task


def tell(task: SliceTask, *facts: Fact, now: float = 1.0) -> list[Output]:
    return [output for fact in facts for output in task.receive(fact, now)]


def test_what_is_published_is_cut_as_asked() -> None:
    task = running()
    assert tell(task, AnchorJoined("ann")) == []
    assert tell(task, TrackPublished("ann", AUDIO)) == [Subscribe(key("ann", AUDIO), AudioSpec(15))]
    assert tell(task, TrackPublished("ann", VIDEO)) == [Subscribe(key("ann", VIDEO), VideoSpec(5))]
    assert tell(task, TrackPublished("ann", VIDEO), AnchorJoined("ann")) == []  # the snapshot too


def test_a_kind_that_is_not_asked_for_is_not_cut() -> None:
    task = running(SliceParams(video=None))
    assert tell(task, TrackPublished("ann", VIDEO)) == []


def test_unpublishing_and_leaving_end_tracks_once() -> None:
    task = running()
    tell(task, TrackPublished("ann", AUDIO), TrackPublished("ann", VIDEO))
    assert tell(task, TrackUnpublished("ann", AUDIO)) == [
        Unsubscribe(key("ann", AUDIO), "the anchor took it away")
    ]
    assert tell(task, AnchorLeft("ann")) == [
        Unsubscribe(key("ann", VIDEO), "the anchor left"),
        AnchorLeft("ann", ""),
    ]
    assert tell(task, TrackUnpublished("ann", VIDEO), AnchorLeft("ann")) == []


def test_modify_ends_and_begins_tracks() -> None:
    task = running()
    tell(task, TrackPublished("ann", AUDIO), TrackPublished("bob", AUDIO))
    only_bob = Subscription.of(allow_audio=["bob"])
    assert tell(task, Modified(only_bob)) == [
        Unsubscribe(key("ann", AUDIO), "the lists do not want it any more")
    ]
    assert tell(task, Modified(Subscription())) == [Subscribe(key("ann", AUDIO), AudioSpec(15))]


def test_a_reconnect_cuts_everything_and_begins_anew() -> None:
    task = running()
    tell(task, TrackPublished("ann", AUDIO))
    assert tell(task, RoomLost("ICE failed")) == [
        Unsubscribe(key("ann", AUDIO), "the room was lost: ICE failed"),
        StateChanged(State.RECONNECTING, "ICE failed"),
    ]
    assert task.anchors == ()
    assert tell(task, RoomLost("broke")) == []
    assert tell(task, RoomEntered(), TrackPublished("ann", AUDIO)) == [
        StateChanged(State.RUNNING),
        Subscribe(key("ann", AUDIO), AudioSpec(15)),
    ]


@pytest.mark.parametrize("code", EndReason)
def test_every_stop_takes_the_same_road(code: EndReason) -> None:
    task = running()
    tell(task, TrackPublished("ann", AUDIO), TrackPublished("bob", VIDEO))
    assert tell(task, Stopped(code)) == [
        Unsubscribe(key("ann", AUDIO), f"the task ended: {code}"),
        Unsubscribe(key("bob", VIDEO), f"the task ended: {code}"),
        StateChanged(State.ENDED),
        Finished(code),
    ]
    assert task.tracks == frozenset()
    assert task.deadline() is None


def test_after_the_end_nothing_happens() -> None:
    task = running()
    task.flush(1.0)
    late = (
        RoomEntered(),
        RoomLost("broke"),
        TrackPublished("ann", AUDIO),
        Modified(Subscription()),
    )
    assert tell(task, *late, Stopped(EndReason.KICKED)) == []
    assert task.handle_timer(1000.0) == task.flush(1000.0) == []
    assert task.state is State.ENDED


def full(anchors: int = 27) -> SliceTask:
    task = running()
    for number in range(anchors):
        tell(task, *(TrackPublished(f"a{number:02}", kind) for kind in Kind))
    return task


def test_the_first_25_are_cut_and_the_others_told_to_wait_once() -> None:
    task = full(25)
    assert tell(task, TrackPublished("late", AUDIO)) == [AnchorWaits("late")]
    assert tell(task, TrackPublished("late", VIDEO)) == []
    assert len({track.anchor for track in task.tracks}) == 25


def test_who_waits_is_taken_in_order_of_joining() -> None:
    task = full(27)
    assert tell(task, AnchorLeft("a03")) == [
        Unsubscribe(key("a03", AUDIO), "the anchor left"),
        Unsubscribe(key("a03", VIDEO), "the anchor left"),
        Subscribe(key("a25", AUDIO), AudioSpec(15)),
        Subscribe(key("a25", VIDEO), VideoSpec(5)),
        AnchorLeft("a03", ""),
    ]
    assert tell(task, AnchorLeft("a26", "bye")) == [AnchorLeft("a26", "bye")]  # gives up waiting


def test_who_is_cut_is_not_displaced_by_who_joined_earlier() -> None:
    task = running()
    tell(task, AnchorJoined("early"))
    for number in range(25):
        tell(task, TrackPublished(f"a{number:02}", AUDIO))
    assert tell(task, TrackPublished("early", AUDIO)) == [AnchorWaits("early")]


@pytest.mark.parametrize("places", [500, 25])
def test_in_a_crowd_each_comes_and_goes_as_in_a_small_room(places: int) -> None:
    """Else 500 who join within seconds are looked through 500 times."""

    def work(people: int) -> int:
        task = running(SliceParams(max_anchors=places))
        for number in range(people):
            tell(
                task, TrackPublished(f"a{number:03}", AUDIO), TrackPublished(f"a{number:03}", VIDEO)
            )
        come = TrackPublished("late", AUDIO), TrackPublished("late", VIDEO)
        go = TrackUnpublished("late", VIDEO), TrackUnpublished("late", AUDIO), AnchorLeft("late")
        return bytecodes(lambda: tell(task, AnchorJoined("late"), *come, *go))

    assert work(400) == work(40)


def test_an_unwanted_anchor_takes_no_place() -> None:
    task = running(SliceParams(max_anchors=1, subscription=Subscription.of(block_audio=["ann"])))
    assert tell(task, TrackPublished("ann", AUDIO)) == []
    assert len(tell(task, TrackPublished("bob", AUDIO))) == 1


def test_being_alone_for_too_long_ends_the_task() -> None:
    task = running()
    assert task.deadline() == 30.0
    tell(task, AnchorJoined("listener"), now=10.0)  # an audience is no company
    assert task.deadline() == 30.0
    tell(task, TrackPublished("ann", AUDIO), now=20.0)
    assert task.deadline() is None
    assert task.handle_timer(1000.0) == []
    tell(task, TrackUnpublished("ann", AUDIO), now=1000.0)
    assert task.handle_timer(1029.9) == []
    assert task.handle_timer(1030.0) == [StateChanged(State.ENDED), Finished(EndReason.IDLE)]


def test_anchors_nobody_wants_are_company() -> None:
    task = running(SliceParams(subscription=NOBODY))
    tell(task, TrackPublished("ann", AUDIO))
    assert task.deadline() is None


def test_being_alone_counts_from_the_entrance() -> None:
    task = SliceTask("t", SliceParams(), 0.0)
    tell(task, RoomEntered(), now=29.0)
    assert task.deadline() == 59.0
    tell(task, RoomEntered(), now=40.0)
    assert task.deadline() == 59.0


@pytest.mark.parametrize("lost", [False, True], ids=["never let in", "not let in again"])
def test_a_room_that_cannot_be_entered_ends_the_task(lost: bool) -> None:
    task = SliceTask("t", SliceParams(), 0.0)
    if lost:
        tell(task, RoomEntered(), TrackPublished("ann", AUDIO), now=0.0)
        tell(task, RoomLost("broke"), now=0.0)
    assert task.handle_timer(30.0)[-1] == Finished(EndReason.ROOM_UNREACHABLE)


def test_a_room_of_too_many_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PRESENT", 2)
    task = running()
    dropped = AnchorDropped("c", "2 anchors are in the room already")
    assert tell(task, *map(AnchorJoined, "abc")) == [dropped]
    assert tell(task, TrackPublished("c", AUDIO)) == []  # counted, and not told once more
    assert task.anchors == ("a", "b")
    assert task.counters["anchors_refused"] == 2
    assert tell(task, TrackPublished("b", AUDIO)) == [Subscribe(key("b", AUDIO), AudioSpec(15))]


def test_the_rooms_words_for_an_end_are_passed_on() -> None:
    task = running()
    tell(task, TrackPublished("ann", AUDIO), TrackPublished("ann", VIDEO))
    assert tell(task, TrackUnpublished("ann", AUDIO, "muted"), AnchorLeft("ann", "silent")) == [
        Unsubscribe(key("ann", AUDIO), "muted"),
        Unsubscribe(key("ann", VIDEO), "silent"),
        AnchorLeft("ann", "silent"),
    ]


def test_a_track_that_cannot_be_taken_is_told_and_changes_nothing() -> None:
    task = running()
    refused = TrackRefused("ann", VIDEO, "H.265 is not supported")
    assert tell(task, refused) == [refused]
    assert task.counters["tracks_refused"] == 1
    assert (task.anchors, task.tracks) == ((), frozenset())


def test_trouble_is_told_also_of_an_anchor_whose_packets_never_let_it_join() -> None:
    task, trouble = running(), AnchorTrouble("ann", "packets", 7)
    assert tell(task, trouble) == [trouble]
    tell(task, AnchorJoined("ann"))
    assert tell(task, trouble) == [trouble]


def test_an_anchor_too_many_is_told_again_once_there_was_a_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_PRESENT", 1)
    task = running()
    tell(task, AnchorJoined("a"), AnchorJoined("b"), AnchorLeft("a"), AnchorJoined("c"))
    assert tell(task, AnchorJoined("d")) == [
        AnchorDropped("d", "1 anchors are in the room already")
    ]


def test_a_room_that_is_lost_has_all_the_idle_time_to_come_back() -> None:
    task = running()
    tell(task, RoomLost("broke"), now=29.0)  # nobody had come in all that time
    assert task.handle_timer(30.0) == []
    assert task.deadline() == 59.0
    tell(task, RoomLost("broke again"), now=40.0)
    assert task.deadline() == 59.0


ANCHORS = st.sampled_from(["ann", "bob", "cat", "dan"])
KINDS = st.sampled_from(list(Kind))
SUBSCRIPTIONS = st.builds(
    lambda block, allow: Subscription.of(block_audio=block, allow_video=allow),
    st.lists(ANCHORS, max_size=3),
    st.lists(ANCHORS, max_size=3),
)
FACTS = st.one_of(
    st.builds(AnchorJoined, ANCHORS),
    st.builds(AnchorLeft, ANCHORS),
    st.builds(TrackPublished, ANCHORS, KINDS),
    st.builds(TrackPublished, ANCHORS, KINDS),
    st.builds(TrackUnpublished, ANCHORS, KINDS),
    st.builds(Modified, SUBSCRIPTIONS),
    st.just(RoomEntered()),
    st.just(RoomLost("broke")),
    st.builds(Stopped, st.sampled_from(EndReason)),
)


def published_after(facts: list[Fact]) -> set[tuple[str, Kind]]:
    """What a second reading of the facts finds published; nothing after a stop."""
    found: set[tuple[str, Kind]] = set()
    for fact in facts:
        match fact:
            case TrackPublished(anchor, kind):
                found.add((anchor, kind))
            case TrackUnpublished(anchor, kind):
                found.discard((anchor, kind))
            case AnchorLeft(anchor):
                found = {other for other in found if other[0] != anchor}
            case RoomLost("broke"):
                found = set()
            case Stopped():
                return set()
    return found


@given(st.lists(FACTS, max_size=40), st.integers(1, 4))
def test_after_any_facts_the_tracks_are_those_present_and_wanted(
    facts: list[Fact], places: int
) -> None:
    task = SliceTask("t", SliceParams(max_anchors=places), 0.0)
    cut: set[TrackKey] = set()
    waiting: set[str] = set()
    finished = 0
    for now, fact in enumerate(facts):
        for output in task.receive(fact, now):
            match output:
                case Subscribe(track):
                    assert track not in cut
                    cut.add(track)
                    waiting.discard(track.anchor)
                case Unsubscribe(track):
                    cut.remove(track)
                case AnchorWaits(anchor):
                    waiting.add(anchor)
                case Finished():
                    finished += 1
        assert cut == task.tracks
    wanted = {
        key(anchor, kind)
        for anchor, kind in published_after(facts)
        if task.subscription.wants(anchor, kind)
    }
    taken = {track.anchor for track in cut}
    assert cut == {track for track in wanted if track.anchor in taken}
    assert len(taken) == min(places, len({track.anchor for track in wanted}))
    assert {track.anchor for track in wanted} - taken <= waiting
    assert finished == any(isinstance(fact, Stopped) for fact in facts)


def test_auxiliary_tracks_are_cut_beside_the_main_ones() -> None:
    task = running()
    tell(task, TrackPublished("ann", VIDEO))
    screen = TrackKey("t", "ann", VIDEO, Role.AUX)
    published = TrackPublished("ann", VIDEO, Role.AUX)
    assert tell(task, published) == [Subscribe(screen, VideoSpec(5))]
    assert tell(task, TrackUnpublished("ann", VIDEO)) == [
        Unsubscribe(key("ann", VIDEO), "the anchor took it away")
    ]
    assert task.tracks == {screen}
    assert tell(task, TrackUnpublished("ann", VIDEO, "shared no longer", Role.AUX)) == [
        Unsubscribe(screen, "shared no longer")
    ]


def test_auxiliary_tracks_that_are_not_wanted_are_told_once() -> None:
    task = running(SliceParams(audio=None, aux=False))
    published = TrackPublished("ann", VIDEO, Role.AUX)
    refused = TrackRefused("ann", VIDEO, "auxiliary tracks are left out: aux is false", Role.AUX)
    assert tell(task, published, published) == [refused]
    assert (task.tracks, task.counters["tracks_refused"]) == (frozenset(), 1)
    assert tell(task, TrackPublished("ann", AUDIO, Role.AUX)) == []  # nor would its kind be cut
    assert tell(task, TrackUnpublished("ann", VIDEO, "", Role.AUX)) == []
