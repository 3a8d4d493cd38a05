"""The token that operators log in with: of the settings, or made in the state folder."""

import os
import secrets
import stat
from pathlib import Path

from slicer.errors import BadInput

FILE = "console-token"


def token_of(folder: Path) -> str:
    """The token in *folder*, made with mode 0600 if there is none; blocks. Raises BadInput."""
    file = folder / FILE
    try:
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            pass
        else:
            with open(descriptor, "w") as token_file:
                token_file.write(secrets.token_urlsafe(24) + "\n")
        with file.open("rb") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            token = opened.read(4_096).decode("ascii", "replace").strip()
    except OSError as error:
        raise BadInput("console.token", file.name, f"a readable file ({error})") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        got = f"{file.name} with mode {mode:04o}"
        raise BadInput("console.token", got, "mode 0600: nobody else may read it")
    if not token:
        raise BadInput(
            "console.token", f"{file.name} that is empty", "a file with a token, or none"
        )
    return token
