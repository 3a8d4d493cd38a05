"""Answers to connectivity checks: RFC 5769's sample, and aioice's own answers."""

import binascii
import importlib
import ipaddress
import os
import struct
from typing import Any

import pytest
from aioice import stun
from aioice.ice import Connection
from hypothesis import given
from hypothesis import strategies as st

if os.environ.get("SLICER_NATIVE") != "1":
    pytest.importorskip("slicer._parts", reason="the native parts are not built")
parts: Any = importlib.import_module("slicer._parts")

LOCAL, REMOTE, PASSWORD = "evtj", "h6vY", "VOkJxbRl1RmTxUk/WvJxBt"
PEER = ("192.0.2.1", 32853)
PEER_6 = ("2001:db8:1234:5678:11:2233:4455:6677", 32853)
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")

# RFC 5769 section 2.1: padded with spaces, not zeros; from a controlled agent.
SAMPLE = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff"
    "80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf"
)

PRIORITY, USE_CANDIDATE = struct.pack("!HHI", 0x24, 4, 1), struct.pack("!HH", 0x25, 0)
CONTROLLED = struct.pack("!HHQ", 0x8029, 8, 1)
CONTROLLING = struct.pack("!HHQ", 0x802A, 8, 1)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


USERNAME = attribute(0x06, f"{LOCAL}:{REMOTE}".encode())


def sign(attributes: bytes, password: str = PASSWORD, kind: int = 1) -> bytes:
    """A message with MESSAGE-INTEGRITY behind these attributes."""
    plain = struct.pack("!HHI", kind, len(attributes), stun.COOKIE) + TRANSACTION + attributes
    mac = stun.message_integrity(plain, password.encode())
    return stun.set_body_length(plain, len(attributes) + 24) + attribute(0x08, mac)


def finish(signed: bytes) -> bytes:
    """The message with FINGERPRINT."""
    value = struct.pack("!I", stun.message_fingerprint(signed))
    return stun.set_body_length(signed, len(signed) - 20 + 8) + attribute(0x8028, value)


def request(attributes: bytes = USERNAME + PRIORITY + CONTROLLED) -> bytes:
    return finish(sign(attributes))


def answer(
    data: bytes,
    controlling: bool = True,
    address: tuple[str, int] = PEER,
    local: str = LOCAL,
    remote: str = REMOTE,
    password: str = PASSWORD,
) -> bytes | None:
    packed = ipaddress.ip_address(address[0]).packed
    given = (local.encode(), remote.encode(), password.encode())
    response: bytes | None = parts.stun_answer(*given, controlling, data, packed, address[1])
    return response


class Sent:
    """aioice's protocol, as far as it answers."""

    def __init__(self) -> None:
        self.messages: list[stun.Message] = []

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        self.messages.append(message)


def aioices(data: bytes, controlling: bool, address: tuple[str, int] = PEER) -> bytes | None:
    """aioice's response to a request; None where it gives an error, or nothing."""
    connection = Connection(
        ice_controlling=controlling, local_username=LOCAL, local_password=PASSWORD
    )
    connection.remote_username = REMOTE
    sent: Any = Sent()
    try:
        connection.request_received(stun.parse_message(data), address, sent)
    except (ValueError, struct.error):
        return None
    [message] = sent.messages
    return bytes(message) if message.message_class == stun.Class.RESPONSE else None


def test_the_sample_is_answered() -> None:
    response = answer(SAMPLE)
    assert response is not None
    message = stun.parse_message(response)
    assert message.message_class == stun.Class.RESPONSE
    assert message.transaction_id == TRANSACTION
    assert message.attributes["XOR-MAPPED-ADDRESS"] == PEER
    assert message.check_message_integrity(PASSWORD.encode())
    assert list(message.attributes) == ["XOR-MAPPED-ADDRESS", "MESSAGE-INTEGRITY", "FINGERPRINT"]


