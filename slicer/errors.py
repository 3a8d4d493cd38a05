"""The error tree, drawn by whose fault it is; one base, each with one door to the outside.

SlicerError
 ├─ BadInput            the caller: a field that cannot work; names it, what came, what is allowed
 ├─ Unauthorized        the caller: a wrong, expired or missing credential
 ├─ TaskNotExist        the caller: no task of that id
 ├─ TaskEnded           the caller: the task has ended
 ├─ LimitReached        the caller: a named bound is full; may be tried again later
 ├─ BusUnavailable      the bus of a fleet: it cannot be reached; may be tried again
 ├─ RoomError           the room: it cannot be entered or was lost; may be tried again
 ├─ MediaError          the sender: bytes that no decoder takes; that slice alone is lost
 ├─ StorageError        the store did not take a slice
 │   ├─ StorageRefused      the customer: bucket, key or permission; waits for a human
 │   └─ StorageUnavailable  the network or the store; tried again
 └─ ModerationError     the supplier did not judge a slice
     ├─ SupplierRefused     the customer: key, account or permission; waits for a human
     ├─ SupplierUnavailable the network or the supplier; tried again
     └─ SliceNotJudged      the slice: it cannot be judged; that slice alone is told as unjudged
"""

from collections.abc import Sequence
from enum import Enum


class SlicerError(Exception):
    """Base of all errors this package raises on purpose."""


class BadInput(SlicerError):
    """A field that cannot work, said before anything starts.

    *refused*: of an offer that was understood, kind and reason of each track that cannot be taken.
    """

    def __init__(
        self, field: str, got: object, allowed: str, refused: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.field, self.got, self.allowed, self.refused = field, got, allowed, tuple(refused)
        super().__init__(f"{field}: got {shown(got)}; allowed: {allowed}")


class Unauthorized(SlicerError):
    """A wrong, expired or missing credential; the message never holds it."""


class TaskNotExist(SlicerError):
    """No task has this id."""


class TaskEnded(SlicerError):
    """The task has ended; it can no longer be asked or changed."""


class LimitReached(SlicerError):
    """A named bound is full."""


class BusUnavailable(SlicerError):
    """The bus of a fleet, or who was asked over it, does not answer; worth another try."""


class RoomError(SlicerError):
    """The room cannot be entered, or was lost."""


class MediaError(SlicerError):
    """Bytes that no decoder takes."""


class StorageError(SlicerError):
    """The store did not take a slice: which key, the reason, what to do.

    *retry_after*: seconds the store asks to be left alone for (Retry-After), where it does.
    *store*: which one, by its label, where the outbox has said so.
    """

    def __init__(
        self, key: str, reason: str, advice: str, retry_after: float | None = None
    ) -> None:
        self.key, self.reason, self.advice, self.retry_after = key, reason, advice, retry_after
        self.store = ""
        super().__init__(f"{key or 'store'}: {reason}; {advice}")


class StorageRefused(StorageError):
    """The store says no, and will say no again until a human changes something."""


class StorageUnavailable(StorageError):
    """The store cannot be reached or is overloaded; worth another try."""


class ModerationError(SlicerError):
    """The supplier did not judge a slice: which supplier, and the reason.

    *retry_after*: seconds the supplier asks to be left alone for, where it does.
    """

    def __init__(self, supplier: str, reason: str, retry_after: float | None = None) -> None:
        self.supplier, self.reason, self.retry_after = supplier, reason, retry_after
        super().__init__(f"{supplier}: {reason}")


class SupplierRefused(ModerationError):
    """The supplier refuses the account, and will again until a human changes something."""


class SupplierUnavailable(ModerationError):
    """The supplier cannot be reached or is overloaded; worth another try."""


class SliceNotJudged(ModerationError):
    """This slice cannot be judged, and another try would not help; others can."""


def shown(value: object, limit: int = 80) -> str:
    """A value as an error message shows it: quoted, and never longer than *limit* characters.

    Of a longer one the middle is left out: paths and URLs differ at their ends.
    """
    try:
        text = repr(value.value if isinstance(value, Enum) else value)
    except ValueError:  # a number of more than 4300 digits, which TOML can write as hexadecimal
        text = "a number too long to be shown"
    if len(text) <= limit:
        return text
    half = (limit - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def counted(count: int, noun: str) -> str:
    """`1 slice`, `2 slices`: a number and its noun, which takes an s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
