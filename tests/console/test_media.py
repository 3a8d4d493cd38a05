"""What is kept to be shown: within its bytes, the newest picture of every anchor longest."""

from slicer.console.media import LOOKED_AT, MAX_FILE, Media, MediaCache, identity_of


def media(size: int) -> Media:
    return Media(bytes(size), "image/jpeg")


def test_the_newest_pictures_stay_longest() -> None:
    cache = MediaCache(100)
    cache.put("a1", media(30), "a")
    cache.put("b1", media(30), "b")
    cache.put("audio", media(30))
    cache.put("a2", media(30), "a")
    assert cache.get("audio") is None
    assert all(cache.get(one) for one in ("a1", "b1", "a2"))
    cache.put("b2", media(30), "b")
    assert cache.get("a1") is None
    assert (cache.bytes, cache.dropped) == (90, 2)


def test_too_many_anchors_lose_the_oldest() -> None:
    cache = MediaCache(100)
    for number in range(5):
        cache.put(f"p{number}", media(40), f"tile{number}")
    assert [number for number in range(5) if cache.get(f"p{number}")] == [3, 4]
    assert cache.bytes == 80


def test_a_file_made_anew_counts_once() -> None:
    cache = MediaCache(100)
    cache.put("a1", media(60), "a")
    cache.put("a1", media(50), "a")
    assert (cache.bytes, cache.dropped) == (50, 0)


def test_a_file_that_is_too_large_is_not_kept() -> None:
    cache = MediaCache(2 * MAX_FILE)
    cache.put("a", media(MAX_FILE + 1))
    assert cache.get("a") is None
    assert cache.dropped == 1
    small = MediaCache(0)
    small.put("a", media(1))
    assert small.get("a") is None


def test_who_has_gone_is_like_the_others() -> None:
    cache = MediaCache(100)
    cache.put("a1", media(40), "a")
    cache.put("b1", media(40), "b")
    cache.let_go("b")
    cache.let_go("nobody")
    cache.put("c1", media(40), "c")
    assert cache.get("b1") is None
    assert cache.get("a1")


def test_nothing_is_kept_when_nobody_looks() -> None:
    cache = MediaCache(100)
    assert not cache.wanted(0.0)
    cache.looked(10.0)
    assert cache.wanted(10.0 + LOOKED_AT)
    cache.put("a1", media(40), "a")
    assert not cache.wanted(10.1 + LOOKED_AT)
    assert cache.get("a1") is None
    assert cache.bytes == 0


def test_an_identity_is_no_key() -> None:
    assert identity_of("task/ada/1.jpg") != identity_of("task/ada/2.jpg")
    assert identity_of("\udc80").isalnum()
