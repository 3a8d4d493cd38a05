"""When a room connects again: waits that grow, with jitter."""

FIRST = 0.5
"""Seconds, the longest first wait; each further one may be twice as long."""
LONGEST = 15.0


def wait(failures: int, chance: float) -> float:
    """Seconds to wait after *failures* ≥ 1 in a row; *chance* in [0, 1) picks within the upper
    half, so that robots that were disconnected together do not come back together.
    """
    longest = LONGEST if failures > 16 else min(FIRST * 2 ** (failures - 1), LONGEST)
    return longest * (0.5 + chance / 2)
