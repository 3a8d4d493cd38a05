"""What all copies of the API have let in: how often an application asks, and by which signatures.

    stream BUCKET_calls        BUCKET.calls.APP.ACTION: one message a request, for a second
    stream BUCKET_signatures   BUCKET.signatures.APP.SIGNATURE: its first use, while it is good

The servers decide, whichever copy asks: the first stream takes no more than RATE messages of a
subject, the second one only the first. So a limit holds for all copies together, exactly, and no
clock of theirs is asked. While no server is there, nothing is let in.
"""

import asyncio
import json
from dataclasses import dataclass
from functools import partial

from slicer.errors import LimitReached
from slicer.fleet.bus import SYNC, Bus, unavailable, until_ready

RATE = 20
"""Requests in a second for each action and application. The servers forget a request up to 0.27 s
late, so who asks without a pause gets 16 a second or more, and never over 20."""
SECOND = 1.0
GOOD = 720.0
"""Seconds for which a signature is remembered: 300 either way for its timestamp, and 120 by which
the clocks of two copies may differ."""
TOGETHER = 2.0
"""Seconds within which a second request under one signature, with another nonce or none, is another
request: a timestamp counts seconds (`slicer.api.limits`)."""
MAX_CALLS = 64 * 1024**2
MAX_SIGNATURES = 1024**3
"""Bytes of each stream. A full one refuses: forgetting would let replays in."""
TIMEOUT = 2.0
"""Seconds within which a server must answer."""
FULL, LOST = 10077, {10071, 10164}
"""JetStream's codes: a limit of the stream; a message of this subject is there already."""
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"


@dataclass(frozen=True, slots=True)
class FirstUse:
    """What a signature was first used for, by another request. *is_replay*: this one is the same
    request once more, if it is for the same use."""

    use: str
    is_replay: bool


class SharedLimits:
    """For the loop's thread. Call `open` once. All else raises BusUnavailable."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._calls, self._signatures = f"{bus.bucket}_calls", f"{bus.bucket}_signatures"

    async def open(self, replicas: int) -> None:
        """Make the streams, if need be; servers that are without a leader are waited for. Raises
        BadInput and BusUnavailable."""
        from nats.js.api import DiscardPolicy, StorageType, StreamConfig  # noqa: PLC0415

        calls = StreamConfig(
            self._calls,
            subjects=[f"{self._bus.bucket}.calls.*.*"],
            storage=StorageType.MEMORY,  # a second is soon over
            discard=DiscardPolicy.NEW,
            discard_new_per_subject=True,
            max_msgs_per_subject=RATE,
            max_age=SECOND,
            duplicate_window=SECOND,
            max_bytes=MAX_CALLS,
            num_replicas=replicas,
        )
        signatures = StreamConfig(
            self._signatures,
            subjects=[f"{self._bus.bucket}.signatures.*.*"],
            discard=DiscardPolicy.NEW,
            max_age=GOOD,
            duplicate_window=SECOND,
            max_bytes=MAX_SIGNATURES,
            num_replicas=replicas,
        )
        for config in (calls, signatures):
            await until_ready(partial(self._bus.make_stream, config), SYNC)

    async def take(self, app: int, action: str) -> bool:
        """Whether one more request is within the limit; only then it counts."""
        subject = f"{self._bus.bucket}.calls.{app}.{action}"
        return await self._publish(subject, b"", {}) != FULL

    async def first_use(self, app: int, signature: str, use: str, nonce: str) -> FirstUse | None:
        """Remember what a signature is used for, and by which nonce; None: nobody has used it
        before. Raises LimitReached where too many are remembered."""
        subject = f"{self._bus.bucket}.signatures.{app}.{signature}"
        data = json.dumps({"use": use, "nonce": nonce}).encode()
        refused = await self._publish(subject, data, {_EXPECTED: "0"})
        if refused is None:
            return None
        if refused == FULL:
            raise LimitReached("signatures: too many are remembered, of all applications")
        try:
            known = await self._bus.js.get_msg(self._signatures, subject=subject)
            found = json.loads(known.data or b"")
            assert known.time is not None
            age = (await self._bus.server_time(self._signatures) - known.time).total_seconds()
        except Exception as error:  # also where it was forgotten just now
            raise unavailable(error) from None
        same = bool(nonce) and found["nonce"] == nonce
        return FirstUse(found["use"], same or age > TOGETHER)

    async def _publish(self, subject: str, data: bytes, headers: dict[str, str]) -> int | None:
        """None once it is kept; or FULL, or one of LOST."""
        from nats.js.errors import APIError  # noqa: PLC0415

        self._bus.check_connected()
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._bus.js.publish(subject, data, headers=headers or None)
        except APIError as error:
            if error.err_code == FULL or error.err_code in LOST:
                return error.err_code
            raise unavailable(error) from None
        except Exception as error:
            raise unavailable(error) from None
        return None
