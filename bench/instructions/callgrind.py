"""Reads what callgrind writes: how many instructions each function ran itself."""

import re
from collections import Counter
from typing import NamedTuple

# Names are written once, with a number, and by the number alone from then on; what is called and
# who calls share the numbers.
TABLES = {"ob": "ob", "cob": "ob", "fl": "fl", "cfi": "fl", "cfl": "fl", "fi": "fl", "fe": "fl"}
TABLES |= {"fn": "fn", "cfn": "fn"}
NAMED = re.compile(r"([a-z]+)=(?:\((\d+)\))?\s*(.*)")
COST = re.compile(r"[+-]?\d+|\*")


class Function(NamedTuple):
    """A function by the object it is linked into, the file that it begins in, and its name."""

    object: str
    file: str
    name: str


class Names:
    """The names given so far, by their numbers."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def name(self, table: str, number: str | None, name: str) -> str:
        """What this number of this table stands for; *name* where it is given now."""
        if number is None:
            return name
        if name:
            self._known[table, number] = name
        return self._known[table, number]


def parse(text: str) -> Counter[Function]:
    """Instructions by function, those of what it calls not among them.

    ValueError where they do not add up to what callgrind says they are in all.
    """
    names, costs = Names(), Counter[Function]()
    now = {"ob": "", "fl": "", "fn": ""}
    of_a_call, total = False, None
    for line in text.splitlines():
        if line.startswith("calls="):
            of_a_call = True
        elif line.startswith("totals:"):
            total = int(line.split()[1])
        elif named := NAMED.fullmatch(line):
            key, number, given = named.groups()
            if key in TABLES:
                name = names.name(TABLES[key], number, given)
                if key in now:
                    now[key] = name
        elif COST.match(line):
            if not of_a_call:
                costs[Function(now["ob"], now["fl"], now["fn"])] += int(line.split()[1])
            of_a_call = False
    if total is None or costs.total() != total:
        raise ValueError(f"callgrind counted {total} instructions, of which {costs.total()} read")
    return costs
