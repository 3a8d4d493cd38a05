"""Who is told what, in which order, without any network."""

from typing import cast

from slicer.rooms.whip.anchor import Anchor
from slicer.rooms.whip.participants import MAX_TOLD, Participants
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    RoomEntered,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import AnchorTrouble, TrackRefused

A, V = Kind.AUDIO, Kind.VIDEO
REPLACED = "replaced by a newer connection of the same user"


class Someone:
    """Stands in for an anchor."""

    def __init__(self, user: str, log: list[object], *kinds: Kind) -> None:
        self.user = user
        self.slots = tuple((kind, Role.MAIN) for kind in kinds)
        self.refused: tuple[TrackRefused, ...] = ()
        self.noise = 0
        self._log = log

    def troubles(self, now: float) -> list[AnchorTrouble]:
        noise, self.noise = self.noise, 0
        return [AnchorTrouble(self.user, f"noise by {now}", noise)] if noise else []

    def flush(self) -> None:
        self._log.append(f"{self.user} flushed")

    def forget(self, listen: object) -> None:
        self._log.append(f"{self.user} forgot")


class Theatre:
    """A participants with one robot's log, and the list of those whose connection was ended."""

    def __init__(self) -> None:
        self.log: list[object] = []
        self.ended: list[Anchor] = []
        self.participants = Participants(self.ended.append)
        self.listen = self.log.append

    def expected(self, user: str, *kinds: Kind) -> Anchor:
        anchor = cast("Anchor", Someone(user, self.log, *kinds))
        self.participants.expect(anchor)
        return anchor

    def joined(self, user: str, *kinds: Kind) -> Anchor:
        anchor = self.expected(user, *kinds)
        self.participants.joined(anchor)
        return anchor

    def told(self) -> list[object]:
        log, self.log[:] = list(self.log), []
        return log


def test_the_snapshot_then_the_changes() -> None:
    theatre = Theatre()
    theatre.joined("ann", A, V)
    theatre.expected("bob", A)
    theatre.participants.watch(theatre.listen)
    assert theatre.told() == [
        RoomEntered(),
        AnchorJoined("ann"),
        TrackPublished("ann", A),
        TrackPublished("ann", V),
    ]
    theatre.joined("cat", V)
    assert theatre.told() == [AnchorJoined("cat"), TrackPublished("cat", V)]


def test_the_last_cuts_come_before_the_facts() -> None:
    theatre = Theatre()
    theatre.participants.watch(theatre.listen)
    ann = theatre.joined("ann", A, V)
    theatre.told()
    theatre.participants.left(ann, "ICE consent lost")
    assert theatre.told() == [
        "ann flushed",
        TrackUnpublished("ann", A, "ICE consent lost"),
        TrackUnpublished("ann", V, "ICE consent lost"),
        AnchorLeft("ann", "ICE consent lost"),
    ]
    theatre.participants.left(ann, "ICE consent lost")
    assert theatre.told() == []


def test_the_newer_connection_of_a_user_replaces_the_older() -> None:
    theatre = Theatre()
    theatre.participants.watch(theatre.listen)
    old = theatre.joined("ann", A)
    theatre.told()
    new = theatre.joined("ann", V)
    assert theatre.told() == [
        "ann flushed",
        TrackUnpublished("ann", A, REPLACED),
        AnchorLeft("ann", REPLACED),
        AnchorJoined("ann"),
        TrackPublished("ann", V),
    ]
    assert theatre.ended == [old]
    theatre.participants.left(old, "closed")
    assert theatre.told() == []
    assert theatre.participants.anchors == {"ann": new}


def test_an_older_connection_that_comes_about_later_is_ended() -> None:
    theatre = Theatre()
    theatre.participants.watch(theatre.listen)
    old = theatre.expected("ann", A)
    bob = theatre.expected("bob", A)
    theatre.participants.replace("ann")
    assert theatre.ended == [old]
    new = theatre.joined("ann", V)
    theatre.participants.joined(old)
    assert theatre.participants.anchors == {"ann": new}
    theatre.participants.joined(bob)
    assert theatre.participants.anchors == {"ann": new, "bob": bob}


def test_those_that_are_connecting_are_counted_by_address() -> None:
    theatre = Theatre()
    live = theatre.joined("ann", A)
    theatre.participants.expect(cast("Anchor", Someone("ann", theatre.log, A)), "192.0.2.1")
    theatre.participants.expect(cast("Anchor", Someone("bob", theatre.log, A)), "192.0.2.1")
    theatre.participants.expect(cast("Anchor", Someone("eve", theatre.log, A)), "192.0.2.2")
    assert theatre.participants.pending("192.0.2.1") == 2
    theatre.participants.replace("ann")
    assert theatre.participants.pending("192.0.2.1") == 1
    assert theatre.participants.anchors == {"ann": live}


