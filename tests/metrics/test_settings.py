"""Settings of metrics and tracing: an address, a URL without a password, a part."""

import pytest

from slicer.config import check
from slicer.errors import BadInput
from slicer.metrics.settings import MetricsSettings, TracingSettings


def test_what_is_taken() -> None:
    assert MetricsSettings().listen == ""
    MetricsSettings("127.0.0.1:9464")
    TracingSettings("https://collector.example:4318/v1/traces")


def test_what_is_refused() -> None:
    with pytest.raises(BadInput, match=r"metrics\.listen: got '9464'; allowed: HOST:PORT"):
        MetricsSettings("9464")
    for endpoint in ("collector:4318", "ftp://h/x", "http://", "http://[", "http://u:secret@h/x"):
        with pytest.raises(BadInput, match=r"tracing\.endpoint: .*without user") as refused:
            TracingSettings(endpoint)
        assert "secret" not in str(refused.value)
    with pytest.raises(BadInput, match=r"tracing\.ratio: got 2\.0; allowed: a number from 0 to 1"):
        check("tracing", TracingSettings(ratio=2.0))
