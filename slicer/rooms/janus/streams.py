"""The streams of a publisher: which is the main one of its kind, and which the auxiliary one.

Theory of operation. Janus has no field for it. What a publisher may say is a description of each
stream, in words of its own ("My front webcam"; `descriptions` in VideoRoom's documentation), and
the MID. One that speaks of a screen is the auxiliary stream. Where none does, the first in order of
m-lines is the main one, and the second the auxiliary one: browsers write m-lines in the order in
which a page adds tracks. A stream keeps its role while it is published: who switches the camera off
goes on sharing a screen, and the screen is no camera by that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from slicer.rtp.parameters import Kind, Role, Slot

_WORDS = ("screen", "slides", "presentation")


@dataclass(frozen=True, slots=True)
class FeedStream:
    """A stream that a feed sends: its MID there, its codec in Janus' words, and what the publisher
    says of it; "" for nothing."""

    kind: Kind
    mid: str
    codec: str
    role: Role = Role.MAIN
    description: str = ""

    @property
    def slot(self) -> Slot:
        """Its place among the publisher's."""
        return self.kind, self.role


def _names_screen(stream: FeedStream) -> bool:
    description = f"{stream.description} {stream.mid}".lower()
    return any(word in description for word in _WORDS)


def assign(
    streams: Iterable[FeedStream], before: Mapping[Slot, FeedStream]
) -> tuple[dict[Slot, FeedStream], list[FeedStream]]:
    """The streams by slot, and those for which there is none: the third of a kind, and further.

    *before*: what the publisher sent until now, by slot.
    """
    kept = {(one.kind, one.mid): one.role for one in before.values()}
    found: dict[Slot, FeedStream] = {}
    left: list[FeedStream] = []
    wishes: list[tuple[int, Role, FeedStream]] = []
    for one in streams:
        if _names_screen(one):
            wishes.append((0, Role.AUX, one))
        else:
            role = kept.get((one.kind, one.mid))
            wishes.append((1, role, one) if role else (2, Role.MAIN, one))
    # A sort is stable: streams of one rank stay in order of m-lines.
    for _, role, one in sorted(wishes, key=lambda wish: wish[0]):
        other = Role.AUX if role is Role.MAIN else Role.MAIN
        free = next((each for each in (role, other) if (one.kind, each) not in found), None)
        if free is None:
            left.append(one)
        else:
            found[one.kind, free] = replace(one, role=free)
    return found, left
