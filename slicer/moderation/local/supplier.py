"""The supplier `local`, and `trtc`: models on this machine, without an account."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

from slicer.errors import BadInput, MediaError, SliceNotJudged, SupplierUnavailable
from slicer.media.slice import File, SliceInfo
from slicer.moderation import SupplierSpec, Verdict, data_id
from slicer.moderation.local import judge
from slicer.moderation.local.speech import check_folder
from slicer.moderation.local.word_lists import read_file
from slicer.moderation.local.workers import Workers
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind

logger = logging.getLogger(__name__)


class LocalSupplier:
    """Models behind worker processes. What waits for a worker is bounded by who asks: at most
    `moderation.concurrency` slices of an account."""

    def __init__(self, spec: SupplierSpec, settings: ModerationSettings) -> None:
        """Raises BadInput for a setting that cannot work; loads no model."""
        check(settings)
        self.label, self._settings = spec.name, settings
        heard = {Kind.AUDIO} if settings.local_whisper else set()
        self.kinds = frozenset({Kind.VIDEO, *heard})
        self._shared = _shared_workers(settings)
        self._shared.users += 1

    async def check(self) -> None:
        """Load the models in the first worker. Raises SupplierUnavailable."""
        try:
            await self._shared.workers.start()
        except ChildProcessError as error:
            raise SupplierUnavailable(self.label, str(error)) from error

    async def judge(self, file: File) -> Verdict:
        assert isinstance(file.info, SliceInfo)
        if file.info.kind is Kind.AUDIO:
            if self._said_silent(file):
                return Verdict(raw=json.dumps({"told_level": -(file.level or 0)}))
            return await self._run(partial(judge.judge_audio, file.data))
        read = is_read(file.info, self._settings.local_ocr_every)
        return await self._run(partial(judge.judge_picture, file.data, read))

    async def close(self) -> None:
        self._shared.users -= 1
        if not self._shared.users:
            _shared.pop(self._shared.settings, None)
            await self._shared.workers.close()

    def _said_silent(self, file: File) -> bool:
        """Whether the anchor's client says that there is nothing to hear. Only where the settings
        trust it: it is the one who is judged, and may say so with anything in the audio."""
        if not self._settings.local_trust_levels or file.level is None:
            return False
        return -file.level < self._settings.local_silence

    async def _run(self, work: Callable[[], Verdict]) -> Verdict:
        """A slice whose process dies or takes too long would do so again: it is given up."""
        seconds = self._settings.local_timeout
        try:
            return await self._shared.workers.run(work, seconds)
        except ChildProcessError as error:
            raise SupplierUnavailable(self.label, str(error)) from error
        except TimeoutError:
            raise SliceNotJudged(self.label, f"no verdict within {seconds:g} s of work") from None
        except EOFError:
            raise SliceNotJudged(self.label, "the worker process ended over it") from None
        except MediaError as error:
            raise SliceNotJudged(self.label, str(error)) from error
        except Exception as error:  # a model's own, which this slice brought about
            logger.exception("! %s", self.label)
            raise SliceNotJudged(self.label, f"{type(error).__name__}: {error}") from error


class _Shared:
    """The workers of all accounts with the same settings: orders may name policies, which make
    accounts of their own, but no models of their own."""

    def __init__(self, settings: ModerationSettings) -> None:
        self.settings, self.users = settings, 0
        # What a worker has no use for, it is not told.
        public = replace(settings, webhook_secret="")
        self.workers = Workers(settings.local_workers, partial(judge.load, public))


_shared: dict[ModerationSettings, _Shared] = {}


def _shared_workers(settings: ModerationSettings) -> _Shared:
    return _shared.setdefault(settings, _Shared(settings))


def check(settings: ModerationSettings) -> None:
    """Raise BadInput for a setting that cannot work here."""
    if settings.local_whisper:
        check_folder(settings.local_whisper)
    if settings.local_ocr_every and not find_spec("rapidocr_onnxruntime"):
        allowed = "0, or rtc-slicer[ocr] installed"
        raise BadInput("moderation.local_ocr_every", settings.local_ocr_every, allowed)
    read_file(settings.local_words)


def is_read(info: SliceInfo, every: int) -> bool:
    """Whether a picture is one of those in which text is looked for: one in *every*, 0 for none.
    The same at each try, and evenly among anchors."""
    return every > 0 and int(data_id(info)[:8], 16) % every == 0
