"""By what addresses are counted: one host has all of its /64."""

import pytest

from slicer.http import source_of


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("proxy", "proxy"),
    ],
)
def test_by_what_an_address_is_counted(address: str, counted: str) -> None:
    assert source_of(address) == counted
