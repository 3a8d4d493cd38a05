"""How much of a bound one anchor may take; pure.

Theory of operation. A bound that all anchors share has to leave room for each of them. A fixed part
for each would be empty most of the time, and how many there will be is not known. So an anchor may
hold SHARE times what is still free (dynamic thresholds: Choudhury and Hahne, 1998). One alone takes
8/9 of the bound, two that want all of it take 8/17 each; what they leave is for those that hold
little, and these are never refused because others hold much.
"""

SHARE = 8


def may_take(own: int, all_held: int, bound: int) -> bool:
    """Whether who holds *own* of *all_held* may take more, where *bound* is the most for all."""
    return own < SHARE * (bound - all_held)


def has_too_much(own: int, holders: int, bound: int) -> bool:
    """Whether who holds *own* of a full *bound* has twice an equal share of it, as if there was one
    more holder than there is; so one alone never has too much."""
    return own * (holders + 1) > 2 * bound
