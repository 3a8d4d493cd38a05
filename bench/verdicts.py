"""From a cut to its callback, and a supplier that is slower than what is cut.

`python -m bench.verdicts [--anchors 1,10,50] [--seconds N] [--rounds N] [--spread] [--local]`: the
whole service with a room of its own, a spool, and a store that takes 50 ms; its publishers, which
come by WHIP, and a customer's server are other processes. Without moderation each slice is stored
and told (1004); with it each slice has a verdict first, after 50 ms more, and is told (1104) and
stored. Both are run in turns. Told is how long after its cut a slice's callback came to the
customer, how late slices were cut (from their last sample, or their picture, until the outbox has
them), and, which a busy machine changes less, the CPU of turns of the event loop: a cut that comes
in the midst of one waits for its end. All anchors begin at once, and are cut at once then; with
--spread they begin one after the other within an audio slice's length. With --local,
pictures alone are cut, and the models on this machine judge them, in one process.

`python -m bench.verdicts crowd [--seconds N] [--concurrency 8,128]`: what 1 000 anchors cut (a
slice of audio every 15 s and a picture every 5 s of each) on its way through the outbox and the
spool to a supplier that takes 300 ms.
"""

import argparse
import asyncio
import resource
import selectors
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.customer import KEY, customer
from bench.peers.statistics import quantile
from bench.speakers import speakers
from slicer import moderation, storage
from slicer.cli import garbage_collection
from slicer.clock import LoopClock
from slicer.delivery.delivery import Delivery
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.judging import Judge, Judging, Keep, Outcome
from slicer.delivery.limiter import Limiter
from slicer.delivery.outbox import Outbox
from slicer.delivery.retry import Backoff
from slicer.delivery.spool.record import StoreUrls
from slicer.delivery.spool.settings import SpoolSettings
from slicer.delivery.spool.spool import Spool
from slicer.engine.events import SliceJudged, SliceUnjudged
from slicer.engine.settings import Settings
from slicer.media.slice import File, Info, SliceInfo
from slicer.moderation import Verdict
from slicer.moderation.settings import ModerationSettings
from slicer.rooms.whip.settings import WhipSettings
from slicer.rtp.parameters import Kind
from slicer.service.applications import Application
from slicer.service.notifier import Notifier
from slicer.service.order import Bucket, Moderation, Order, Product, SupplierSpec
from slicer.service.serving import serving
from slicer.service.settings import ServeSettings, ServiceSettings
from slicer.slicing.spec import MOST_ANCHORS, AudioSpec, ImageFormat, SliceParams, VideoSpec
from slicer.storage import Credentials, Receipt, SplitResult
from slicer.storage.null import NullStorage
from slicer.webhooks.settings import WebhookSettings
from tests.harness.delivery.recorder import Recorder
from tests.harness.delivery.spooling import file_of, info_of
from tests.harness.media.encoder import encode_pictures
from tests.harness.media.picture import Painter
from tests.harness.moderation.scripted import PASS
from tests.harness.rooms.server_process import free_ports
from tests.harness.storage.memory import MemoryStore

AUDIO, VIDEO = 5, 1
"""Seconds between cuts of the first measurement."""
ANSWER = 0.05
"""Seconds that the supplier takes, and the store."""
CROWD, CROWD_ANSWER = 1_000, 0.3
CROWD_AUDIO, CROWD_VIDEO = (15.0, 60_000), (5.0, 40_000)
"""Seconds between slices of one anchor, and bytes of each."""


class Slow:
    """Passes everything, *seconds* later."""

    label = "slow"
    kinds = frozenset(Kind)

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def check(self) -> None: ...

    async def judge(self, _file: File) -> Verdict:
        await asyncio.sleep(self._seconds)
        return PASS

    async def close(self) -> None: ...


