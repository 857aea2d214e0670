"""Speech from eSpeak NG, the same samples for the same words whatever was said before."""

import _ctypes
import ctypes

import numpy as np

SAMPLE_RATE = 22050
_SYNCHRONOUS, _CHARACTERS_UTF8, _POSITION_CHARACTER = 2, 1, 1
_RATE, _PITCH, _PITCH_RANGE = 1, 3, 4
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def speak(
    text: str,
    voice: str,
    rate_wpm: float = 160,
    pitch: float = 50,
    pitch_range: float = 50,
    constant_f0_hz: int = 0,
) -> np.ndarray:
    """Say a text.

    eSpeak keeps state between utterances (the phase of its flutter, for one) that it offers no way to reset, so that the library
    is loaded anew for each: 10 ms. Not for use from several threads.

    Args:
        text: In the voice's language; `[[...]]` holds eSpeak's phoneme mnemonics.
        voice: A language and a variant, such as "de+f2". "Reed" and "caleb" are never the same twice: do not use them.
        rate_wpm: Words a minute, 80 to 450.
        pitch: 0 to 99.
        pitch_range: 0 (monotone) to 99.
        constant_f0_hz: Speak on this fundamental; 0 for the voice's intonation.

    Returns:
        (samples,) float64 in [-1, 1] at `SAMPLE_RATE`, without the silence around it.

    Raises:
        ValueError: there is no such voice, or it says nothing.
    """
    import espeakng_loader

    chunks: list[np.ndarray] = []

    def keep(wave, count, _events) -> int:
        if wave and count > 0:
            chunks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        return 0

    callback = _CALLBACK(keep)
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        library.espeak_Initialize(_SYNCHRONOUS, 0, str(espeakng_loader.get_data_path()).encode(), 0)
        library.espeak_SetSynthCallback(callback)
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"eSpeak has no voice {voice!r}")
        for parameter, value in ((_RATE, rate_wpm), (_PITCH, pitch), (_PITCH_RANGE, pitch_range)):
            library.espeak_SetParameter(parameter, round(value), 0)
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        library.espeak_ng_SetConstF0(constant_f0_hz)
        data = text.encode() + b"\0"
        flags = _CHARACTERS_UTF8 | 0x100
        library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, _POSITION_CHARACTER, 0, flags, None, None)
        library.espeak_Terminate()
    finally:
        _unload(library)
    samples = np.concatenate(chunks) / 32768.0 if chunks else np.zeros(0)
    loud = np.flatnonzero(np.abs(samples) > 0.005)
    if not len(loud):
        raise ValueError(f"eSpeak's voice {voice!r} says nothing for {text!r}")
    return samples[loud[0] : loud[-1] + 1]


def _unload(library: ctypes.CDLL) -> None:
    unload = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary
    unload(library._handle)
