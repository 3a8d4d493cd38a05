"""An audio slice as a WAV file, for who takes no Opus."""

import io
import wave

import av
import numpy as np


def mono_wav(data: bytes, rate: int) -> bytes:
    """The audio of an Ogg file as 16-bit mono at *rate* Hz. Raises ValueError for none."""
    resampler = av.AudioResampler("s16", "mono", rate)
    made = io.BytesIO()
    try:
        with av.open(io.BytesIO(data), "r") as container, wave.open(made, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            for frame in [*container.decode(audio=0), None]:
                for resampled in resampler.resample(frame):
                    file.writeframes(np.asarray(resampled.to_ndarray(), "<i2").tobytes())
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"no audio file: {error}") from error
    return made.getvalue()
