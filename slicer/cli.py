"""The command: reads arguments, wires concrete parts together, ends with a telling exit code."""

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from rich.console import Console

from slicer.errors import BadInput, RoomError, SlicerError, StorageError
from slicer.progress import open_progress
from slicer.rooms.local import LocalRooms
from slicer.service.engine import Engine
from slicer.service.events import TaskFinished
from slicer.service.spec import TaskSpec
from slicer.settings import Settings
from slicer.slicing.spec import AudioSpec, ImageFormat, SliceParams, VideoSpec
from slicer.slicing.subscription import Subscription
from slicer.usersig import HALF_YEAR, SdkApp

STORED, FAILED, BAD_INPUT, NO_ROOM, NO_STORE, LOST = 0, 1, 2, 3, 4, 5
INTERRUPTED = 130
_EXIT_CODES = """\
exit codes:
  0  everything that was cut is stored    3  the room cannot be entered
  1  an unforeseen fault                  4  the store refuses, or cannot be reached
  2  bad input: nothing was started       5  some slices could not be stored
  130  interrupted twice: what was not stored yet is lost
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Gives the exit code."""
    options = arguments_parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    try:
        code: int = options.command(options)
    except BadInput as error:
        return _fail(error, BAD_INPUT)
    except RoomError as error:
        return _fail(error, NO_ROOM)
    except StorageError as error:
        return _fail(error, NO_STORE)
    except SlicerError as error:
        return _fail(error, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _fail(error: SlicerError, code: int) -> int:
    sys.stderr.write(f"slicer: {error}\n")
    return code


def arguments_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="slicer",
        description="Cuts live rooms into audio slices and pictures, and stores them.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(
        commands.add_parser("demo", help="show the whole job on this machine, in half a minute")
    )
    _add_run(commands.add_parser("run", help="slice one room until stopped"))
    _add_replay(commands.add_parser("replay", help="slice a capture (rtpdump or pcap)"))
    _add_usersig(commands.add_parser("usersig", help="sign a UserSig for a user"))
    return parser


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to", default="slices-demo", metavar="FOLDER", help="default: %(default)s"
    )
    parser.add_argument(
        "--samples", default="samples", metavar="FOLDER", help="default: %(default)s"
    )
    parser.add_argument("--seconds", type=int, default=24, help="how long (default: %(default)s)")
    _add_common(parser)
    parser.set_defaults(command=_demo)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "room",
        metavar="ROOM_URL",
        help="whip://HOST:PORT/ROOM: our own room, anchors publish there",
    )
    _add_slicing(parser)
    parser.set_defaults(command=_run)


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="a capture; the .sdp beside it (talk.sdp of talk.pcap) names its codecs"
    )
    parser.add_argument("--speed", default="max", help="1: as it was, 2: twice as fast, … (max)")
    parser.add_argument("--audio-type", metavar="PT:CODEC", help="payload type, e.g. 111:opus")
    parser.add_argument("--video-type", metavar="PT:CODEC", help="payload type, e.g. 96:vp8")
    _add_slicing(parser)
    parser.set_defaults(command=_replay)


def _add_slicing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to", metavar="URL", help="file:///folder or s3://bucket/prefix?endpoint=…"
    )
    parser.add_argument(
        "--audio", type=int, metavar="S", help="seconds of a slice; 0: no audio (15)"
    )
    parser.add_argument(
        "--video", type=int, metavar="S", help="seconds between pictures; 0: none (5)"
    )
    parser.add_argument("--image", choices=list(ImageFormat), help="format of pictures (png)")
    for kind in ("audio", "video"):
        for verb in ("allow", "block"):
            parser.add_argument(
                f"--{verb}-{kind}", action="append", default=[], metavar="ID",
                help=f"{verb} this anchor's {kind}; 'x.*$': all that begin with x; repeatable",
            )  # fmt: skip
    parser.add_argument("--prefix", action="append", default=[], help="a folder above the task's")
    parser.add_argument("--user", default="slicer", help="the robot's user id (%(default)s)")
    parser.add_argument("--max-idle", type=int, metavar="S", help="end after S s alone (never)")
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings, as slicer.example.toml"
    )
    parser.add_argument("--plain", action="store_true", help="plain lines, also on a terminal")
    parser.add_argument("-v", "--verbose", action="store_true", help="log everything")


