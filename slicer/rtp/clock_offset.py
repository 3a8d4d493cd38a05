"""The offset from a sender's NTP clock to our *now*, plus the least delay of the path.

Theory of operation. A report or packet can come late by any queue on the way, but not before it was
sent. So (arrival - NTP) is never below the offset: a lower one is the offset, at once. A higher one
is a queue, or it is the clocks' drift. Drift is slow, and never leaves the least of many packets by
much; a queue does. So the offset rises only where the least of a whole BLOCK was NEAR it, and then
by no more than RISE. Else it holds, for hours if need be, and goes on with the slope that it had
while it could be measured. No window forgets it. In the OPENING the least delay is still being
found: how far the offset falls by then says nothing of drift.

Of delays that vary much, the least of a few is above the path's by chance, and not by drift: by
their mean above the least, divided by their number, if they come as such delays do. So a block goes
on until that is CHANCE, or for LONGEST, and what its least is above the offset counts less SURE
times that. No block lasts longer, since drift has to be followed. In a longer one it may be more;
but so may the rise be of a block that a queue came in, and none above NEAR tells a slope.
"""

# Seconds by which reports that nothing confirms yet may differ, and be of one clock.
ALIKE = 0.5
BLOCK = 7.0
LONGEST = 20.0
# Seconds by which the least of a block is expected to be above the path's least delay.
CHANCE = 0.002
# By less than so many times that it is, but in one case of five.
SURE = 1.5
# Seconds above the offset, up to which the least of a BLOCK is drift.
NEAR = 0.01
# Drift is less; seconds a second.
RISE = 700e-6
# So much more than NEAR may be drift for each second that a block lasts longer; twice RISE, since
# the one before was as long.
LONGER = 2 * RISE
# Seconds from the confirmation on.
OPENING = 30.0
# Drift between two quartz clocks is less. No shorter a time tells a slope, in seconds, nor does a
# move that is not more than NEAR.
MAX_SLOPE = 250e-6
LEARN = 120.0
# It is learned over one to two times so many seconds.
FORGET = 1800.0


class ClockOffset:
    """`now = NTP + value`. *confirmed*: by two reports of one stream that agree."""

    __slots__ = (
        "_assumed",
        "_at",
        "_began",
        "_count",
        "_later",
        "_learns_at",
        "_least",
        "_since",
        "_slope",
        "_sum",
        "confirmed",
        "value",
    )

    def __init__(self) -> None:
        self.value = 0.0
        self.confirmed = self._assumed = False
        self._at = self._began = self._learns_at = 0.0
        # Of the block: the least (arrival - NTP) above the offset, the sum of all, and how many.
        self._least, self._sum, self._count = float("inf"), 0.0, 0
        self._slope = 0.0
        # (now, value) from which on the slope is learned, and from which on it will be after that.
        self._since: tuple[float, float] | None = None
        self._later = (0.0, 0.0)

    def assume(self, value: float) -> None:
        """Take what one report says, until one is confirmed: of those that are alike, the least."""
        if not self._assumed or abs(value - self.value) > ALIKE or value < self.value:
            self.value, self._assumed = value, True

    def confirm(self, value: float, now: float) -> None:
        """Begin to measure."""
        self.value, self.confirmed = value, True
        self._at, self._began, self._learns_at = now, now, now + OPENING

    def move(self, seconds: float) -> None:
        """The sender's clock was set back by so many seconds; what was learned stays."""
        self.value += seconds
        if self._since is not None:
            self._since = (self._since[0], self._since[1] + seconds)
        self._later = (self._later[0], self._later[1] + seconds)

    def add(self, value: float, now: float) -> None:
        """Take the least (arrival - NTP) of the packets of some seconds up to *now*."""
        self.value += self._slope * max(now - self._at, 0.0)
        self._at = max(now, self._at)
        excess = value - self.value
        if excess < 0.0:
            self.value, self._least, excess = value, 0.0, 0.0
        self._least = min(excess, self._least)
        self._sum, self._count = self._sum + excess, self._count + 1
        if self._is_over(now - self._began):
            self._end_block(now)

    def _is_over(self, elapsed: float) -> bool:
        """Whether the block says enough of the path's least delay."""
        return elapsed >= BLOCK and (self._chance() <= CHANCE or elapsed >= LONGEST)

    def _chance(self) -> float:
        return (self._sum / self._count - self._least) / self._count

    def _end_block(self, now: float) -> None:
        elapsed = now - self._began
        rise = self._least - SURE * self._chance()
        if rise <= NEAR + LONGER * (elapsed - BLOCK):
            self.value += min(max(rise, 0.0), RISE * elapsed)
            if now >= self._learns_at and rise <= NEAR:
                self._learn(now)
        self._began, self._least, self._sum, self._count = now, float("inf"), 0.0, 0

    def _learn(self, now: float) -> None:
        if self._since is None:
            self._since = self._later = (now, self.value)
        elapsed = now - self._since[0]
        if elapsed >= LEARN:
            moved = self.value - self._since[1]
            slope = moved / elapsed if abs(moved) > NEAR else 0.0
            self._slope = min(max(slope, -MAX_SLOPE), MAX_SLOPE)
        if now - self._later[0] >= FORGET:
            self._since, self._later = self._later, (now, self.value)
