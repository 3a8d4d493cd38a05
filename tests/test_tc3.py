"""A request to a Tencent API, signed: the known answer of Tencent's page."""

from slicer.api.signature import canonical_request
from slicer.tc3 import sign
from tests.api.test_signature import SAMPLE, SAMPLE_KEY, SAMPLE_SIGNATURE, SAMPLE_TIME


def test_the_known_answer() -> None:
    canonical = canonical_request(SAMPLE, ("content-type", "host", "x-tc-action"))
    assert sign(SAMPLE_KEY, SAMPLE_TIME, "2019-02-25", "cvm", canonical) == SAMPLE_SIGNATURE
    assert sign("other", SAMPLE_TIME, "2019-02-25", "cvm", canonical) != SAMPLE_SIGNATURE
