"""What all commands take."""

import argparse
from pathlib import Path

import pytest

from slicer.cli.options import (
    add_common,
    add_plain,
    by_option,
    number,
    one_of,
    service_settings_of,
    settings_of,
    settings_to_serve,
    whole,
)
from slicer.errors import BadInput
from slicer.slicing.spec import ImageFormat


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_common(parser)
    add_plain(parser)
    return parser.parse_args(arguments)


def test_settings_come_from_the_file_and_the_environment_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s.toml").write_text("[slicing]\naudio = 20\nvideo = 7\n")
    monkeypatch.setenv("SLICER_SLICING_VIDEO", "9")
    settings = settings_of(options("--config", str(tmp_path / "s.toml")))
    assert (settings.slicing.audio, settings.slicing.video) == (20, 9)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(BadInput, match=r"nowhere\.toml"):
        settings_of(options("--config", "nowhere.toml"))


def test_defaults() -> None:
    chosen = options()
    assert (chosen.config, chosen.verbose, chosen.plain) == (None, False, False)


@pytest.mark.parametrize("text", ["", "x", "1.5", "²", "-1", "11", "9" * 30, " 3", "--3"])
def test_a_whole_number_that_an_option_does_not_take(text: str) -> None:
    with pytest.raises(
        BadInput, match=r"^--n: got .*; allowed: a whole number of seconds, 0 to 10"
    ):
        whole("--n", 0, 10, "seconds")(text)


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-0.1", "10.1"])
def test_a_number_that_an_option_does_not_take(text: str) -> None:
    with pytest.raises(BadInput, match=r"^--n: got .*; allowed: a number of hours, 0 to 10$"):
        number("--n", 0, 10, "hours")(text)


def test_a_word_that_an_option_does_not_take() -> None:
    with pytest.raises(BadInput, match=r"^--n: got 'gif'; allowed: png, jpg or webp$"):
        one_of("--n", ImageFormat)("gif")


def test_what_options_take() -> None:
    assert whole("--n", -5, 10)("-5") == -5
    assert number("--n", 0, 10, "hours")("2.5") == 2.5
    assert one_of("--n", ImageFormat)("jpg") == "jpg"


def test_the_services_settings(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[serve]\nport = 1234\n")
    settings = service_settings_of(options("--config", str(tmp_path / "s.toml")))
    assert settings.serve.port == 1234


def test_a_secret_that_rooms_alone_need_is_asked_of_no_other_command(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text('[whip]\nice_servers = ["turn:turn.example.com:3478"]\n')
    for load in (settings_of, service_settings_of):
        load(options("--config", str(file)))


def test_an_error_of_a_field_names_the_option_that_was_typed() -> None:
    typed = argparse.Namespace(speed="fast", supplier_id="")
    speed, secret = (
        BadInput("room.speed", "fast", "a number"),
        BadInput("supplier.secret_key", "", "a key"),
    )
    assert str(by_option(speed, typed)).startswith("--speed: got 'fast'")
    assert str(by_option(secret, typed)).startswith("SLICER_SUPPLIER_SECRET_KEY: ")
    nothing = argparse.Namespace()
    for one in (speed, secret):
        assert by_option(one, nothing) is one
    other = BadInput("video", 1, "5")
    assert by_option(other, typed) is other


def test_to_serve_takes_an_application(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"at least one \[\[apps\]\]"):
        settings_to_serve(None, {})
    file = tmp_path / "s.toml"
    file.write_text(
        '[[apps]]\nsdk_app_id = 1\nrooms = [{ pattern = "*", url = "whip://127.0.0.1:0/{room}" }]\n'
    )
    assert [app.sdk_app_id for app in settings_to_serve(file, {}).apps] == [1]
