"""A customer of a service that runs as a process: his application, his keys, his bucket."""

import time
from collections.abc import Mapping
from pathlib import Path

from slicer.usersig import SdkApp
from tests.harness.storage.seaweed import REGION, WRITER

APP = 200806
KEY_ID, KEY = "AKIDcustomer", "ApiKeyThatNobodyMayRead1"
USERSIG_KEY = "UserSigKeyThatNobodyMayRead1"
CALLBACK_KEY = "CallbackKeyThatNobodyMayRead1"
CALLBACK_NAME = f"SLICER_APP_{APP}_CALLBACK_KEY"
SECRETS = {
    f"SLICER_APP_{APP}_SECRETS": f"{KEY_ID}:{KEY}",
    f"SLICER_APP_{APP}_USERSIG_KEY": USERSIG_KEY,
    CALLBACK_NAME: CALLBACK_KEY,
}
"""What the process finds in its environment."""


def configuration(
    rooms: int | Mapping[str, str], callbacks: str, folder: Path, store: str, more: str = ""
) -> str:
    """The settings of the service, as a TOML file: *rooms* is the port where publishers come by
    WHIP, or URLs by their patterns; *callbacks* and *store* are URLs, *more* are tables beside
    these."""
    patterns = {"*": f"whip://127.0.0.1:{rooms}/{{room}}"} if isinstance(rooms, int) else rooms
    listed = ", ".join(f'{{ pattern = "{one}", url = "{url}" }}' for one, url in patterns.items())
    return f"""
[[apps]]
sdk_app_id = {APP}
rooms = [{listed}]
callback_url = "{callbacks}"
[serve]
port = 0
state = "{folder}/state"
[webhooks]
allow_private = true
[vendors]
s3_endpoint = "{store}"
path_style = true
[spool]
folder = "{folder}/spool"
{more}"""


def usersig(user: str) -> str:
    """What lets a user of his into a room."""
    return SdkApp(APP, USERSIG_KEY).usersig(user, int(time.time()))


def bucket(name: str, *prefix: str) -> dict[str, object]:
    """His bucket as a request names it."""
    return {
        "Vendor": 1,
        "Region": REGION,
        "Bucket": name,
        "AccessKey": WRITER.access_key,
        "SecretKey": WRITER.secret_key,
        "FileNamePrefix": list(prefix),
    }
