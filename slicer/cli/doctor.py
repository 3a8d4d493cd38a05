"""slicer doctor: what this machine has, what it lacks, and what to do about it."""

import argparse
import ctypes
import errno
import os
import platform
import re
import resource
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from slicer import hot
from slicer.cli.descriptors import LEAST, MOST
from slicer.cli.exits import STORED, UNFIT
from slicer.cli.options import add_common, service_settings_of
from slicer.config import split_authority
from slicer.demo.progress import bytes_text
from slicer.entry_points import Group, extensions, unknown
from slicer.errors import BadInput
from slicer.moderation import SUPPLIERS
from slicer.rooms import CONNECTORS
from slicer.service.ports import check_ports, ports, room_ports
from slicer.service.settings import ServiceSettings
from slicer.storage import VENDORS
from slicer.webrtc.lite.port import RECEIVE_BUFFER

PIPED = 240
"""Columns where no terminal has its own."""
_UNSYNCHRONISED = 5
"""What adjtimex(2) gives where no time service has set the clock: TIME_ERROR."""
_TIMEX = 256
"""Bytes of its structure, and some more. Zeros ask for nothing to be changed."""
_TABLES = (
    ("store", Group.STORAGES, VENDORS),
    ("room", Group.ROOMS, CONNECTORS),
    ("supplier", Group.SUPPLIERS, SUPPLIERS),
)
_RECEIVE_MAX = Path("/proc/sys/net/core/rmem_max")


class State(StrEnum):
    """Whether something is as it should be."""

    OK = "ok"
    NOTE = "note"
    """It works, and something is slower, or left out."""
    FAULT = "FAULT"


_STYLES = {State.OK: "green", State.NOTE: "yellow", State.FAULT: "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do; nothing to do where all is well."""

    what: str
    state: State
    found: str
    todo: str = ""


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.epilog = f"Exit code {UNFIT} where something must be put right, else 0."
    add_common(parser)
    parser.set_defaults(command=doctor)


def doctor(options: argparse.Namespace) -> int:
    """Print what was found, a row each; gives the exit code."""
    findings = [*of_build(), *of_extras(), *of_extensions()]
    findings += [clock(), descriptors(), receive_buffer()]
    try:
        findings += of_settings(service_settings_of(options))
    except BadInput as error:
        findings.append(Finding("settings", State.FAULT, str(error), "correct them"))
    # Into a file or a pipe a command that is to be copied goes unbroken.
    Console(width=None if sys.stdout.isatty() else PIPED).print(table(findings))
    return UNFIT if any(one.state is State.FAULT for one in findings) else STORED


def table(findings: list[Finding]) -> Table:
    """A row for each finding, and what to do below it."""
    shown = Table.grid(padding=(0, 2))
    for _ in range(3):
        shown.add_column(overflow="fold")
    for one in findings:
        state = Text(one.state, _STYLES[one.state])
        shown.add_row(state, Text(one.what), Text(one.found))
        if one.todo:
            shown.add_row("", "", Text(f"→ {one.todo}", "bold"))
    return shown


def of_build() -> Iterator[Finding]:
    """The package, Python, the native plane and its libcrypto."""
    where = f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}"
    yield Finding("rtc-slicer", State.OK, f"{version('rtc-slicer')}, {where}")
    if hot.IMPLEMENTATION == "native":
        yield Finding("native plane", State.OK, "in this build")
        yield libcrypto()
    elif os.environ.get("SLICER_NATIVE") == "0":
        yield Finding("native plane", State.NOTE, "SLICER_NATIVE=0 forbids it", "unset it")
    else:
        yield Finding(
            "native plane", State.NOTE, "not in this build: many times the CPU", hot.REMEDY
        )


def libcrypto() -> Finding:
    """OpenSSL's, which the native plane loads when it is first needed."""
    from slicer._hot import srtp_missing  # noqa: PLC0415 (not in every build)

    problem, named = srtp_missing(), os.environ.get("SLICER_LIBCRYPTO", "")
    if problem is None:
        return Finding("libcrypto", State.OK, named or "the system's")
    problem += f": got {named!r}" if named else ""
    return Finding("libcrypto", State.NOTE, problem, "install libssl3, or name its libcrypto.so")


def of_extras() -> Iterator[Finding]:
    """The extras that an installation may have, and Tencent's SDK, which is none of them."""
    have, lack = list[str](), list[str]()
    for extra, packages in sorted(extras().items()):
        (have if all(map(_is_installed, packages)) else lack).append(extra)
    yield Finding("extras", State.OK, ", ".join(have) or "none")
    if lack:
        todo = f"if needed: pip install 'rtc-slicer[{','.join(lack)}]'"
        yield Finding("extras", State.NOTE, f"not here: {', '.join(lack)}", todo)
    if find_spec("liteav") is None:
        todo = "if rooms of TRTC are needed: pip install liteav"
        yield Finding("liteav", State.NOTE, "not here: trtc:// is refused", todo)
    else:
        yield Finding("liteav", State.OK, "trtc:// can be used")


