"""Fixtures of the native plane's tests."""

from collections.abc import Iterator

import pytest


@pytest.fixture(params=[True, False], ids=["SHA1_Init", "EVP"])
def hmac_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways to an HMAC; the second is for a libcrypto without SHA1_Init."""
    from tests.harness.rtp.srtp import parts

    parts.load_libcrypto()
    parts.use_sha1(request.param)
    yield
    parts.use_sha1(True)