@pytest.mark.parametrize(
    ("address", "value"),
    # RFC 5769 sections 2.2 and 2.3.
    [(PEER, "0001a147e112a643"), (PEER_6, "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9")],
)
def test_the_address_is_that_of_the_samples(address: tuple[str, int], value: str) -> None:
    response = answer(SAMPLE, address=address)
    assert response is not None
    assert response[24 : 24 + len(value) // 2].hex() == value


def test_no_other_size_of_address_is_answered() -> None:
    names = (LOCAL.encode(), REMOTE.encode(), PASSWORD.encode())
    for size in (0, 3, 5, 15, 17):
        assert parts.stun_answer(*names, True, SAMPLE, bytes(size), 1) is None


@pytest.mark.parametrize("address", [PEER, PEER_6])
@pytest.mark.parametrize(
    ("attributes", "controlling"),
    [
        (USERNAME + PRIORITY + CONTROLLED, True),
        (USERNAME + PRIORITY + CONTROLLING, False),
        (USERNAME + PRIORITY + CONTROLLING + USE_CANDIDATE, False),
        (USERNAME + PRIORITY + CONTROLLED + USE_CANDIDATE, True),
        (CONTROLLED + USERNAME, True),
        (USERNAME, False),
        (attribute(0xC057, bytes(4)) + USERNAME + PRIORITY + attribute(0x8022, b"odd"), True),
    ],
)
async def test_the_response_is_aioices(
    attributes: bytes, controlling: bool, address: tuple[str, int]
) -> None:
    for data in (finish(sign(attributes)), sign(attributes)):
        response = answer(data, controlling, address)
        assert response is not None
        assert response == aioices(data, controlling, address)


async def test_a_check_by_aioice_is_answered_and_taken() -> None:
    """A whole check: aioice asks, we answer, aioice's transaction ends."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes |= {"USERNAME": f"{LOCAL}:{REMOTE}", "PRIORITY": 1, "ICE-CONTROLLED": 7}

    class Loop:
        def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
            response = answer(bytes(message))
            assert response is not None
            transaction.response_received(stun.parse_message(response), addr)

    key = PASSWORD.encode()
    message.add_message_integrity(key)
    transaction = stun.Transaction(message, PEER, Loop(), integrity_key=key)
    response, _ = await transaction.run()
    assert response.attributes["XOR-MAPPED-ADDRESS"] == PEER


@pytest.mark.parametrize(
    "attributes",
    [
        PRIORITY + CONTROLLED,
        attribute(0x06, b"evtj:h6vZ") + CONTROLLED,
        attribute(0x06, b"evtk:h6vY") + CONTROLLED,
        attribute(0x06, b"evtj-h6vY") + CONTROLLED,
        attribute(0x06, b"evtj:h6vYY") + CONTROLLED,
        attribute(0x06, b"evtj:h6v") + CONTROLLED,
        attribute(0x06, b"h6vY:evtj") + CONTROLLED,
        attribute(0x06, b"") + CONTROLLED,
        USERNAME + USERNAME + CONTROLLED,
    ],
)
def test_a_name_that_is_not_ours_is_for_others(attributes: bytes) -> None:
    assert answer(request(attributes)) is None


def test_another_password_is_for_others() -> None:
    assert answer(finish(sign(USERNAME + CONTROLLED, PASSWORD[:-1]))) is None


@pytest.mark.parametrize(
    ("role", "controlling"), [(CONTROLLING, True), (CONTROLLED, False), (CONTROLLED[:-4], True)]
)
def test_a_conflict_of_roles_is_for_others(role: bytes, controlling: bool) -> None:
    body = struct.pack("!HH", struct.unpack("!H", role[:2])[0], len(role) - 4) + role[4:]
    assert answer(request(USERNAME + body), controlling) is None


@pytest.mark.parametrize("kind", [0x0001, 0x0014, 0x001C, 0x0026, 0x7FFF])
def test_what_must_be_understood_and_is_not_is_for_others(kind: int) -> None:
    assert answer(request(USERNAME + attribute(kind, bytes(4)))) is None


@pytest.mark.parametrize(
    "attributes", [attribute(0x24, bytes(8)), attribute(0x25, bytes(4)), attribute(0x24, b"")]
)
def test_a_wrong_size_is_for_others(attributes: bytes) -> None:
    assert answer(request(USERNAME + attributes)) is None


@pytest.mark.parametrize("kind", [0x0101, 0x0111, 0x0011, 0x0003, 0x0201, 0x4001])
def test_what_is_no_binding_request_is_for_others(kind: int) -> None:
    assert answer(finish(sign(USERNAME + CONTROLLED, kind=kind))) is None


def test_what_is_not_signed_is_for_others() -> None:
    plain = struct.pack("!HHI", 1, len(USERNAME), stun.COOKIE) + TRANSACTION + USERNAME
    assert answer(plain) is None
    assert answer(finish(plain)) is None


def test_what_comes_behind_the_signature_is_for_others() -> None:
    signed = sign(USERNAME)
    for extra in (CONTROLLED, USERNAME, attribute(0x8022, b"late"), signed[-24:]):
        longer = stun.set_body_length(signed, len(signed) - 20 + len(extra)) + extra
        assert answer(longer) is None
        assert answer(finish(longer)) is None


def test_what_comes_behind_the_fingerprint_is_for_others() -> None:
    signed = sign(USERNAME)
    for extra in (b"", USE_CANDIDATE):
        longer = stun.set_body_length(signed, len(signed) - 20 + 8 + len(extra))
        value = struct.pack("!I", binascii.crc32(longer) ^ stun.FINGERPRINT_XOR)
        assert (answer(longer + attribute(0x8028, value) + extra) is None) == bool(extra)


@pytest.mark.parametrize("extra", [b"", bytes(4)])
def test_a_signature_of_another_size_is_for_others(extra: bytes) -> None:
    signed = sign(USERNAME)
    longer = signed[:-24] + attribute(0x08, signed[-20:] + extra)
    assert (answer(stun.set_body_length(longer, len(longer) - 20)) is None) == bool(extra)


@pytest.mark.parametrize("cookie", [stun.COOKIE, stun.COOKIE ^ 1, 0])
def test_another_cookie_is_for_others(cookie: int) -> None:
    plain = struct.pack("!HHI", 1, len(USERNAME), cookie) + TRANSACTION + USERNAME
    mac = attribute(0x08, stun.message_integrity(plain, PASSWORD.encode()))
    signed = stun.set_body_length(plain, len(USERNAME) + 24) + mac
    assert (answer(signed) is None) == (cookie != stun.COOKIE)


def test_a_fingerprint_before_the_signature_is_for_others() -> None:
    plain = struct.pack("!HHI", 1, len(USERNAME), stun.COOKIE) + TRANSACTION + USERNAME
    assert answer(sign(finish(plain)[20:])) is None


def test_tampering_with_any_byte_is_seen() -> None:
    data = request()
    assert answer(data) is not None
    for at in range(len(data)):
        for bit in (1, 0x10, 0x80):
            changed = bytearray(data)
            changed[at] ^= bit
            assert answer(bytes(changed)) is None


def test_tampering_under_a_new_fingerprint_is_seen() -> None:
    signed = sign(USERNAME + PRIORITY + CONTROLLED)
    for at in range(len(signed)):
        changed = bytearray(signed)
        changed[at] ^= 1
        assert answer(bytes(changed)) is None
        # The length is set anew.
        assert (answer(finish(bytes(changed))) is None) == (at not in (2, 3))


def test_what_is_cut_short_or_too_long_is_for_others() -> None:
    data = request()
    for size in range(len(data)):
        assert answer(data[:size]) is None
    assert answer(data + bytes(4)) is None


def test_an_attribute_that_runs_over_the_end_is_for_others() -> None:
    for size in (5, 0xFFFC, 0xFFFF):
        body = USERNAME + struct.pack("!HHI", 0x8022, size, 0)
        data = struct.pack("!HHI", 1, len(body), stun.COOKIE) + TRANSACTION + body
        assert answer(data) is None


def test_the_longest_credentials_are_answered() -> None:
    local, remote, password = "l" * 256, "r" * 256, "p" * 256
    name = attribute(0x06, f"{local}:{remote}".encode())
    data = finish(sign(name, password))
    response = answer(data, local=local, remote=remote, password=password)
    assert response is not None
    assert stun.parse_message(response).check_message_integrity(password.encode())


def test_a_message_of_over_1500_bytes_is_for_others() -> None:
    room = 1500 - len(request(USERNAME)) - 4
    assert answer(request(attribute(0x8022, bytes(room)) + USERNAME)) is not None
    assert answer(request(attribute(0x8022, bytes(room + 4)) + USERNAME)) is None


ATTRIBUTES = st.lists(
    st.sampled_from(
        [
            *(USERNAME, PRIORITY, USE_CANDIDATE, CONTROLLED, CONTROLLING),
            *(attribute(0x8022, b"a"), attribute(0x24, b""), attribute(0x06, b"evtj:")),
            attribute(0x7000, b""),
        ]
    ),
    max_size=6,
)


@given(attributes=ATTRIBUTES, controlling=st.booleans(), finished=st.booleans())
async def test_what_is_answered_aioice_answers_the_same(
    attributes: list[bytes], controlling: bool, finished: bool
) -> None:
    data = sign(b"".join(attributes))
    data = finish(data) if finished else data
    response = answer(data, controlling)
    assert response in (None, aioices(data, controlling))


@given(data=st.binary(max_size=120))
def test_any_bytes_are_for_others(data: bytes) -> None:
    assert answer(data) is None
    head = struct.pack("!HHI", 1, len(data), stun.COOKIE) + TRANSACTION
    assert answer(head + data) is None