def test_a_failed_attempt_leaves_the_live_one_alone() -> None:
    theatre = Theatre()
    theatre.participants.watch(theatre.listen)
    live = theatre.joined("ann", A)
    theatre.told()
    theatre.participants.left(theatre.expected("ann", A), "DTLS failed")
    assert theatre.told() == []
    assert theatre.participants.anchors == {"ann": live}


def test_all_robots_are_told_until_they_leave() -> None:
    theatre = Theatre()
    other: list[object] = []
    listen = other.append
    theatre.participants.watch(theatre.listen)
    theatre.participants.watch(listen)
    theatre.joined("ann", A)
    assert other == theatre.told()
    theatre.participants.unwatch(listen)
    assert theatre.told() == ["ann forgot"]
    other.clear()
    theatre.joined("bob", A)
    assert other == []
    assert theatre.told() == [AnchorJoined("bob"), TrackPublished("bob", A)]


def test_a_robot_may_leave_on_what_it_is_told() -> None:
    theatre = Theatre()
    seen: list[object] = []

    def leave_at_once(told: object) -> None:
        seen.append(told)
        if isinstance(told, AnchorJoined):
            theatre.participants.unwatch(leave_at_once)

    theatre.participants.watch(leave_at_once)
    theatre.joined("ann", A, V)
    assert seen == [RoomEntered(), AnchorJoined("ann")]


def test_close_ends_everybody() -> None:
    theatre = Theatre()
    ann, bob = theatre.joined("ann", A), theatre.expected("bob", A)
    theatre.participants.close()
    assert theatre.ended == [bob, ann]
    assert theatre.participants.closed
    assert theatre.participants.anchors == {}


def test_what_is_not_received_of_an_anchor_is_told_with_its_arrival() -> None:
    theatre = Theatre()
    refused = TrackRefused("ann", V, "no codec of ours")
    ann = theatre.expected("ann", A)
    ann.refused = (refused,)
    theatre.participants.watch(theatre.listen)
    theatre.participants.joined(ann)
    assert theatre.told()[1:] == [AnchorJoined("ann"), TrackPublished("ann", A), refused]


def test_what_of_an_anchors_media_is_given_up_is_told() -> None:
    theatre = Theatre()
    theatre.participants.watch(theatre.listen)
    ann = theatre.joined("ann", A)
    cast("Someone", theatre.expected("bob", A)).noise = 5
    theatre.told()
    cast("Someone", ann).noise = 7
    theatre.participants.look(7.0)
    assert theatre.told() == [AnchorTrouble("ann", "noise by 7.0", 7)]
    cast("Someone", ann).noise = 3
    theatre.participants.left(ann, "over")
    assert AnchorTrouble("ann", "noise by 7.0", 3) in theatre.told()


def test_who_did_not_get_in_is_told_at_the_next_look() -> None:
    theatre = Theatre()
    theatre.participants.watch(theatre.listen)
    theatre.told()
    for _ in range(3):
        theatre.participants.turned_away("eve", "refused")
    theatre.participants.turned_away("bob", "not connected")
    assert theatre.told() == []
    theatre.participants.look(10.0)
    assert theatre.told() == [
        AnchorTrouble("eve", "refused", 3),
        AnchorTrouble("bob", "not connected", 1),
    ]
    theatre.participants.look(20.0)
    assert theatre.told() == []


def test_a_flood_of_users_who_are_refused_is_told_of_some() -> None:
    theatre = Theatre()
    theatre.participants.watch(theatre.listen)
    for number in range(MAX_TOLD + 5):
        theatre.participants.turned_away(f"user{number}", "refused")
    theatre.participants.turned_away("user0", "refused")
    theatre.told()
    theatre.participants.look(10.0)
    told = theatre.told()
    assert len(told) == MAX_TOLD
    assert told[0] == AnchorTrouble("user0", "refused", 2)


def test_who_is_connecting_is_expected_until_he_is_here() -> None:
    theatre = Theatre()
    anchor = theatre.expected("ann", A)
    assert (theatre.participants.connecting, theatre.participants.expects(anchor)) == (1, True)
    theatre.participants.joined(anchor)
    assert (theatre.participants.connecting, theatre.participants.expects(anchor)) == (0, False)
