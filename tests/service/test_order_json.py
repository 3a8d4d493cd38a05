"""Orders as JSON: the same order comes back, and the JSON holds no secret."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.service.order import Order
from slicer.service.order_json import from_json, secrets_of, to_json
from tests.harness.service.orders import SECRETS, live_order, moderation_order, slice_order


@pytest.mark.parametrize("order", [slice_order(), moderation_order(), live_order()])
def test_there_and_back(order: Order) -> None:
    text, secrets = to_json(order), secrets_of(order)
    assert from_json(text, secrets) == order
    assert not [secret for secret in SECRETS if secret in text]
    assert set(secrets.values()) <= {*SECRETS, ""}


@given(st.text(max_size=64), st.text(min_size=1, max_size=32))
def test_any_room_and_user(room: str, user: str) -> None:
    order = slice_order(room, user, room_type=0)
    assert from_json(to_json(order), secrets_of(order)) == order


@pytest.mark.parametrize(
    "change", [{"audio": 0}, {"service": 99}, {"images": "gif"}, {"lists": {"allow_audio": ["?"]}}]
)
def test_another_text(change: dict[str, object]) -> None:
    order = slice_order()
    text = json.dumps(json.loads(to_json(order)) | change)
    with pytest.raises((ValueError, BadInput)):
        from_json(text, secrets_of(order))


def test_secrets_that_are_missing() -> None:
    with pytest.raises(KeyError):
        from_json(to_json(slice_order()), {})
