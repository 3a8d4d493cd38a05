"""slicer demo | run | replay: one task, from its room to its last slice."""

import argparse
import asyncio
import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from rich.console import Console

from slicer.cli import garbage_collection
from slicer.cli.account import Account
from slicer.cli.account_options import add_account, supplier_of
from slicer.cli.descriptors import raise_limit
from slicer.cli.exits import FAILED, KEPT, LOST, STORED, UNJUDGED
from slicer.cli.observability import Metrics, Observability, reopen_log
from slicer.cli.options import add_common, add_plain, one_of, settings_of, whole
from slicer.cli.signals import end_on_signals, has_terminal
from slicer.config import in_words
from slicer.delivery.judging import Keep
from slicer.delivery.slices import SLICES
from slicer.demo import SAMPLES, SECONDS
from slicer.demo.progress import JsonProgress, Progress, open_progress
from slicer.engine.engine import Engine
from slicer.engine.events import RobotLeft, TaskFinished
from slicer.engine.settings import Settings
from slicer.engine.spec import Moderation, TaskSpec
from slicer.errors import BadInput
from slicer.rooms import CONNECTORS
from slicer.rooms.redaction import shown
from slicer.rooms.replay.room import ReplayConnector
from slicer.rooms.whip.address import check_user
from slicer.rooms.whip.room import WhipConnector
from slicer.slicing.spec import (
    DAY,
    HOUR,
    MAX_ANCHORS,
    MOST_ANCHORS,
    MOST_HEIGHT,
    AudioSpec,
    ImageFormat,
    SliceParams,
    VideoSpec,
)
from slicer.slicing.subscription import Subscription

NOWHERE = "null:"
logger = logging.getLogger(__name__)

KEEPS = {keep.name.lower(): keep for keep in Keep}


def add_demo(parser: argparse.ArgumentParser) -> None:
    """Arguments of `slicer demo`."""
    parser.add_argument(
        "--to", default="slices-demo", metavar="FOLDER", help="default: %(default)s"
    )
    parser.add_argument(
        "--samples",
        type=Path,
        default=SAMPLES,
        metavar="FOLDER",
        help="what the anchors publish; default: what comes with the package",
    )
    parser.add_argument(
        "--seconds", type=whole("--seconds", *SECONDS), default=24,
        help="how long (default: %(default)s)",
    )  # fmt: skip
    add_plain(parser)
    add_common(parser)
    parser.set_defaults(command=_demo)


def add_run(parser: argparse.ArgumentParser) -> None:
    """Arguments of `slicer run`."""
    parser.add_argument(
        "room",
        metavar="ROOM_URL",
        help="whip://HOST:PORT/ROOM: our own room, anchors publish there; or a room of others: "
        + ", ".join(f"{scheme}://" for scheme in CONNECTORS if scheme not in {"whip", "replay"}),
    )
    _add_slicing(parser)
    parser.set_defaults(command=_run)


