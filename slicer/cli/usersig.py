"""slicer usersig: signs for a user, with the key of the settings."""

import argparse
import sys
import time

from slicer.cli.exits import STORED
from slicer.cli.options import add_common, service_settings_of
from slicer.errors import BadInput
from slicer.usersig import HALF_YEAR, SdkApp


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("user")
    parser.add_argument(
        "--app", type=int, help="SdkAppId (default: whip.sdk_app_id of the settings)"
    )
    parser.add_argument("--expire", type=int, default=HALF_YEAR, metavar="S", help="valid for S s")
    parser.epilog = "The key comes from SLICER_USERSIG_KEY or the settings, never from an argument."
    add_common(parser)
    parser.set_defaults(command=usersig)


def usersig(options: argparse.Namespace) -> int:
    """Print a UserSig."""
    settings = service_settings_of(options)
    keys = {app.sdk_app_id: app.usersig_key for app in settings.apps}
    own = settings.engine.whip
    if own.usersig_key:
        keys[own.sdk_app_id] = own.usersig_key
    app = options.app or own.sdk_app_id
    if not keys.get(app):
        raise BadInput("SLICER_USERSIG_KEY", "nothing", f"the key of app {app}, in the environment")
    signature = SdkApp(app, keys[app]).usersig(options.user, int(time.time()), options.expire)
    sys.stdout.write(signature + "\n")
    return STORED
