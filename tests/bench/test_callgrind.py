"""What callgrind writes is read: names by number, self costs alone, and the sum checked."""

import pytest

from bench.instructions.callgrind import Function, parse

# As callgrind 3.19 writes it, shortened: `work` calls `memcpy`; its own lines come from two files.
OUT = """\
# callgrind format
version: 1
creator: callgrind-3.19.0
cmd:  driver parse
part: 1

positions: line
events: Ir
summary: 1150

ob=(1) /tmp/driver
fl=(1) native/packet.c
fn=(1) work
10 7
+2 3
fi=(2) native/core.h
5 40
fe=(1)
cob=(2) /lib/libc.so.6
cfi=(3) ???
cfn=(2) memcpy
calls=2 0
12 900
* 50

fn=(3) other
-4 100

ob=(2)
fl=(3)
fn=(2)
0 900

ob=(1)
fl=(2)
fn=(3)
0 50

totals: 1150
"""


def test_self_costs_are_by_object_file_and_name() -> None:
    assert parse(OUT) == {
        Function("/tmp/driver", "native/packet.c", "work"): 100,
        Function("/tmp/driver", "native/packet.c", "other"): 100,
        Function("/lib/libc.so.6", "???", "memcpy"): 900,
        Function("/tmp/driver", "native/core.h", "other"): 50,
    }


@pytest.mark.parametrize(
    "text",
    [OUT.replace("totals: 1150", "totals: 1151"), OUT.replace("totals: 1150\n", ""), ""],
    ids=["another sum", "cut off", "empty"],
)
def test_a_sum_that_is_not_right_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="callgrind counted"):
        parse(text)


def test_a_name_may_hold_anything() -> None:
    text = "fn=(1) parse<int>(char, =)'2\n0 5\ntotals: 5\n"
    assert [one.name for one in parse(text)] == ["parse<int>(char, =)'2"]


def test_names_without_numbers_are_read() -> None:
    text = "ob=driver\nfl=a.c\nfn=work\n0 5\ntotals: 5\n"
    assert parse(text) == {Function("driver", "a.c", "work"): 5}
