"""Whether the file of a slice that was just cut is for anybody: a supplier, a store, who watches.

Theory of operation. A picture of a judged task that sampling leaves out, or that is the anchor's
last one again, is shown to no supplier; where its store is not to have it either, nobody needs its
file. What becomes of a picture is known while those before it in its track have their outcomes:

    left out, whatever it shows     nothing is made of it
    it may be the last one again    it is decoded, and a thread compares its thumbnail; what is for
                                    nobody then is not encoded
    not known yet                   its file is made: safe in the spool, it takes no memory

The thread has what was known as its work was ordered. That is looked at once more when it is done,
since a hit, or time, may have changed it; then the file is made after all.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from slicer.delivery.delivery import Delivery, Unless
from slicer.delivery.judging import Judge, Keep
from slicer.delivery.selection import Outlook


class Unmade:
    """A slice that has no file yet. For the loop's thread."""

    def __init__(
        self,
        delivery: Delivery,
        judge: Judge | None = None,
        outlook: Callable[[], Outlook | None] = lambda: None,
        looked_at: Callable[[], bool] = lambda: False,
    ) -> None:
        self._delivery, self._judge = delivery, judge
        self._outlook, self._looked_at = outlook, looked_at

    def for_nobody(self) -> bool:
        """Whether its file is for nobody, as is known now, of its thumbnail too if it has one."""
        outlook, small = self._known(), self._delivery.thumbnail
        if outlook is None or (outlook.verdict is not None and not small):
            return False
        return self._is_for_nobody(outlook, small)

    def unless(self) -> Unless | None:
        """What to ask about its thumbnail before it is encoded; None: nothing."""
        outlook = self._known()
        if outlook is None or outlook.verdict is None:
            return None
        return partial(self._is_for_nobody, outlook)

    def _known(self) -> Outlook | None:
        stored = self._judge is None or self._judge.keep is Keep.ALL
        return None if stored or self._looked_at() else self._outlook()

    def _is_for_nobody(self, outlook: Outlook, small: bytes) -> bool:
        assert self._judge is not None
        repeated = outlook.repeated(small)
        return outlook.left_out if repeated is None else not self._judge.keeps(repeated)


@contextmanager
def unmade(delivery: Delivery, looked_at: Callable[[], bool]) -> Iterator[Unmade]:
    """While the block lasts, a slice has no file yet, or goes to its judge, if it has one.
    *looked_at*: whether somebody watches, who wants all files."""
    if delivery.judge is None:
        yield Unmade(delivery)
        return
    with delivery.judge.judging.coming(delivery) as outlook:
        yield Unmade(delivery, delivery.judge, outlook, looked_at)
