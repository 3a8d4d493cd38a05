"""Keys as people have them; what they lead to, by the RFCs (real handshakes: test_dtls.py)."""

import base64
import contextlib
import hashlib

import pytest
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.rooms.replay.keys import MAX_KEYS, Hello, Keys, SrtpKey

# RFC 4568 6.1's own example.
EXAMPLE = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4"
MATERIAL = b"YS___semctl () {\t220;}\n}\nunles"
RANDOM = bytes(range(32))


def test_sdes() -> None:
    keys = Keys.read(f"v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {EXAMPLE} FEC_ORDER=FEC_SRTP\r\n")
    assert keys.srtp == (SrtpKey(1, MATERIAL),)


def test_a_key_without_its_suite_is_tried_as_each_that_it_fits() -> None:
    assert Keys.read(f"{EXAMPLE}\n{EXAMPLE}").srtp == (SrtpKey(1, MATERIAL), SrtpKey(2, MATERIAL))


def test_other_suites_and_lines_are_passed_over() -> None:
    assert not Keys.read(f"a=crypto:2 AES_256_CM_HMAC_SHA1_80 {EXAMPLE}\nSERVER_RANDOM 1 2\n\0")


@pytest.mark.parametrize(
    "line", ["AES_CM_128_HMAC_SHA1_80 inline:AAAA", "inline:AAA", "inline:AA=A"]
)
def test_malformed(line: str) -> None:
    with pytest.raises(BadInput, match="keys") as refused:
        Keys.read(line)
    assert "AAA" not in str(refused.value), "no secret is told"


def test_keys_are_bounded() -> None:
    lines = (
        f"AEAD_AES_128_GCM inline:{base64.b64encode(number.to_bytes(28)).decode()}"
        for number in range(MAX_KEYS + 1)
    )
    with pytest.raises(BadInput, match="at most 256"):
        Keys.read("\n".join(lines))


def test_no_secret_is_shown() -> None:
    keys = Keys.read(f"{EXAMPLE}\nCLIENT_RANDOM {'ab' * 32} {'cd' * 48}")
    assert "cdcd" not in repr(keys)
    assert "semctl" not in repr(keys)


@pytest.mark.parametrize("size", [32, 48])
def test_the_exporter_of_dtls_1_3(size: int) -> None:
    """RFC 8446 7.5 and RFC 9147 5.9, against another implementation of HKDF-Expand."""
    digest, chosen = (hashlib.sha256, SHA256()) if size == 32 else (hashlib.sha384, SHA384())
    secret = bytes(range(size))

    def expand(key: bytes, label: bytes, context: bytes, length: int) -> bytes:
        label = b"dtls13" + label
        info = length.to_bytes(2) + bytes([len(label)]) + label + bytes([len(context)]) + context
        return HKDFExpand(chosen, length, info).derive(key)

    empty = digest(b"").digest()
    derived = expand(secret, b"EXTRACTOR-dtls_srtp", empty, size)
    exported = expand(derived, b"exporter", empty, 60)
    keys = Keys.read(f"EXPORTER_SECRET {RANDOM.hex()} {secret.hex()}")
    client, server = keys.derived(Hello(RANDOM, RANDOM, "sha256", 1))
    assert client == SrtpKey(1, exported[:16] + exported[32:46])
    assert server == SrtpKey(1, exported[16:32] + exported[46:60])


def test_a_handshake_of_another_client_leads_to_nothing() -> None:
    keys = Keys.read(f"CLIENT_RANDOM {RANDOM.hex()} {'cd' * 48}")
    assert len([*keys.derived(Hello(RANDOM, RANDOM, "sha256", 1))]) == 2
    assert len([*keys.derived(Hello(RANDOM, RANDOM, "sha256", 0))]) == 8
    assert [*keys.derived(Hello(bytes(32), RANDOM, "sha256", 1))] == []


def test_keys_are_joined() -> None:
    one, other = Keys.read(EXAMPLE), Keys.read(f"EXPORTER_SECRET {'00' * 32} {'11' * 32}")
    both = one | other | one
    assert (both.srtp, both.exporters) == (one.srtp, other.exporters)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadInput):
        assert not Keys.read(f"inline:{text}\nCLIENT_RANDOM {text}\n{text}").masters
