"""When to try again: a pure schedule of waits."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waits with jitter, in seconds.

    *first* is the longest first wait, each further one *factor* times as long, up to *most*.
    *refused* is the wait after a refusal that only a human can lift. After *give_up* seconds
    an item is given up at its next failure.
    """

    first: float = 0.5
    factor: float = 2.0
    most: float = 30.0
    refused: float = 60.0
    give_up: float = 86_400.0

    def after(self, failures: int, chance: float, refused: bool) -> float:
        """The wait after *failures* ≥ 1 in a row, the last of which may be a refusal."""
        return self.after_refusal(chance) if refused else self.after_failure(failures, chance)

    def after_failure(self, failures: int, chance: float) -> float:
        """The wait after *failures* ≥ 1 in a row; *chance* in [0, 1) picks within its upper half.

        The lower half is kept: all who failed together must not return together, nor at once.
        """
        longest = self.first
        for _ in range(failures - 1):
            if longest >= self.most:
                break
            longest *= self.factor
        return min(longest, self.most) * (0.5 + chance / 2)

    def after_refusal(self, chance: float) -> float:
        """The wait after a refusal, up to a tenth longer by *chance* in [0, 1)."""
        return self.refused * (1 + chance / 10)
