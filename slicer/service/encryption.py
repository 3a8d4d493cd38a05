"""Keeps secrets unreadable where they lie: encrypts for one task, with keys that can be rotated."""

import hmac
import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from slicer.errors import BadInput, counted

_ALLOWED = "Fernet keys (44 characters of URL-safe base64), the newest first"
_TASK = "task"


class Encryption:
    """Fernet keys: the first one encrypts, all decrypt. Raises BadInput."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = list(keys)
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise BadInput("SLICER_STATE_KEY", counted(len(keys), "key"), _ALLOWED) from None

    @classmethod
    def open(cls, keys: str, file: Path) -> Self:
        """Keys from a text, separated by commas; where it is empty from a file, one a line, which
        is made with mode 0600 if there is none. Raises BadInput, for wider modes as well."""
        listed = [key.strip() for key in keys.split(",") if key.strip()]
        return cls(listed or _read(file))

    def __repr__(self) -> str:
        return "Encryption(***)"

    def seal(self, task: str, secrets: Mapping[str, str]) -> bytes:
        """Encrypt the secrets of one task."""
        return self._fernet.encrypt(json.dumps({_TASK: task, **secrets}).encode())

    def unseal(self, task: str, sealed: bytes, max_age: int | None = None) -> dict[str, str]:
        """Decrypt. Raises BadInput where no key fits, where they are another task's, and where they
        were encrypted more than *max_age* seconds ago, or over a minute ahead."""
        try:
            secrets: dict[str, str] = json.loads(self._fernet.decrypt(sealed, max_age))
        except InvalidToken:
            allowed = "the keys that the registry was written with"
            raise BadInput("SLICER_STATE_KEY", "other keys", allowed) from None
        if secrets.pop(_TASK, None) != task:
            raise BadInput("serve.state", "secrets of another task", "an undamaged registry")
        return secrets

    def derived(self, purpose: str) -> list[bytes]:
        """Keys for another purpose, one of each key and in their order, which say nothing of it."""
        return [hmac.digest(key.encode(), purpose.encode(), "sha256") for key in self._keys]

    def rotate(self, sealed: bytes) -> bytes:
        """Encrypt anew with the first key. Raises BadInput where no key fits."""
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken:
            allowed = "the keys that the registry was written with"
            raise BadInput("SLICER_STATE_KEY", "other keys", allowed) from None


def _read(file: Path) -> list[str]:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(file)
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.read(65_536).decode("ascii", "replace")
    except OSError as error:
        raise BadInput("serve.state_key_file", file.name, f"a readable file ({error})") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        got = f"{file.name} with mode {stat.S_IMODE(mode):04o}"
        raise BadInput("serve.state_key_file", got, "mode 0600: nobody else may read it")
    return text.split()


def _make(file: Path) -> None:
    """Write a key, unless there is a file: whole or not at all, so that a crash leaves no half."""
    if file.exists():
        return
    part = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as opened:
            opened.write(Fernet.generate_key() + b"\n")
            opened.flush()
            os.fsync(opened.fileno())
        os.link(part, file)
    except FileExistsError:
        return  # another process was first
    finally:
        part.unlink(missing_ok=True)
