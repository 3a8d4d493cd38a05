"""slicer usersig: signs for a user, with the key of the settings."""

import argparse
import sys
import time
from collections.abc import Mapping

from slicer.cli.exits import STORED
from slicer.cli.options import add_common, service_settings_of, whole
from slicer.errors import BadInput
from slicer.rooms.whip.address import check_user
from slicer.service.settings import ServiceSettings
from slicer.usersig import HALF_YEAR, SdkApp

MAX_EXPIRE = 10 * 366 * 86_400


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("user", help="the user id it is for: a publisher's, or a robot's")
    parser.add_argument(
        "--app", type=whole("--app", 1, 2**32 - 1), metavar="ID",
        help="the application (SdkAppId), where the settings have several",
    )  # fmt: skip
    parser.add_argument(
        "--expire", type=whole("--expire", 1, MAX_EXPIRE, "seconds"), default=HALF_YEAR,
        metavar="S", help="valid for S seconds (half a year)",
    )  # fmt: skip
    parser.epilog = (
        "The key is never an argument: it is SLICER_USERSIG_KEY for whip.sdk_app_id, "
        "SLICER_APP_1400000001_USERSIG_KEY for an application in [[apps]], or usersig_key in the "
        "settings."
    )
    add_common(parser)
    parser.set_defaults(command=usersig)


def usersig(options: argparse.Namespace) -> int:
    """Print a UserSig."""
    check_user("USER", options.user)
    keys = _keys(service_settings_of(options))
    app = _chosen(options.app, keys)
    if not keys[app]:
        raise BadInput("usersig_key", "nothing", f"the key of application {app}: {_where(app)}")
    signature = SdkApp(app, keys[app]).usersig(options.user, int(time.time()), options.expire)
    sys.stdout.write(signature + "\n")
    return STORED


def _keys(settings: ServiceSettings) -> dict[int, str]:
    """The applications of the settings and their keys; whip's own is before one of [[apps]]."""
    keys = {app.sdk_app_id: app.usersig_key for app in settings.apps}
    own = settings.engine.whip
    if own.sdk_app_id and (own.usersig_key or own.sdk_app_id not in keys):
        keys[own.sdk_app_id] = own.usersig_key
    return keys


def _chosen(asked: int | None, keys: Mapping[int, str]) -> int:
    """The application that is asked for, or the only one there is. Raises BadInput."""
    if asked not in keys and (asked is not None or len(keys) != 1):
        none = "an application of the settings: whip.sdk_app_id, or [[apps]] in --config FILE"
        allowed = f"one of {', '.join(map(str, keys))}" if keys else none
        raise BadInput("--app", "nothing" if asked is None else asked, allowed)
    return next(iter(keys)) if asked is None else asked


def _where(app: int) -> str:
    return f"SLICER_APP_{app}_USERSIG_KEY for [[apps]], SLICER_USERSIG_KEY for whip.sdk_app_id"