def add_replay(parser: argparse.ArgumentParser) -> None:
    """Arguments of `slicer replay`."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a capture; the .sdp beside it (talk.sdp of talk.pcap) names its codecs",
    )
    parser.add_argument("--anchor", metavar="ID", help="whose the media is (the file's name)")
    parser.add_argument(
        "--keys", metavar="FILE", help="SRTP keys: a=crypto lines, or a key log of DTLS"
    )
    parser.add_argument("--speed", default="max", help="1: as it was, 2: twice as fast, … (max)")
    parser.add_argument("--audio-type", metavar="PT:CODEC", help="payload type, e.g. 111:opus")
    parser.add_argument("--video-type", metavar="PT:CODEC", help="payload type, e.g. 96:vp8")
    _add_slicing(parser)
    parser.set_defaults(command=_replay)


def _add_slicing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to", type=_store_url, metavar="URL",
        help="a folder, or s3://bucket/prefix?endpoint=… (cos:// oss:// gs:// az:// likewise)",
    )  # fmt: skip
    parser.add_argument(
        "--backup", type=_store_url, default="", metavar="URL", help="a store that stands in for it"
    )
    parser.add_argument(
        "--manifest", action="store_true", help="store a list of all slices with the last one"
    )
    parser.add_argument(
        "--audio", type=whole("--audio", 0, HOUR, "seconds"), metavar="S",
        help=f"seconds of a slice, up to {HOUR}; 0: no audio (15)",
    )  # fmt: skip
    parser.add_argument(
        "--video", type=whole("--video", 0, DAY, "seconds"), metavar="S",
        help=f"seconds between pictures, up to {DAY}; 0: none (5)",
    )  # fmt: skip
    parser.add_argument(
        "--max-height", type=whole("--max-height", 1, MOST_HEIGHT, "pixels"), metavar="PIXELS",
        help="of a video sent in several sizes, take the smallest that is so high (the largest)",
    )  # fmt: skip
    parser.add_argument(
        "--no-aux", action="store_true", help="leave out auxiliary tracks, such as shared screens"
    )
    parser.add_argument(
        "--image", type=one_of("--image", ImageFormat), metavar="FORMAT",
        help=f"of pictures: {in_words(list(ImageFormat))} (png)",
    )  # fmt: skip
    for kind in ("audio", "video"):
        for verb in ("allow", "block"):
            parser.add_argument(
                f"--{verb}-{kind}", action="append", default=[], metavar="ID",
                help=f"{verb} this anchor's {kind}; 'x.*$': all that begin with x; repeatable",
            )  # fmt: skip
    parser.add_argument(
        "--moderate", default="", metavar="NAME",
        help="have each slice judged by this supplier; local: by models on this machine",
    )  # fmt: skip
    parser.add_argument(
        "--keep", type=one_of("--keep", KEEPS), default="all", metavar="WHICH",
        help=f"which judged slices are stored: {in_words(list(KEEPS))} (%(default)s)",
    )  # fmt: skip
    add_account(parser)
    parser.add_argument("--prefix", action="append", default=[], help="a folder above the task's")
    parser.add_argument("--user", default="slicer", help="the robot's user id (%(default)s)")
    parser.add_argument(
        "--max-idle", type=whole("--max-idle", 1, DAY, "seconds"), metavar="S",
        help="end after S seconds without any anchor (never)",
    )  # fmt: skip
    parser.add_argument(
        "--max-anchors", type=whole("--max-anchors", 1, MOST_ANCHORS), metavar="N",
        default=MAX_ANCHORS,
        help=f"slice N anchors at once, up to {MOST_ANCHORS}; more wait (%(default)s)",
    )  # fmt: skip
    _add_watching(parser)


def _add_watching(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metrics", default="", metavar="HOST:PORT",
        help="serve /metrics for Prometheus there, such as 127.0.0.1:9464 (metrics.listen: none)",
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true",
        help="write every event as a JSON object, one a line; all else goes to stderr",
    )  # fmt: skip
    add_plain(parser)
    add_common(parser)


def _store_url(text: str) -> str:
    """A store's URL; what has no scheme is a folder, as elsewhere on a command line."""
    if not text or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text):
        return text
    return Path(text).absolute().as_uri()


def spec_of(options: argparse.Namespace, settings: Settings, room: str) -> TaskSpec:
    chosen = settings.slicing
    audio = chosen.audio if options.audio is None else options.audio
    video = chosen.video if options.video is None else options.video
    keep = KEEPS[options.keep]
    nowhere = NOWHERE if options.moderate and keep is Keep.NONE else ""
    to = options.to or settings.storage.url or nowhere
    if not to:
        raise BadInput("--to", "nothing", "a folder, or s3://bucket/prefix?endpoint=…")
    for name, url in (("--to", to), ("--backup", options.backup)):
        if url.startswith(SLICES):
            raise BadInput(name, url, "a folder or a bucket; this one is for programs of yours")
    check_user("--user", options.user)
    return TaskSpec(
        room=room,
        to=to,
        params=SliceParams(
            AudioSpec(audio) if audio else None,
            VideoSpec(video, max_height=options.max_height) if video else None,
            Subscription.of(
                allow_audio=options.allow_audio,
                block_audio=options.block_audio,
                allow_video=options.allow_video,
                block_video=options.block_video,
            ),
            max_idle=options.max_idle,
            max_anchors=options.max_anchors,
            aux=False if options.no_aux else None,
        ),
        images=ImageFormat(options.image) if options.image else chosen.image,
        user=options.user,
        prefix=tuple(options.prefix),
        app=settings.whip.sdk_app_id,
        credentials=settings.storage.credentials(),
        backup=options.backup,
        backup_credentials=settings.storage.credentials() if options.backup else None,
        manifest=options.manifest,
        moderation=_moderation(options),
    )


def _moderation(options: argparse.Namespace) -> Moderation | None:
    if not options.moderate:
        for name, value in (
            ("--supplier-id", options.supplier_id),
            ("--supplier-app", options.supplier_app),
            ("--supplier-audio-type", options.supplier_audio_type),
            ("--supplier-image-type", options.supplier_image_type),
        ):
            if value:
                raise BadInput(name, value, "beside --moderate NAME: whose account it is")
        return None
    return Moderation(supplier_of(options.moderate, options, os.environ), KEEPS[options.keep])


