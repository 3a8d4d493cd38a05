"""Limited range to full: the native way gives what numpy's way gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.hot import IMPLEMENTATION
from slicer.media import levels
from slicer.media.levels import CHROMA, LUMA, Range

native = pytest.mark.skipif(IMPLEMENTATION != "native", reason="not handled by the native plane")
sizes = st.integers(1, 200)


@pytest.mark.parametrize("limited", [LUMA, CHROMA])
@given(width=sizes, height=st.integers(1, 9), padding=st.integers(0, 70), seed=st.integers(0, 99))
def test_every_size_is_as_numpy_has_it(
    limited: Range, width: int, height: int, padding: int, seed: int
) -> None:
    rows = np.random.default_rng(seed).integers(0, 256, (height, width + padding), np.uint8)
    before = rows.copy()
    samples = rows[:, :width]
    full = levels.stretch(samples, limited)
    assert full.flags.c_contiguous
    assert np.array_equal(full, levels.stretch_by_numpy(samples, limited))
    assert np.array_equal(rows, before)


@pytest.mark.parametrize(("limited", "least"), [(LUMA, 0), (CHROMA, 1)])
def test_every_level(limited: Range, least: int) -> None:
    every = np.arange(256, dtype=np.uint8).reshape(1, -1)
    full = levels.stretch(every, limited)[0]
    assert np.array_equal(full, levels.stretch_by_numpy(every, limited)[0])
    assert (full[:17] == least).all()
    assert (full[limited.greatest :] == 255).all()
    assert (np.diff(full[16 : limited.greatest + 1].astype(int)) > 0).all()


@native
def test_planes_that_do_not_fit_are_refused() -> None:
    from slicer._hot import stretch_levels

    plane = np.zeros((4, 6), np.uint8)
    for samples, full, why in [
        (plane, np.zeros((4, 5), np.uint8), "shape"),
        (plane, np.zeros((6, 4), np.uint8), "shape"),
        (plane.ravel(), plane.ravel(), "two dimensions"),
        (plane.astype(np.uint16), plane, "one byte"),
        (np.zeros((4, 12), np.uint8)[:, ::2], plane, "side by side"),
    ]:
        with pytest.raises(ValueError, match=why):
            stretch_levels(samples, full, *LUMA)  # type: ignore[arg-type]
    plane.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        stretch_levels(plane, plane, *LUMA)
