"""The settings of the spool: what is refused before anything starts."""

import pytest

from slicer.delivery.spool.settings import SpoolSettings
from slicer.errors import BadInput


def test_a_folder_is_absolute_or_none() -> None:
    assert SpoolSettings().folder == ""
    assert SpoolSettings("/var/lib/slicer/spool").folder
    with pytest.raises(BadInput, match=r"spool\.folder: got 'spool'; allowed: an absolute path"):
        SpoolSettings("spool")
