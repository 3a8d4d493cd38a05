"""What the service counts beside its engine: callbacks."""

from collections import Counter
from collections.abc import Iterator, Mapping

from slicer.engine.sample import Sample
from slicer.webhooks.sender import Sender

METRICS: Mapping[str, str] = {
    "callbacks_total": "callbacks and tries; outcome: delivered, failed (a try that is repeated), "
    "given_up, refused (too many wait), faults (of our own disk), unreadable (in a fleet: "
    "another version's), unclaimed (in a fleet: of applications that no settings have), "
    "unverified (in a fleet: signed by no key that a copy has)",
    "callbacks_waiting": "callbacks kept that are neither delivered nor given up",
    "callback_subscribers_failing": "applications whose callback URL took nothing at the last try",
}
OUTCOMES = (
    "delivered",
    "failed",
    "given_up",
    "refused",
    "faults",
    "unreadable",
    "unclaimed",
    "unverified",
)


def of_outcomes(counters: Counter[str]) -> Iterator[Sample]:
    """What became of callbacks, as who sends them has counted it."""
    for name in OUTCOMES:
        yield Sample("callbacks_total", counters[name], (("outcome", name),))


async def of_callbacks(sender: Sender) -> list[Sample]:
    """Callbacks, and who takes them."""
    return [
        *of_outcomes(sender.counters),
        Sample("callbacks_waiting", await sender.waiting()),
        Sample("callback_subscribers_failing", sender.failing),
    ]
