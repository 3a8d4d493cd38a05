"""slicer completion: what a shell reads to complete the command's words, made from its parsers."""

import argparse
import sys
from collections.abc import Callable

from slicer.cli.exits import STORED
from slicer.cli.options import OneOf, one_of
from slicer.config import in_words
from slicer.errors import BadInput

SHELLS = ("bash", "zsh", "fish")


def add(parser: argparse.ArgumentParser, whole: Callable[[], argparse.ArgumentParser]) -> None:
    """Its arguments. *whole*: makes the parser of the command with all its subcommands."""
    parser.add_argument(
        "shell", type=one_of("SHELL", SHELLS), metavar="SHELL", help=f"{in_words(SHELLS)}"
    )
    parser.epilog = (
        "bash: slicer completion bash > ~/.local/share/bash-completion/completions/slicer; "
        "zsh: the same to _slicer in a folder of $fpath; "
        "fish: to ~/.config/fish/completions/slicer.fish."
    )
    parser.set_defaults(command=lambda options: completion(options, whole()), verbose=False)


def completion(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Print the script of a shell. Raises BadInput where shtab, which writes it, is not here."""
    try:
        import shtab  # noqa: PLC0415 (an extra)
    except ImportError:
        needs = "a shell, and shtab: pip install 'rtc-slicer[completion]'"
        raise BadInput("completion", options.shell, needs) from None
    _tell_values(parser, {"FILE": shtab.FILE, "FOLDER": shtab.DIRECTORY})
    sys.stdout.write(shtab.complete(parser, options.shell) + "\n")
    return STORED


def _tell_values(parser: argparse.ArgumentParser, of_metavar: dict[str, object]) -> None:
    """Mark what is a file, a folder or one of a few words, in a parser that only shtab reads."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                _tell_values(each, of_metavar)
        elif isinstance(action.type, OneOf):
            action.choices, action.metavar = action.type.words, None
        elif isinstance(action.metavar, str) and action.metavar in of_metavar:
            # The attribute is shtab's, which reads it off an action.
            setattr(action, "complete", of_metavar[action.metavar])  # noqa: B010
