"""The token that is made in the state folder."""

from pathlib import Path

import pytest

from slicer.console.token import FILE, token_of
from slicer.errors import BadInput


def test_a_token_is_made_once(tmp_path: Path) -> None:
    token = token_of(tmp_path)
    assert len(token) >= 32
    assert token_of(tmp_path) == token
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("mode", "text", "says"), [(0o644, "t", "0600"), (0o600, "\n", "empty")])
def test_a_token_that_is_none(mode: int, text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    (tmp_path / FILE).chmod(mode)
    with pytest.raises(BadInput, match=says):
        token_of(tmp_path)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"console\.token"):
        token_of(tmp_path / "nothing")