class SlowStore(NullStorage):
    """Keeps nothing, and takes its time for that."""

    async def put(
        self, key: str, data: bytes, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> Receipt:
        await asyncio.sleep(ANSWER)
        return await super().put(key, data, content_type, metadata)


class Turns(selectors.DefaultSelector):
    """Notes the CPU seconds of each turn of the loop that waits by this."""

    def __init__(self) -> None:
        super().__init__()
        self.cpu: list[float] = []
        self._began = time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.cpu.append(time.thread_time() - self._began)
        ready = super().select(timeout)
        self._began = time.thread_time()
        return ready


@dataclass
class Cuts:
    """When each slice came to the outbox, by its key."""

    at: dict[str, float] = field(default_factory=dict)
    late: list[float] = field(default_factory=list)
    """Seconds from a slice's last sample, or its picture, until then."""
    anchors: set[str] = field(default_factory=set)
    judged: list[float] = field(default_factory=list)
    """Seconds from a cut to its verdict."""

    async def reach(self, anchors: int) -> None:
        """Wait until so many have been cut. Raises TimeoutError where they do not come."""
        async with asyncio.timeout(60):
            while len(self.anchors) < anchors:  # noqa: ASYNC110 (the outbox has no event for it)
                await asyncio.sleep(0.1)
            await asyncio.sleep(1)  # what waited for the first report has come then

    def watch(self) -> Callable[[], None]:
        """Note what any outbox is offered, and what any supplier judges, until the given call."""
        offer, confirm = Outbox.offer, Notifier.confirm_verdict

        def noted(outbox: Outbox, delivery: Delivery) -> bool:
            now = time.time()
            if isinstance(delivery.info, SliceInfo):
                ended = delivery.info.began.timestamp() + delivery.info.seconds
                self.at[delivery.info.key] = now
                self.anchors.add(delivery.info.anchor)
                self.late.append(now - ended)
            return offer(outbox, delivery)

        async def heard(notifier: Notifier, event: SliceJudged | SliceUnjudged) -> None:
            self.judged.append(time.time() - self.at[event.slice.key])
            await confirm(notifier, event)

        def unwatch() -> None:
            Outbox.offer = offer  # type: ignore[method-assign]
            Notifier.confirm_verdict = confirm  # type: ignore[method-assign]

        Outbox.offer = noted  # type: ignore[assignment, method-assign]
        Notifier.confirm_verdict = heard  # type: ignore[assignment, method-assign]
        return unwatch


def service_of(folder: Path, address: str, customer: str) -> ServiceSettings:
    app = Application(
        1, rooms=(("*", f"whip://{address}/room"),), callback_url=customer, callback_key=KEY
    )
    spool = SpoolSettings(str(folder / "spool"), reserve_bytes=0)
    return ServiceSettings(
        engine=Settings(
            spool=spool,
            moderation=ModerationSettings(concurrency=64),
            whip=WhipSettings(max_pending=MOST_ANCHORS),
        ),
        serve=ServeSettings(state=str(folder / "state")),
        webhooks=WebhookSettings(allow_private=True),
        apps=(app,),
    )


def order_of(supplier: str, params: SliceParams) -> Order:
    return Order(
        Product.MODERATION if supplier else Product.SLICE,
        "room",
        0,
        "robot",
        params,
        ImageFormat.JPEG,
        Bucket(1, "us-east-1", "nowhere", Credentials("a", "b")),
        24,
        Moderation(SupplierSpec(supplier), Keep.ALL) if supplier else None,
    )


async def live(
    anchors: int, seconds: float, supplier: str, params: SliceParams, spread: bool, turns: Turns
) -> None:
    """Slice, and tell how long it took. *supplier*: none where nothing is judged."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        frames = [
            encode_pictures("vp8", [Painter(colour=(200, second % 250, 40)).draw(second)])[0]
            for second in range(round(seconds))
        ]
        cuts = Cuts()
        unwatch = cuts.watch()
        async with customer() as hears:
            address = f"127.0.0.1:{free_ports(1)[0]}"
            settings = service_of(folder, address, hears.url)
            async with serving(settings) as service:
                (app,) = settings.apps
                await service.create(app, order_of(supplier, params))
                urls = [f"http://{address}/whip/room/anchor{number}" for number in range(anchors)]
                with speakers(urls, frames, AUDIO if spread else 0.0):
                    await cuts.reach(anchors)
                    cuts.late.clear()
                    turns.cpu.clear()
                    before, cpu = len(cuts.at), time.process_time()
                    await asyncio.sleep(seconds)
                    cpu = time.process_time() - cpu
                    busy, count = list(turns.cpu), len(cuts.at) - before
                    late = list(cuts.late)
                await asyncio.sleep(2)
                due = set(cuts.at)  # what the end cuts is told by the next process
        unwatch()
    heard = [told - cuts.at[key] for key, told in hears.heard.items()]
    verdicts = f"to verdict {_spread(cuts.judged)}, " if supplier else ""
    print(
        f"  {anchors:3} anchors, {'judged' if supplier else 'not judged'}: {count} slices, "
        f"{len(due - hears.heard.keys())} not told; from cut {verdicts}to callback "
        f"{_spread(heard)}; cut late by {_spread(late)}; CPU of a slice "
        f"{1000 * cpu / count:.1f} ms, of the loop's {1000 * sum(busy) / count:.2f}; turns over "
        f"5 ms: {sum(t > 0.005 for t in busy)}, over 10: {sum(t > 0.01 for t in busy)}, most "
        f"{1000 * max(busy):.0f}",
        flush=True,
    )


def _spread(values: list[float]) -> str:
    """Of seconds, in milliseconds."""
    found = (1000 * quantile(values, share) for share in (0.5, 0.99, 1.0))
    return " ".join(f"{one:.0f}" for one in found) + " ms (median, 99 %, most)"


async def crowd(seconds: float, concurrency: int) -> None:
    """Offer what a crowd cuts for so long, and tell what became of it."""
    clock, heard = LoopClock(), Heard()
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool.open(SpoolSettings(folder, reserve_bytes=0), clock)
        settings = ModerationSettings(concurrency=concurrency)
        judging = Judging(
            Slow(CROWD_ANSWER),
            Limiter(clock, settings.rate, settings.concurrency),
            clock,
            settings,
            Backoff(),
            chance=lambda: 0.5,
            trouble=_ignore,
            recovered=_ignore,
        )
        encoding = EncodingPool.open()
        place = spool.folder(StoreUrls("null:"))
        outbox = Outbox(MemoryStore(), encoding, clock, heard, spool=(spool, place))
        before, offered, most = _resident(), 0, 0
        began = time.monotonic()
        due = _due(seconds)
        for at, key, kind, size in due:
            if (wait := began + at - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            delivery = Delivery(info_of(key, 0, kind), size, partial(file_of, key, size, kind))
            delivery.judge = Judge(judging)
            heard.cut[key] = time.monotonic()
            offered += outbox.offer(delivery)
            most = max(most, judging.waiting)
        waiting, told = judging.waiting, len(heard.lateness)
        grown = _resident() - before
        await judging.close()
        await outbox.close()
        await spool.close()
        encoding.threads.shut_down(finish=False)
        await asyncio.to_thread(encoding.threads.join)
    late = heard.lateness
    print(
        f"  concurrency {concurrency}: {len(due)} slices in {seconds:g} s, {len(due) - offered} "
        f"refused, {told} judged, {waiting} wait (at most {most}); cut to verdict "
        f"{_spread(late)}; memory +{grown >> 20} MiB",
        flush=True,
    )


class Heard(Recorder):
    """Notes how long a verdict took."""

    def __init__(self) -> None:
        super().__init__()
        self.cut: dict[str, float] = {}
        self.lateness: list[float] = []

    def on_judged(self, info: Info, outcome: Outcome, keep: bool) -> None:
        self.lateness.append(time.monotonic() - self.cut.pop(info.key))
        assert isinstance(outcome, Verdict)


def _due(seconds: float) -> list[tuple[float, str, Kind, int]]:
    """When each slice is cut, its key, kind and size: anchors begin spread over an interval."""
    found = []
    for kind, (every, size) in ((Kind.AUDIO, CROWD_AUDIO), (Kind.VIDEO, CROWD_VIDEO)):
        for anchor in range(CROWD):
            at, number = every * anchor / CROWD, 0
            while at < seconds:
                found.append((at, f"{anchor:04}/{kind.value}{number}", kind, size))
                at, number = at + every, number + 1
    return sorted(found)


def _resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _ignore(_task: str, _what: object) -> None: ...


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.verdicts", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("live", "crowd"), default="live")
    parser.add_argument("--anchors", default="1,10,50")
    parser.add_argument("--concurrency", default="8,128")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--spread", action="store_true")
    parser.add_argument("--local", action="store_true")
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    if given.what == "crowd":
        print(f"{CROWD} anchors, a supplier of {CROWD_ANSWER * 1000:.0f} ms")
        for concurrency in map(int, given.concurrency.split(",")):
            asyncio.run(crowd(given.seconds, concurrency))
        return
    audio, supplier = (None, "local") if given.local else (AudioSpec(AUDIO), "slow")
    params = SliceParams(audio, VideoSpec(VIDEO), max_anchors=MOST_ANCHORS)
    moderation.SUPPLIERS = {**moderation.SUPPLIERS, "slow": f"{__name__}:OPEN"}
    storage.VENDORS = {**storage.VENDORS, "s3": f"{__name__}:OPEN_STORE"}
    print(f"{ANSWER * 1000:.0f} ms an answer, audio every {AUDIO} s, a picture every {VIDEO} s")
    garbage_collection.tune()
    for anchors in map(int, given.anchors.split(",")):
        for judge in ("", supplier) * given.rounds:
            turns = Turns()
            with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(turns)) as runner:  # noqa: B023
                runner.run(live(anchors, given.seconds, judge, params, given.spread, turns))


def OPEN(_spec: SupplierSpec, _settings: ModerationSettings) -> Slow:
    """What the table of suppliers names."""
    return Slow(ANSWER)


def OPEN_STORE(_url: SplitResult, _credentials: Credentials | None) -> SlowStore:
    """What the table of stores names."""
    return SlowStore()


if __name__ == "__main__":
    main()
