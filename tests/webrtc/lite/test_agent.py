"""The ICE-lite agent: which checks it answers, and with what. No socket, no time."""

import struct

import pytest
from aioice import stun
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from slicer.webrtc.lite.agent import (
    MAX_ATTRIBUTES,
    MAX_SEEN,
    Credentials,
    LiteAgent,
    named_fragment,
)

ADDRESS = ("192.0.2.7", 4_007)
FINGERPRINT = 8
"""Bytes of the attribute, the last one."""


def check(agent: LiteAgent, pwd: str = "", theirs: str = "peer", **attributes: object) -> bytes:
    """A binding request to the agent, signed by its password or another."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{agent.credentials.ufrag}:{theirs}"
    request.attributes["PRIORITY"] = 1_845_494_271
    request.attributes.update({name.replace("_", "-"): what for name, what in attributes.items()})
    request.add_message_integrity((pwd or agent.credentials.pwd).encode())
    return bytes(request)


def test_a_check_that_knows_the_password_is_answered() -> None:
    agent = LiteAgent()
    data = check(agent, ICE_CONTROLLING=5)
    found = agent.check(data, ADDRESS)
    assert found is not None
    assert not found.nominates
    answer = stun.parse_message(found.answer)
    assert answer.message_class is stun.Class.RESPONSE
    assert answer.transaction_id == data[8:20]
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == ADDRESS
    assert answer.check_message_integrity(agent.credentials.pwd.encode())


def test_the_peer_nominates() -> None:
    agent = LiteAgent()
    found = agent.check(check(agent, ICE_CONTROLLING=5, USE_CANDIDATE=None), ADDRESS)
    assert found is not None
    assert found.nominates


def test_an_address_of_ipv6() -> None:
    agent = LiteAgent()
    found = agent.check(check(agent), ("2001:db8::7", 4_007))
    assert found is not None
    assert stun.parse_message(found.answer).attributes["XOR-MAPPED-ADDRESS"][0] == "2001:db8::7"


def test_who_wants_us_to_control_is_told_the_role_conflict() -> None:
    agent = LiteAgent()
    found = agent.check(check(agent, ICE_CONTROLLED=5, USE_CANDIDATE=None), ADDRESS)
    assert found is not None
    assert not found.nominates
    answer = stun.parse_message(found.answer)
    assert answer.message_class is stun.Class.ERROR
    assert answer.error_code == 487


def unsigned(agent: LiteAgent) -> bytes:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{agent.credentials.ufrag}:peer"
    return bytes(request)


def test_what_is_not_authenticated_is_not_answered() -> None:
    agent, other = LiteAgent(), LiteAgent()
    right = check(agent)
    for data in (
        b"",
        right[:-1],
        right[:20],
        check(agent, pwd="0" * 32),
        check(other),
        unsigned(agent),
        right[:-12] + bytes(4) + right[-8:],  # the signature's last bytes
        b"\x01\x01" + right[2:],  # an answer, not a request
    ):
        assert agent.check(data, ADDRESS) is None, data.hex()
    assert agent.check(right, ADDRESS) is not None


def test_a_restart_takes_both_credentials_until_the_new_ones_nominate() -> None:
    agent = LiteAgent()
    before, old = agent.credentials, check(agent, USE_CANDIDATE=None)
    agent.restart()
    assert agent.credentials != before
    assert set(agent.fragments) == {agent.credentials.ufrag, before.ufrag}
    # Browsers check as `old-ours:new-theirs` before they have our answer.
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{before.ufrag}:newer"
    request.add_message_integrity(before.pwd.encode())
    for data in (old, bytes(request), check(agent)):
        assert agent.check(data, ADDRESS) is not None
    assert agent.check(check(agent, USE_CANDIDATE=None), ADDRESS) is not None
    assert agent.fragments == (agent.credentials.ufrag,)
    assert agent.check(old, ADDRESS) is None


def test_two_restarts_keep_what_was_nominated() -> None:
    agent = LiteAgent()
    before = agent.credentials
    agent.restart()
    agent.restart()
    assert agent.fragments == (agent.credentials.ufrag, before.ufrag)


def test_credentials_are_secret_and_long_enough() -> None:
    ours = LiteAgent().credentials
    assert len(ours.ufrag) >= 4
    assert len(ours.pwd) >= 22
    assert ours.pwd not in repr(ours)


def test_the_named_fragment() -> None:
    agent = LiteAgent()
    assert named_fragment(check(agent)) == agent.credentials.ufrag
    assert named_fragment(check(agent)[:24]) is not None  # cut off within the name: no such session
    assert named_fragment(b"\x00\x01\x00\x00" + bytes(24)) is None  # another cookie
    assert named_fragment(b"\x80" + check(agent)[1:]) is None


def test_a_name_behind_too_many_attributes_is_not_looked_for() -> None:
    attribute = struct.pack("!HHI", 0x8070, 4, 0)
    name = struct.pack("!HH", 0x0006, 4) + b"ab:c"
    for count, found in ((MAX_ATTRIBUTES - 1, "ab"), (MAX_ATTRIBUTES, None)):
        body = attribute * count + name
        data = struct.pack("!HHI", 1, len(body), 0x2112A442) + bytes(12) + body
        assert named_fragment(data) == found


@given(st.binary(max_size=300))
def test_garbage_is_no_check(data: bytes) -> None:
    agent = LiteAgent()
    assert agent.check(data, ADDRESS) is None
    named_fragment(b"\x00\x01\x01\x00\x21\x12\xa4\x42" + data)


@pytest.mark.parametrize("at", range(20, 92, 4))
def test_no_byte_of_a_check_can_be_changed(at: int) -> None:
    agent = LiteAgent()
    data = bytearray(check(agent, ICE_CONTROLLING=5, USE_CANDIDATE=None))
    assert at < len(data) - 8  # what is behind it is the fingerprint, a checksum
    data[at] ^= 0x40
    assert agent.check(bytes(data), ADDRESS) is None


def test_a_check_that_comes_again_is_answered_and_proves_nothing() -> None:
    agent = LiteAgent()
    data = check(agent, USE_CANDIDATE=None)
    first, again = agent.check(data, ADDRESS), agent.check(data, ADDRESS)
    assert first is not None
    assert again is not None
    assert (first.fresh, first.nominates) == (True, True)
    assert (again.fresh, again.nominates) == (False, False)
    assert again.answer == first.answer


def test_a_check_that_another_address_sends_again_is_nobody_s() -> None:
    agent = LiteAgent()
    data = check(agent, USE_CANDIDATE=None)
    assert agent.check(data, ADDRESS) is not None
    assert agent.check(data, ("192.0.2.8", 4_007)) is None
    assert agent.check(data, ("192.0.2.7", 4_008)) is None


def test_what_is_remembered_of_checks_is_bounded() -> None:
    agent = LiteAgent()
    first = check(agent)
    assert agent.check(first, ADDRESS) is not None
    for _ in range(MAX_SEEN - 1):
        assert agent.check(check(agent), ADDRESS) is not None
    assert agent.check(first, ("192.0.2.8", 4_007)) is None
    assert agent.check(check(agent), ADDRESS) is not None
    assert agent.check(first, ("192.0.2.8", 4_007)) is not None  # forgotten


class Checks(RuleBasedStateMachine):
    """Checks of the peer, of strangers, and of who repeats what he saw, in any order; the model
    knows which of them are the peer's own."""

    def __init__(self) -> None:
        super().__init__()
        self.agent = LiteAgent()
        self.valid = [self.agent.credentials]
        self.sent: dict[bytes, tuple[tuple[str, int], Credentials]] = {}

    addresses = st.sampled_from([("192.0.2.7", 4_007), ("192.0.2.7", 4_008), ("192.0.2.8", 4_007)])

    @rule(address=addresses, nominate=st.booleans(), old=st.booleans())
    def the_peer_checks(self, address: tuple[str, int], nominate: bool, old: bool) -> None:
        credentials = self.valid[0 if old else -1]
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{credentials.ufrag}:peer"
        if nominate:
            request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(credentials.pwd.encode())
        found = self.agent.check(bytes(request), address)
        assert found is not None
        assert (found.fresh, found.nominates) == (True, nominate)
        if nominate and credentials is self.agent.credentials:
            self.valid = [credentials]
        self.sent[bytes(request)] = address, credentials

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), address=addresses)
    def it_comes_again(self, data: st.DataObject, address: tuple[str, int]) -> None:
        message = data.draw(st.sampled_from(list(self.sent)))
        first, credentials = self.sent[message]
        found = self.agent.check(message, address)
        if address != first or credentials not in self.valid:
            assert found is None
        else:
            assert found is not None
            assert (found.fresh, found.nominates) == (False, False)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), at=st.integers(0, 10_000), bit=st.integers(0, 7), address=addresses)
    def it_comes_changed(
        self, data: st.DataObject, at: int, bit: int, address: tuple[str, int]
    ) -> None:
        message = bytearray(data.draw(st.sampled_from(list(self.sent))))
        # What follows MESSAGE-INTEGRITY is not signed, and but for FINGERPRINT not looked at (RFC
        # 8489 14.5): a fingerprint that claims to be something else is nothing.
        message[at % (len(message) - FINGERPRINT)] ^= 1 << bit
        assert self.agent.check(bytes(message), address) is None

    @rule(address=addresses)
    def who_guesses_checks(self, address: tuple[str, int]) -> None:
        assert (
            self.agent.check(check(self.agent, pwd="0" * 32, USE_CANDIDATE=None), address) is None
        )

    @rule()
    def the_peer_restarts(self) -> None:
        self.agent.restart()
        self.valid = [self.valid[0], self.agent.credentials]

    @invariant()
    def checks_find_the_session_by_what_is_valid(self) -> None:
        assert set(self.agent.fragments) == {one.ufrag for one in self.valid}


TestChecks = Checks.TestCase
TestChecks.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
