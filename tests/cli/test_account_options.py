"""Who judges, and with which account."""

import argparse
from dataclasses import fields

from slicer.cli.account_options import SECRET, add_account, supplier_of
from slicer.cli.options import by_option
from slicer.engine.settings import Settings
from slicer.errors import BadInput
from slicer.moderation import SupplierSpec
from slicer.service.settings import ServiceSettings


def test_an_account() -> None:
    parser = argparse.ArgumentParser()
    add_account(parser)
    options = parser.parse_args(["--supplier-id", "AKID", "--supplier-app", "12"])
    found = supplier_of("Tianyu", options, {SECRET: "key"})
    assert found == SupplierSpec("tianyu", "12", "AKID", "key")
    options = parser.parse_args(["--supplier-image-type", "i", "--supplier-audio-type", "a"])
    assert supplier_of("Yidun", options, {}) == SupplierSpec("yidun", "", "", "", "a", "i")
    assert supplier_of("local", parser.parse_args([]), {}) == SupplierSpec("local")


def test_the_key_s_variable_is_no_mistake_in_the_settings() -> None:
    assert Settings.load(environment={SECRET: "key"}) == Settings.load(environment={})
    assert ServiceSettings.load(environment={SECRET: "key"}) == ServiceSettings.load(environment={})


def test_an_account_that_lacks_something_is_told_by_its_options() -> None:
    parser = argparse.ArgumentParser()
    add_account(parser)
    options, there = parser.parse_args([]), parser.format_help()
    for one in fields(SupplierSpec):
        if one.name != "name":
            named = str(by_option(BadInput(f"supplier.{one.name}", "", "an id"), options))
            assert named.partition(":")[0] in there, one.name
    for error in (BadInput("supplier", "x", "y"), BadInput("room.speed", "x", "y")):
        assert by_option(error, options) is error, "no option of this command"
