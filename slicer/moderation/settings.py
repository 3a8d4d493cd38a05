"""The settings of moderation: how suppliers are asked, and what is kept of their answers."""

from dataclasses import dataclass

from slicer.config import DAY, HTTP_URL, REGION, Syntax, bounded, secret, spelled

DEFAULT_SUPPLIER = "trtc"
_TYPES = Syntax(r"[A-Z0-9]+(?:_[A-Z0-9]+)*", "names in capitals, joined by _")


@dataclass(frozen=True, slots=True)
class ModerationSettings:
    """How suppliers are asked. One account of one supplier is asked by all tasks that name it."""

    concurrency: int = bounded(8, 1, 256)
    """Requests to one account side by side."""
    rate: float = bounded(0.0, 0, 10_000)
    """Requests a second to one account; 0: as many as are needed."""
    batch: int = bounded(32, 1, 32)
    """Pictures that wait and may go together in one request, where a supplier takes several; 1:
    each goes alone."""
    timeout: float = bounded(10.0, 0.1, 600)
    """Seconds that a request may take."""
    max_age: float = bounded(3_600.0, 1, DAY)
    """Seconds that a slice may wait for its verdict; then it is told as unjudged."""
    raw: bool = False
    """Whether callbacks carry the supplier's own answer, too."""
    transcripts: bool = False
    """Whether what was heard in an audio slice that is kept is stored beside it, as JSON."""
    check: bool = True
    """Whether an account is tried when its first task begins."""
    default_supplier: str = DEFAULT_SUPPLIER
    """Who judges where a request names nobody, as for live streams: one that needs no account."""
    repeat_distance: int = bounded(0, 0, 64)
    """Grey levels, of 256, by which the blocks of a picture may differ from those of the anchor's
    last judged one, whose verdict is then repeated; 0: never."""
    repeat_seconds: float = bounded(60.0, 1, DAY)
    """Seconds for which a verdict may be repeated."""
    sample_every: int = bounded(1, 1, 1_000)
    """One of so many pictures of an anchor is judged; 1: all."""
    sample_after_hit: int = bounded(1, 1, 1_000)
    """One of so many, where that is more often, of an anchor that had a hit lately."""
    sample_hit_seconds: float = bounded(600.0, 1, DAY)
    """Seconds after which a hit is no longer lately."""
    webhook_url: str = spelled("", HTTP_URL)
    """The service that supplier `webhook` asks."""
    webhook_secret: str = secret("SLICER_MODERATION_WEBHOOK_SECRET")
    """What its requests are signed with; empty: not at all."""
    tencent_region: str = spelled("ap-guangzhou", REGION)
    """Where Tencent's suppliers are asked (`tianyu`, `ace`)."""
    tencent_endpoint: str = spelled("", HTTP_URL)
    """A URL to be asked instead of Tencent's own, such as a proxy's."""
    shumei_image_url: str = spelled("https://api-img-bj.fengkongcloud.com/image/v4", HTTP_URL)
    """Where Shumei is asked about pictures: each of its regions has a URL of its own."""
    shumei_audio_url: str = spelled(
        "https://api-audio-sh.fengkongcloud.com/audiomessage/v4", HTTP_URL
    )
    """And about audio."""
    shumei_image_type: str = spelled("POLITY_EROTIC_VIOLENT_QRCODE_ADVERT_IMGTEXTRISK", _TYPES)
    """What Shumei looks for in pictures: its `type`."""
    shumei_audio_type: str = spelled("POLITY_EROTIC_MOAN_ADVERT", _TYPES)
    """And in audio."""
    shumei_language: str = spelled("zh", Syntax("zh|en|ar", "zh, en or ar"))
    """What is spoken and written: `zh`, `en` or `ar`."""
    yidun_endpoint: str = spelled("https://as.dun.163.com", HTTP_URL)
    """Where NetEase Yidun is asked."""
    yidun_signature: str = spelled("MD5", Syntax("MD5|SM3|md5|sm3", "MD5 or SM3"))
    """What its requests are signed by: `MD5` or `SM3`."""
    aliyun_region: str = spelled("cn-shanghai", REGION)
    """Where Aliyun's content moderation is asked."""
    aliyun_endpoint: str = spelled("", HTTP_URL)
    """A URL to be asked instead of Aliyun's own."""
    rekognition_region: str = spelled("us-east-1", REGION)
    """Where Amazon Rekognition is asked."""
    rekognition_endpoint: str = spelled("", HTTP_URL)
    """A URL to be asked instead of Amazon's own."""
    rekognition_review: float = bounded(50.0, 0, 100)
    """Rekognition's confidence from which a picture is to be reviewed."""
    rekognition_block: float = bounded(80.0, 0, 100)
    """And from which it is to be blocked."""
    openai_endpoint: str = spelled("https://api.openai.com/v1", HTTP_URL)
    """Where OpenAI is asked, or a service that answers as it does."""
    openai_model: str = "omni-moderation-latest"
    """The model that judges pictures."""
    openai_block: float = bounded(0.8, 0, 1)
    """OpenAI's score from which what it flags is to be blocked; below, it is to be reviewed."""
    local_workers: int = bounded(1, 1, 64)
    """Processes of the models on this machine (`local`, `trtc`); each takes 200 MB or more."""
    local_timeout: float = bounded(60.0, 1, 600)
    """Seconds that a model may work on a slice."""
    local_nsfw_review: float = bounded(0.5, 0, 1)
    """open_nsfw's score of a picture from which it is to be reviewed."""
    local_nsfw_block: float = bounded(0.8, 0, 1)
    """And from which it is to be blocked."""
    local_nudity_review: float = bounded(0.4, 0, 1)
    """nudenet's score of an exposed part from which a picture is to be reviewed."""
    local_nudity_block: float = bounded(0.6, 0, 1)
    """And from which it is to be blocked."""
    local_qr: bool = True
    """Whether a picture with a QR code is to be reviewed."""
    local_ocr_every: int = bounded(0, 0, 10_000)
    """Text is read in one picture of so many; 0: in none."""
    local_whisper: str = ""
    """The folder of a faster-whisper model; empty: audio is not judged here."""
    local_language: str = spelled("", Syntax("[a-z]{2,3}", "a code such as en or zh"))
    """What is spoken, such as `en` or `zh`; empty: Whisper finds out."""
    local_silence: float = bounded(-50.0, -120, 0)
    """dB of full scale below which audio is not listened to."""
    local_trust_levels: bool = False
    """Whether that is believed of audio whose sender says so itself (RFC 6464)."""
    local_words: str = ""
    """A file with words and phrases of your own, besides the package's lists."""