def _add_usersig(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user")
    parser.add_argument(
        "--app", type=int, help="SdkAppId (default: app.sdk_app_id of the settings)"
    )
    parser.add_argument("--expire", type=int, default=HALF_YEAR, metavar="S", help="valid for S s")
    parser.epilog = "The key comes from SLICER_USERSIG_KEY or the settings, never from an argument."
    _add_common(parser)
    parser.set_defaults(command=_usersig)


def _settings(options: argparse.Namespace) -> Settings:
    return Settings.load(options.config, os.environ)


def _spec(options: argparse.Namespace, settings: Settings, room: str) -> TaskSpec:
    chosen = settings.slicing
    audio = chosen.audio if options.audio is None else options.audio
    video = chosen.video if options.video is None else options.video
    to = options.to or settings.storage.url
    if not to:
        raise BadInput("--to", to, "file:///folder or s3://bucket/prefix?endpoint=…")
    return TaskSpec(
        room=room,
        to=to,
        params=SliceParams(
            AudioSpec(audio) if audio else None,
            VideoSpec(video) if video else None,
            Subscription.of(
                allow_audio=options.allow_audio,
                block_audio=options.block_audio,
                allow_video=options.allow_video,
                block_video=options.block_video,
            ),
            max_idle=options.max_idle,
        ),
        images=ImageFormat(options.image) if options.image else chosen.image,
        user=options.user,
        prefix=tuple(options.prefix),
        app=settings.app.sdk_app_id,
        credentials=settings.storage.credentials(),
    )


def _run(options: argparse.Namespace) -> int:
    settings = _settings(options)
    return asyncio.run(_slice(_spec(options, settings, options.room), settings, options.plain))


def _replay(options: argparse.Namespace) -> int:
    settings = _settings(options)
    query = {"speed": options.speed, "audio": options.audio_type, "video": options.video_type}
    given = urlencode({name: value for name, value in query.items() if value}, safe=":")
    room = f"replay://{Path(options.file).absolute().as_uri().removeprefix('file://')}?{given}"
    return asyncio.run(_slice(_spec(options, settings, room), settings, options.plain))


def _demo(options: argparse.Namespace) -> int:
    from slicer.demo import Stage, demo  # noqa: PLC0415 (it brings an encoder, which nothing else needs)

    settings = _settings(options)
    console = Console()
    progress = open_progress(console, "demo: two anchors, one room, lists in force", options.plain)
    stage = Stage(Path(options.samples), Path(options.to), options.seconds)
    lost = asyncio.run(demo(stage, settings, console, progress))
    return LOST if lost else STORED


def _usersig(options: argparse.Namespace) -> int:
    app = _settings(options).app
    if not app.usersig_key:
        raise BadInput("SLICER_USERSIG_KEY", "nothing", "the app's key, in the environment")
    signer = SdkApp(options.app or app.sdk_app_id, app.usersig_key)
    sys.stdout.write(signer.usersig(options.user, int(time.time()), options.expire) + "\n")
    return STORED


async def _slice(spec: TaskSpec, settings: Settings, plain: bool) -> int:
    """One task, from its room to its last slice; SIGINT and SIGTERM end it and drain."""
    progress = open_progress(Console(), f"{spec.room} → {urlsplit(spec.to).scheme}", plain)
    async with Engine(settings) as engine:
        events = engine.events()
        await engine.create(spec)
        room = urlsplit(spec.room)
        rooms = engine.connector(room.scheme)
        with progress:
            if isinstance(rooms, LocalRooms):
                progress.note(f"publish by WHIP to {rooms.endpoint(room)}/YOUR-USER-ID")
            _end_on_signals(engine)
            async for event in events:
                progress.show(event)
                if isinstance(event, TaskFinished):
                    return LOST if event.lost else STORED
    return FAILED


def _end_on_signals(engine: Engine) -> None:
    """The first signal ends the task, which delivers what it has cut; the second ends us."""
    loop = asyncio.get_running_loop()
    closing: list[asyncio.Future[None]] = []

    def end() -> None:
        if closing:
            os._exit(INTERRUPTED)
        closing.append(asyncio.ensure_future(engine.close()))

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)


if __name__ == "__main__":
    sys.exit(main())
