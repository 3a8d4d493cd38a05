"""What the service counts beside its engine: callbacks."""

from collections.abc import Mapping

from slicer.engine.sample import Sample
from slicer.webhooks.sender import Sender

METRICS: Mapping[str, str] = {
    "callbacks_total": "callbacks and tries; outcome: delivered, failed (a try that is repeated), "
    "given_up, refused (too many wait), faults (of our own disk)",
    "callbacks_waiting": "callbacks kept that are neither delivered nor given up",
    "callback_subscribers_failing": "applications whose callback URL took nothing at the last try",
}
OUTCOMES = ("delivered", "failed", "given_up", "refused", "faults")


async def of_callbacks(sender: Sender) -> list[Sample]:
    """Callbacks, and who takes them."""
    return [
        *(
            Sample("callbacks_total", sender.counters[name], (("outcome", name),))
            for name in OUTCOMES
        ),
        Sample("callbacks_waiting", await sender.waiting()),
        Sample("callback_subscribers_failing", sender.failing),
    ]
