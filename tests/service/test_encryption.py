"""Secrets at rest: sealed for one task, keys from a text or a file of mode 0600, rotation."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from slicer.errors import BadInput
from slicer.service.encryption import Encryption

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
SECRETS = {"secret_key": "hidden"}


def test_sealed_and_unsealed() -> None:
    encryption = Encryption([OLD])
    sealed = encryption.seal("t", SECRETS)
    assert b"hidden" not in sealed
    assert encryption.unseal("t", sealed) == SECRETS
    assert OLD not in repr(encryption)


def test_secrets_belong_to_one_task() -> None:
    encryption = Encryption([OLD])
    with pytest.raises(BadInput, match="another task"):
        encryption.unseal("u", encryption.seal("t", SECRETS))


def test_what_was_changed_is_refused() -> None:
    encryption = Encryption([OLD])
    sealed = bytearray(encryption.seal("t", SECRETS))
    sealed[len(sealed) // 2] ^= 1
    with pytest.raises(BadInput, match="SLICER_STATE_KEY: got 'other keys'"):
        encryption.unseal("t", bytes(sealed))
    with pytest.raises(BadInput):
        encryption.rotate(bytes(sealed))


def test_keys_are_rotated() -> None:
    sealed = Encryption([OLD]).seal("t", SECRETS)
    both = Encryption([NEW, OLD])
    assert both.unseal("t", sealed) == SECRETS
    with pytest.raises(BadInput):
        Encryption([NEW]).unseal("t", sealed)
    assert Encryption([NEW]).unseal("t", both.rotate(sealed)) == SECRETS


@pytest.mark.parametrize(
    "keys", ["short", "ü" * 44, OLD + "," + "x"], ids=["short", "foreign", "one of two"]
)
def test_keys_that_are_none(keys: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Fernet keys") as refused:
        Encryption.open(keys, tmp_path / "key")
    assert keys not in str(refused.value)


def test_an_empty_file_has_no_keys(tmp_path: Path) -> None:
    (tmp_path / "key").touch(mode=0o600)
    with pytest.raises(BadInput, match="0 keys"):
        Encryption.open("", tmp_path / "key")


def test_a_file_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "state" / "key"
    mask = os.umask(0)
    try:
        sealed = Encryption.open("", file).seal("t", SECRETS)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Encryption.open("", file).unseal("t", sealed) == SECRETS
    assert [path.name for path in file.parent.iterdir()] == ["key"]


def test_a_text_beats_the_file(tmp_path: Path) -> None:
    sealed = Encryption.open(f" {NEW} , {OLD} ", tmp_path / "key").seal("t", SECRETS)
    assert Encryption([NEW]).unseal("t", sealed) == SECRETS
    assert not (tmp_path / "key").exists()


def test_a_file_that_others_may_read(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{NEW}\n{OLD}\n")
    for mode in (0o640, 0o604, 0o622):
        file.chmod(mode)
        with pytest.raises(BadInput, match=f"with mode {mode:04o}.*mode 0600") as refused:
            Encryption.open("", file)
        assert NEW not in str(refused.value)
    file.chmod(0o400)
    Encryption.open("", file)


def test_a_file_out_of_reach(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"serve\.state_key_file"):
        Encryption.open("", tmp_path)