def _run(options: argparse.Namespace) -> int:
    raise_limit()
    settings = settings_of(options)
    return asyncio.run(_slice(spec_of(options, settings, options.room), settings, options))


def _replay(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    query = {
        "speed": options.speed,
        "audio": options.audio_type,
        "video": options.video_type,
        "anchor": options.anchor,
        "keys": options.keys and str(Path(options.keys).absolute()),
    }
    # A file's name need be no UTF-8.
    present = {name: value for name, value in query.items() if value}
    chosen = urlencode(present, safe=":", errors="surrogateescape")
    room = f"replay://{Path(options.file).absolute().as_uri().removeprefix('file://')}?{chosen}"
    return asyncio.run(_slice(spec_of(options, settings, room), settings, options))


def _demo(options: argparse.Namespace) -> int:
    from slicer.demo.demo import DemoOptions, demo  # noqa: PLC0415 (it brings an encoder, which nothing else needs)

    raise_limit()
    settings = settings_of(options)
    console = Console()
    progress = open_progress(console, "demo: two anchors, one room, lists in force", options.plain)
    what = DemoOptions(options.samples, Path(options.to), options.seconds)
    lost = asyncio.run(demo(what, settings, console, progress))
    return LOST if lost else STORED


async def _slice(spec: TaskSpec, settings: Settings, options: argparse.Namespace) -> int:
    """One task, from its room to its last slice; SIGINT and SIGTERM end it and drain."""
    watched = Observability.load(options)
    console = Console(stderr=options.json)
    title = f"{shown(spec.room)} → {urlsplit(spec.to).scheme}"
    progress = (
        JsonProgress(sys.stdout, console)
        if options.json
        else open_progress(console, title, options.plain)
    )
    metrics = Metrics()
    listen, field = watched.metrics.listen, "metrics.listen"
    if options.metrics:
        listen, field = options.metrics, "--metrics"
    async with (
        metrics.listening(listen, field) as port,
        metrics.tracing(watched.tracing) as observe,
        Engine(settings, observe=observe) as engine,
    ):
        metrics.add_plain(engine.metrics)
        if port:
            progress.note(f"metrics at port {port}: /metrics")
        # Known before it is entered: the account also tells why a capture cannot be.
        rooms = engine.connector("replay") if spec.room.startswith("replay:") else None
        if not isinstance(rooms, ReplayConnector):
            return await _watched(engine, spec, progress, reload=log_reload(options))
        account = Account(rooms.account)
        try:
            return account.ending(await _watched(engine, spec, progress, account))
        finally:
            account.print(console)


async def _watched(
    engine: Engine,
    spec: TaskSpec,
    progress: Progress,
    account: Account | None = None,
    reload: Callable[[], None] | None = None,
) -> int:
    """Show what happens until the task has finished; gives its exit code. *reload*: what SIGHUP
    does, if it does not end the task."""
    events = engine.events()
    await engine.create(spec)
    garbage_collection.tune()
    room = urlsplit(spec.room)
    rooms = engine.connector(room.scheme)
    closing: asyncio.Future[None] | None = None
    with progress:
        if isinstance(rooms, WhipConnector):
            progress.note(f"publish by WHIP to {rooms.endpoint(room)}/YOUR-USER-ID")
        end_on_signals(lambda: asyncio.ensure_future(engine.close()), reload)
        async for event in events:
            progress.show(event)
            if account is not None:
                account.show(event)
            if isinstance(event, RobotLeft):
                # From here on deliveries have `outbox.drain` seconds; then they are given up.
                closing = closing or asyncio.ensure_future(engine.close())
            if isinstance(event, TaskFinished):
                return ending(event)
    return FAILED


def log_reload(options: argparse.Namespace) -> Callable[[], None] | None:
    """What SIGHUP does to a command with a file of settings and no terminal: the log is as the file
    says now. None: it ends the task."""
    if options.config is None or has_terminal():
        return None

    def reload() -> None:
        try:
            reopen_log(options)
            logger.warning("SIGHUP: the log's settings are read again")
        except BadInput as error:
            logger.warning("! SIGHUP: nothing is changed: %s", error)

    return reload


def ending(finished: TaskFinished) -> int:
    """The exit code of a task that ended so."""
    if finished.lost:
        return LOST
    if finished.kept:
        return KEPT
    return UNJUDGED if finished.unjudged else STORED
