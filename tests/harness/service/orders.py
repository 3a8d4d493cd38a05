"""Orders as the API would give them, with secrets that a test can look for."""

from slicer.delivery.judging import Keep
from slicer.service.order import Bucket, LiveStream, Moderation, Order, Product, SupplierSpec
from slicer.slicing.spec import AudioSpec, ImageFormat, SliceParams, VideoSpec
from slicer.slicing.subscription import Subscription
from slicer.storage import Credentials

SECRETS = (
    *("hidden-access", "hidden-secret", "hidden-supplier-id", "hidden-supplier-key"),
    "rtmp://live.example.com/hidden-stream",
)
KEYS = Credentials(*SECRETS[:2])
LISTS = Subscription.of(allow_audio=["ada", "b.*$"], block_video=["cy"])
BUCKET = Bucket(1, "eu-west-1", "slices", KEYS, ("a", "b"))


def slice_order(
    room_id: str = "150",
    user_id: str = "robot",
    *,
    room_type: int = 1,
    params: SliceParams | None = None,
    bucket: Bucket = BUCKET,
    hours: int = 72,
) -> Order:
    """A CreateCloudSliceTask."""
    wanted = params or SliceParams(AudioSpec(15), VideoSpec(5), LISTS, max_idle=600)
    images = ImageFormat.PNG
    return Order(Product.SLICE, room_id, room_type, user_id, wanted, images, bucket, hours)


def moderation_order(room_id: str = "lobby", user_id: str = "judge") -> Order:
    """A CreateCloudModeration that keeps nothing."""
    supplier = SupplierSpec("tianyu", "app", SECRETS[2], SECRETS[3], "speech", "pictures")
    params = SliceParams(AudioSpec(20), None, max_idle=None)
    return Order(
        Product.MODERATION,
        room_id,
        0,
        user_id,
        params,
        ImageFormat.JPEG,
        None,
        24,
        Moderation(supplier, Keep.NONE, True),
    )


def live_order(url: str = SECRETS[4], hours: int = 48) -> Order:
    """A CreateLiveStreamModeration that keeps nothing."""
    return Order(
        Product.LIVE,
        "150",
        1,
        "live",
        SliceParams(AudioSpec(5), VideoSpec(5), max_idle=30),
        ImageFormat.PNG,
        None,
        hours,
        Moderation(SupplierSpec("local")),
        LiveStream(url, "ada", "mine", '{"RoomId": "150", "RoomIdType": 1}'),
    )
