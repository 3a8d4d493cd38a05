"""Handshakes as OpenSSL makes them lead, with their key log, to the very keys that it exports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rooms.replay.dtls import MAX_HANDSHAKES, Handshakes
from slicer.rooms.replay.keys import Hello, Keys, SrtpKey
from slicer.rooms.replay.network import Endpoints
from tests.harness.rooms.handshake import Handshake, handshake

MADE = handshake()
UP, DOWN = Endpoints("a:1", "b:2"), Endpoints("b:2", "a:1")


def hellos(made: Handshake, size: int = 65_535) -> list[Hello]:
    seen = Handshakes()
    return [
        hello
        for from_client, datagram in made.datagrams
        for hello in seen.receive(UP if from_client else DOWN, datagram[:size])
    ]


@pytest.mark.parametrize("profile", [1, 2, 7, 8])
@pytest.mark.parametrize(
    "cipher", [b"ECDHE-ECDSA-AES128-GCM-SHA256", b"ECDHE-ECDSA-AES256-GCM-SHA384"]
)
def test_the_keys_of_a_handshake(profile: int, cipher: bytes) -> None:
    made = handshake(profile, cipher)
    (hello,) = set(hellos(made))
    assert hello.profile == profile
    derived = [*Keys.read(made.log).derived(hello)]
    assert derived == [SrtpKey(profile, key) for key in made.keys]


def test_a_hello_that_breaks_off_leaves_the_profile_unknown() -> None:
    made = handshake()
    (hello,) = set(hellos(made, 13 + 12 + 40))
    assert hello.profile == 0
    keys = {key.material for key in Keys.read(made.log).derived(hello)}
    assert set(made.keys) <= keys


def test_a_server_alone_is_no_handshake() -> None:
    made = handshake()
    made.datagrams = [one for one in made.datagrams if not one[0]]
    assert hellos(made) == []


def test_clients_that_wait_are_bounded() -> None:
    made = handshake()
    seen = Handshakes()
    first = next(datagram for from_client, datagram in made.datagrams if from_client)
    for port in range(MAX_HANDSHAKES + 1):
        assert [*seen.receive(Endpoints(f"a:{port}", "b:2"), first)] == []
    answers = [datagram for from_client, datagram in made.datagrams if not from_client]

    def answered(port: int) -> bool:
        flow = Endpoints("b:2", f"a:{port}")
        return any([*seen.receive(flow, answer)] for answer in answers)

    assert not answered(0), "the oldest made room"
    assert answered(1)


@given(st.data())
def test_damage_never_raises(data: st.DataObject) -> None:
    for from_client, datagram in MADE.datagrams[:4]:
        damaged = bytearray(datagram)
        for at in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=6)):
            damaged[at] = data.draw(st.integers(0, 255))
        seen = Handshakes()
        for sent, whole in MADE.datagrams:
            if sent:
                assert [*seen.receive(UP, whole)] == []
        assert len([*seen.receive(UP if from_client else DOWN, bytes(damaged))]) <= len(damaged)
