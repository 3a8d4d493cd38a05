"""Options that name a supplier of verdicts and its account."""

import argparse
from collections.abc import Mapping

from slicer.moderation import SupplierSpec

SECRET = "SLICER_SUPPLIER_SECRET_KEY"  # noqa: S105 (the name of a variable)


def add_account(parser: argparse.ArgumentParser) -> None:
    """The account, of a supplier that has accounts. A key is never an argument."""
    parser.add_argument(
        "--supplier-id", default="", metavar="ID",
        help=f"the supplier's SecretId; its SecretKey is {SECRET} in the environment",
    )  # fmt: skip
    parser.add_argument("--supplier-app", default="", metavar="ID", help="the supplier's AppID")
    for kind, of in (("audio", "AudioBizType"), ("image", "ImageBizType")):
        parser.add_argument(
            f"--supplier-{kind}-type", default="", metavar="ID", help=f"the supplier's {of}"
        )


def supplier_of(name: str, options: argparse.Namespace, env: Mapping[str, str]) -> SupplierSpec:
    """The account of the supplier of this name."""
    return SupplierSpec(
        name.lower(),
        options.supplier_app,
        options.supplier_id,
        env.get(SECRET, ""),
        options.supplier_audio_type,
        options.supplier_image_type,
    )
