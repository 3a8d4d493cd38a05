"""The NACK list: which packets to ask for again (RFC 4585 6.2.1), when, and how often."""

# Seconds. A packet that comes this little late was reordered, not lost.
OVERTAKEN = 0.02
INTERVAL = 0.1
TRIES = 10
# More in one NACK is of no use: beyond it a keyframe is cheaper.
MAX_MISSING = 512


class NackList:
    """The missing sequence numbers of one source. Sequence numbers are unwrapped."""

    def __init__(self) -> None:
        self._highest: int | None = None
        self._missing: dict[int, tuple[float, int]] = {}

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._missing

    def asked(self, sequence: int) -> bool:
        """Whether this packet is missing, and was asked for."""
        return sequence in self._missing and self._missing[sequence][1] > 0

    def receive(self, sequence: int, now: float) -> None:
        """A packet came; those it overtook become missing."""
        if self._highest is None:
            self._highest = sequence
        if sequence <= self._highest:
            self._missing.pop(sequence, None)
            return
        if sequence == self._highest + 1:
            self._highest = sequence
            return
        first = max(self._highest + 1, sequence - MAX_MISSING)
        for lost in range(first, sequence):
            self._missing[lost] = (now + OVERTAKEN, 0)
        self._highest = sequence
        while len(self._missing) > MAX_MISSING:
            del self._missing[next(iter(self._missing))]

    def forget_before(self, sequence: int) -> None:
        """The ring no longer waits for anything before this one."""
        while self._missing and (oldest := next(iter(self._missing))) < sequence:
            del self._missing[oldest]

    def handle_timer(self, now: float) -> list[int]:
        """The sequence numbers to ask for now, ascending."""
        if not self._missing:
            return []
        due = [lost for lost, (when, _) in self._missing.items() if when <= now]
        for lost in due:
            tries = self._missing[lost][1] + 1
            if tries < TRIES:
                self._missing[lost] = (now + INTERVAL, tries)
            else:
                del self._missing[lost]
        return sorted(due)

    def deadline(self) -> float | None:
        """When to ask next."""
        return min((when for when, _ in self._missing.values()), default=None)
