"""The reorder ring: puts packets of one source into order, and gives up on missing ones.

Theory of operation. `next` is the sequence number whose turn it is. The ring takes what lies in
[next, next + CAPACITY); a packet's slot is its sequence number modulo CAPACITY. Three things
happen:

    opening   The first packet need not be the lowest: for *opening* seconds a lower one may still
              move `next` back.
    hole      A packet behind a missing one waits for it, *patience* seconds from the arrival of the
              first packet behind the hole. Then `next` goes on to the first packet held.
    jump      A packet outside of the window is not taken. It may be noise, a late repetition, or a
              sender that has begun its numbers anew. Such packets are held apart (`orphans`), while
              each follows the one before. Ahead of the window JUMPED of them are enough (RFC 3550
              A.1). Behind it they may be late retransmissions, so there must be FELL_BACK of them,
              and nothing newer for FELL_SILENT seconds.

A packet that is next in line, while nothing is held, goes straight to `ready`: without loss the
slots are never touched.

Memory contract: a packet belongs to the ring from `insert` until `pop` gives it back.
"""

from slicer.rtp.packet import Packet

CAPACITY = 2048
JUMPED = 2
FELL_BACK = 8
FELL_SILENT = 1.0


class ReorderRing:
    """A ring over unwrapped sequence numbers.

    *opening*: seconds the very first packets wait for earlier ones to overtake them;
    *patience*: seconds a hole is waited for from the first arrival of a packet behind it.
    """

    def __init__(self, opening: float, patience: float) -> None:
        self._opening, self._patience = opening, patience
        self._slots: list[Packet | None] = [None] * CAPACITY
        self._held = 0
        self._ready: list[tuple[Packet, bool]] = []
        self._next: int | None = None
        self._floor: int | None = None  # where `next` is not known: what is before it is late
        self._highest = 0
        self._opens_at: float | None = None
        self._contiguous = False  # nothing is known of what came before the first packet
        self._hole_since: float | None = None
        self._orphans: list[Packet] = []
        self._taken_at = 0.0

    def insert(self, packet: Packet) -> str | None:
        """Take a packet; None, or why not: "duplicate", "late", "stray", "moved".

        After "moved" the source is elsewhere: `flush`, then insert what `orphans` gives.
        """
        sequence = packet.sequence
        if self._next is None:
            if self._floor is not None and sequence < self._floor:
                return self._stray(packet, late=True)
            self._open(packet)
        elif self._opens_at is not None and self._highest - CAPACITY < sequence < self._next:
            self._next = sequence
        assert self._next is not None
        ahead = sequence - self._next
        if not 0 <= ahead < CAPACITY:
            return self._stray(packet, late=ahead < 0)
        if not ahead and not self._held and self._opens_at is None:
            self._ready.append((packet, self._contiguous))
            self._contiguous, self._next = True, sequence + 1
        elif self._slots[sequence % CAPACITY] is not None:
            return "duplicate"
        else:
            self._slots[sequence % CAPACITY] = packet
            self._held += 1
            self._highest = max(self._highest, sequence)
        self._note(packet)
        return None

    def skip(self, packet: Packet) -> str | None:
        """Go on behind a packet without taking it; returns as `insert` does."""
        if self._next is not None and not 0 <= packet.sequence - self._next < CAPACITY:
            return self._stray(packet, late=packet.sequence < self._next)
        if self._next is None and self._floor is not None and packet.sequence < self._floor:
            return self._stray(packet, late=True)
        self._next, self._opens_at = packet.sequence + 1, None
        self._note(packet)
        return None

    def lacks(self, sequence: int) -> bool:
        """Whether this packet is waited for: one behind it is held."""
        if not self._held or self._next is None or not self._next <= sequence < self._highest:
            return False
        return self._slots[sequence % CAPACITY] is None

    def pop(self, now: float) -> list[tuple[Packet, bool]]:
        """All packets whose turn it is, each with whether it follows the last without a hole."""
        out, self._ready = self._ready, []
        if self._opens_at is not None:
            if now < self._opens_at and self._held < CAPACITY // 2:
                return out
            self._opens_at = None
        while self._held:
            packet = self._take()
            if packet is not None:
                out.append((packet, self._contiguous))
                self._contiguous = True
            elif self._since() + self._patience <= now:
                self._next = self._first_held()
                self._contiguous = False
            else:
                break
        return out

    def flush(self) -> list[tuple[Packet, bool]]:
        """Everything held, holes given up; the ring opens anew with the next packet."""
        self._opens_at = None
        out = self.pop(float("inf"))
        self._next, self._floor, self._contiguous = None, None, False
        return out

    def restart(self, at: int | None = None) -> None:
        """Forget what is held; the next packet begins at once, without an opening wait.

        Packets before number *at* are late; without it, those before the one whose turn it was.
        """
        self._floor = at if at is not None else self._floor if self._next is None else self._next
        if self._held:
            self._slots = [None] * CAPACITY
        self._held, self._ready, self._next, self._opens_at = 0, [], None, None
        self._hole_since, self._contiguous, self._opening = None, False, 0.0
        self._orphans.clear()

    def orphans(self) -> list[Packet]:
        """The packets that showed where the source goes on; they are the caller's now."""
        orphans, self._orphans = self._orphans, []
        return orphans

    def deadline(self) -> float | None:
        """When something comes out by itself: the opening ends, or a hole is given up."""
        if not self._held:
            return None
        return self._opens_at if self._opens_at is not None else self._since() + self._patience

    @property
    def expects(self) -> int | None:
        """The sequence number whose turn it is; earlier ones no longer matter."""
        return self._next

    def _open(self, packet: Packet) -> None:
        self._next = self._highest = packet.sequence
        self._opens_at = packet.arrival + self._opening if self._opening else None

    def _note(self, packet: Packet) -> None:
        self._taken_at = packet.arrival
        if self._orphans:
            self._orphans.clear()

    def _take(self) -> Packet | None:
        assert self._next is not None
        slot = self._next % CAPACITY
        packet = self._slots[slot]
        if packet is not None:
            self._slots[slot] = None
            self._held -= 1
            self._next += 1
            self._hole_since = None
        return packet

    def _since(self) -> float:
        """When the hole at `expects` was first seen; a repaired packet behind it came later."""
        if self._hole_since is None:
            self._hole_since = min(packet.arrival for packet in self._slots if packet is not None)
        return self._hole_since

    def _first_held(self) -> int:
        return min(packet.sequence for packet in self._slots if packet is not None)

    def _stray(self, packet: Packet, late: bool) -> str:
        """Hold packets outside of the window until enough of them follow each other."""
        orphans = self._orphans
        if orphans and packet.sequence == orphans[-1].sequence:
            return "duplicate"
        if orphans and packet.sequence != orphans[-1].sequence + 1:
            orphans.clear()
        orphans.append(packet)
        if late:
            silent = packet.arrival - self._taken_at >= FELL_SILENT
            moved = (silent and len(orphans) >= FELL_BACK) or len(orphans) >= CAPACITY // 2
        else:
            moved = len(orphans) >= JUMPED
        if moved:
            return "moved"
        return "late" if late else "stray"
