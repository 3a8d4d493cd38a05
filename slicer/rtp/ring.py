"""Puts packets of one source back into order, and decides when a missing one is given up.

Memory contract: a packet belongs to the ring from `insert` until `pop` gives it back; the ring
holds at most CAPACITY packets, and a packet's slot is its sequence number modulo CAPACITY.
"""

from slicer.rtp.packet import Packet

CAPACITY = 2048
# RFC 3550 A.1 believes a source that jumped once two packets follow each other. One that seems to
# fall back a little may be late retransmissions, so it takes more of them.
JUMPED = 2
FELL_BACK = 8


class ReorderRing:
    """A ring over unwrapped sequence numbers.

    *opening*: seconds the very first packets wait for earlier ones to overtake them;
    *patience*: seconds a hole is waited for from the arrival of the packet behind it.
    """

    def __init__(self, opening: float, patience: float) -> None:
        self._opening, self._patience = opening, patience
        self._slots: list[Packet | None] = [None] * CAPACITY
        self._held = 0
        self._next: int | None = None
        self._highest = 0
        self._opens_at: float | None = None
        self._contiguous = False  # what came before the first packet is not known
        self._strays: list[Packet] = []

    def insert(self, packet: Packet) -> str | None:
        """Take a packet. Returns why it was not taken ("duplicate", "late", "stray"), or None."""
        sequence = packet.sequence
        if self._next is None:
            self._open(packet)
        assert self._next is not None
        if self._opens_at is not None and self._highest - CAPACITY < sequence < self._next:
            self._next = sequence
        ahead = sequence - self._next
        if not 0 <= ahead < CAPACITY:
            return self._stray(packet, late=-CAPACITY < ahead < 0)
        slot = sequence % CAPACITY
        if self._slots[slot] is not None:
            return "duplicate"
        self._strays.clear()
        self._slots[slot] = packet
        self._held += 1
        self._highest = max(self._highest, sequence)
        return None

    def pop(self, now: float) -> list[tuple[Packet, bool]]:
        """All packets whose turn it is, each with whether it follows the last without a hole."""
        if self._opens_at is not None:
            if now < self._opens_at and self._held < CAPACITY // 2:
                return []
            self._opens_at = None
        out: list[tuple[Packet, bool]] = []
        while self._held:
            packet = self._take()
            if packet is not None:
                out.append((packet, self._contiguous))
                self._contiguous = True
            elif self._first_held().arrival + self._patience <= now:
                self._next = self._first_held().sequence
                self._contiguous = False
            else:
                break
        return out

    def flush(self) -> list[tuple[Packet, bool]]:
        """Everything held, holes given up; the ring opens anew with the next packet."""
        self._opens_at = None
        out = self.pop(float("inf"))
        self._next = None
        self._contiguous = False
        self._strays.clear()
        return out

    def restart(self) -> None:
        """Forget everything; the next packet begins at once, without an opening wait."""
        self._slots = [None] * CAPACITY if self._held else self._slots
        self._held, self._next, self._opens_at = 0, None, None
        self._contiguous = False
        self._strays.clear()
        self._opening = 0.0

    def deadline(self) -> float | None:
        """When something comes out by itself: the opening ends, or a hole is given up."""
        if not self._held:
            return None
        if self._opens_at is not None:
            return self._opens_at
        return self._first_held().arrival + self._patience

    @property
    def expects(self) -> int | None:
        """The sequence number whose turn it is; earlier ones no longer matter."""
        return self._next

    def _open(self, packet: Packet) -> None:
        self._next = self._highest = packet.sequence
        self._opens_at = packet.arrival + self._opening if self._opening else None

    def _take(self) -> Packet | None:
        assert self._next is not None
        slot = self._next % CAPACITY
        packet = self._slots[slot]
        if packet is not None:
            self._slots[slot] = None
            self._held -= 1
            self._next += 1
        return packet

    def _first_held(self) -> Packet:
        assert self._next is not None
        for sequence in range(self._next, self._next + CAPACITY):
            packet = self._slots[sequence % CAPACITY]
            if packet is not None:
                return packet
        raise AssertionError("the ring counts packets it does not hold")

    def _stray(self, packet: Packet, late: bool) -> str:
        """Hold packets from elsewhere until so many follow each other that the source has moved."""
        if self._strays and packet.sequence != self._strays[-1].sequence + 1:
            self._strays.clear()
        self._strays.append(packet)
        if len(self._strays) < (FELL_BACK if late else JUMPED):
            return "late" if late else "stray"
        return "moved"

    def moved(self) -> list[tuple[Packet, bool]]:
        """After "moved": give up what is held and go on where the source went; nothing is lost."""
        strays, self._strays = self._strays, []
        out = self.flush()
        self._next = self._highest = strays[0].sequence
        for packet in strays:
            self.insert(packet)
        return out
