"""The `slicer` command: reads its arguments, runs one subcommand, ends with its exit code."""

import argparse
import io
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from slicer import __version__
from slicer.cli import (
    backup,
    callbacks,
    completion,
    config,
    doctor,
    fleet,
    moderate,
    serve,
    sheet,
    spool,
    task_list,
    tasks,
    usersig,
    worker,
)
from slicer.cli.exits import (
    BAD_INPUT,
    EXIT_CODES,
    FAILED,
    INTERRUPTED,
    NO_ROOM,
    NO_STORE,
    UNJUDGED,
)
from slicer.cli.observability import reopen_log
from slicer.cli.options import by_option
from slicer.errors import BadInput, ModerationError, RoomError, SlicerError, StorageError
from slicer.logs.lines import escaped


class _Parser(argparse.ArgumentParser):
    """Mistakes are told by the command that they stand behind, with where it says what it takes."""

    def parse_known_args(
        self, args: Iterable[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        options, unknown = super().parse_known_args(None if args is None else [*args], namespace)
        if unknown:
            self.error(f"unknown: {' '.join(unknown)}")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        super().error(f"{escaped(message)}; `{self.prog} --help` says what is allowed")


def _add_completion(parser: argparse.ArgumentParser) -> None:
    completion.add(parser, arguments_parser)


COMMANDS = (
    ("demo", tasks.add_demo, "show the whole job on this machine, in half a minute"),
    ("run", tasks.add_run, "slice one room until stopped"),
    ("serve", serve.add, "be the service: the API, its rooms, its callbacks"),
    ("worker", worker.add, "slice what a fleet gives this machine (docs/fleet.md)"),
    ("fleet", fleet.add, "what a fleet is at; drain a worker, move a task"),
    ("replay", tasks.add_replay, "slice a capture (pcap, pcapng, rtpdump, .mjr)"),
    ("moderate", moderate.add, "judge files by hand, with a supplier or models on this machine"),
    ("spool", spool.add, "look at, send or drop what waits on the disk"),
    ("callbacks", callbacks.add, "look at callbacks, and have them sent again"),
    ("config", config.add, "check settings, show them, print their JSON Schema"),
    ("tasks", task_list.add, "what a running service is at"),
    ("backup", backup.add, "copy what a service keeps, also while it runs"),
    ("doctor", doctor.add, "what this machine has, what it lacks, and what to do"),
    ("sheet", sheet.add, "a page with all slices of a folder or a bucket"),
    ("completion", _add_completion, "what a shell reads to complete these words"),
    ("usersig", usersig.add, "sign a UserSig for a user"),
)
EXITS = (
    (BadInput, BAD_INPUT),
    (RoomError, NO_ROOM),
    (StorageError, NO_STORE),
    (ModerationError, UNJUDGED),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Gives the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name need be no text, nor a terminal have all letters of one.
        sys.stdout.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if arguments is None else arguments
    options = argparse.Namespace()
    try:
        options = arguments_parser().parse_args(words or ["--help"])
        reopen_log(options)
        code: int = options.command(options)
    except SlicerError as error:
        sys.stderr.write(f"slicer: {escaped(str(by_option(error, options)))}\n")
        return next((code for kind, code in EXITS if isinstance(error, kind)), FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def arguments_parser() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = _Parser(
        prog="slicer",
        description="Cuts live rooms into audio slices and pictures, and stores them.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rtc-slicer {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, add, text in COMMANDS:
        add(commands.add_parser(name, help=text))
    return parser