def of_extensions() -> Iterator[Finding]:
    """Stores, rooms and suppliers that other packages add; each is imported."""
    for what, group, ours in _TABLES:
        for name, one in sorted(extensions(group, ours).items()):
            try:
                one.load(what)
            except BadInput as error:
                found = f"{name}: {error.allowed}"
                yield Finding(f"added {what}", State.NOTE, found, "correct or remove that package")
            else:
                yield Finding(f"added {what}", State.OK, f"{name}: {one}")
    for one in unknown():
        yield Finding("entry point", State.NOTE, f"{one}: {one.fault}", "correct that package")


def extras() -> dict[str, list[str]]:
    """The packages of each extra, but for those of developers."""
    found: dict[str, list[str]] = {}
    for line in requires("rtc-slicer") or ():
        extra = re.search(r"""extra == ["']([a-z0-9]+)["']""", line)
        if extra and extra[1] not in {"dev", "test"} and "python_version" not in line:
            name = re.match(r"[A-Za-z0-9._-]+", line)
            assert name is not None
            found.setdefault(extra[1], []).append(name[0])
    return found


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def clock() -> Finding:
    """Whether a time service sets it: signatures, names and callbacks carry the time."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX))
    except (AttributeError, OSError):
        state = -1
    if state == _UNSYNCHRONISED:
        todo = "run chrony or systemd-timesyncd: names and signatures carry the time"
        return Finding("clock", State.NOTE, "set by no time service that the kernel knows of", todo)
    return Finding("clock", State.OK, "set by a time service" if state >= 0 else "not known here")


def descriptors() -> Finding:
    """How many may be open; the soft limit is raised at a start."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if hard == resource.RLIM_INFINITY else hard
    if most < LEAST:
        todo = f"at least {LEAST}: LimitNOFILE={MOST} in a systemd unit, or ulimit -Hn"
        return Finding("file descriptors", State.FAULT, f"{most} at most", todo)
    return Finding("file descriptors", State.OK, f"{most} at most")


def receive_buffer() -> Finding:
    """How much the kernel keeps of UDP that nobody has read yet."""
    try:
        most = int(_RECEIVE_MAX.read_text())
    except (OSError, ValueError):
        return Finding("UDP buffer", State.OK, "not known here")
    if most >= RECEIVE_BUFFER:
        return Finding("UDP buffer", State.OK, bytes_text(most))
    todo = f"for hundreds of anchors: sysctl -w net.core.rmem_max={RECEIVE_BUFFER}"
    return Finding(
        "UDP buffer", State.NOTE, f"{bytes_text(most)} of {bytes_text(RECEIVE_BUFFER)}", todo
    )


def of_settings(settings: ServiceSettings) -> Iterator[Finding]:
    """The ports and folders that the settings name."""
    number = len(settings.apps)
    if not number:
        yield Finding("settings", State.NOTE, "no application", "slicer serve needs one: [[apps]]")
    serve = settings.serve
    for one in (*ports(settings), *room_ports(settings)):
        yield port(one.field, one.host, one.number, socket.SOCK_STREAM)
    try:
        check_ports(settings)
    except BadInput as error:
        yield Finding(error.field, State.FAULT, str(error), "choose another port")
    if settings.engine.whip.udp:
        media = split_authority("whip.udp", settings.engine.whip.udp)
        yield port("whip.udp", *media, socket.SOCK_DGRAM)
    if number:
        yield folder("serve.state", Path(serve.state), 0)
    spool = settings.engine.spool
    if spool.folder:
        yield folder("spool.folder", Path(spool.folder), spool.reserve_bytes)
    else:
        todo = "set spool.folder: what was cut then survives a crash"
        yield Finding("spool.folder", State.NOTE, "none: slices wait in memory", todo)


def port(what: str, host: str, number: int, kind: socket.SocketKind) -> Finding:
    """Whether it can be listened on. A port in use may be that of a service at work."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind is socket.SOCK_STREAM)
        try:
            one.bind((host, number))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                todo = "right if the service runs; else free it, or choose another"
                return Finding(what, State.NOTE, f"{host} port {number} is in use", todo)
            found = f"{host} port {number}: {error.strerror or error}"
            return Finding(what, State.FAULT, found, "name an address of this machine")
    return Finding(what, State.OK, f"{host} port {number} is free")


def folder(what: str, path: Path, reserve: int) -> Finding:
    """Whether it, or the folder in which it will be made, can be written, and has room."""
    there = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        todo = f"have it belong to the user of the service, here {os.geteuid()}"
        return Finding(what, State.FAULT, f"{there} is no folder that can be written", todo)
    free = shutil.disk_usage(there).free
    if free <= reserve:
        found = f"{path}: {bytes_text(free)} free, {bytes_text(reserve)} are left to others"
        return Finding(what, State.FAULT, found, "make room, or lower spool.reserve_bytes")
    return Finding(what, State.OK, f"{path}: {bytes_text(free)} free")
