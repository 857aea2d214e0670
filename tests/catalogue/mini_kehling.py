"""The datasets of Kehling & Cano."""

from tests.catalogue.miniature import Miniature, miniature, sound, tar_of


@miniature("gtzan-music-speech")
def gtzan_music_speech() -> Miniature:
    files = {f"music_speech/{c}_wav/{c}{i}.wav": sound(c, i) for c in ("music", "speech") for i in range(16)}
    files |= {"music_speech/music_wav/._music1.wav": b"\0\5\26\7", "music_speech/.DS_Store": b"\0"}
    return Miniature({"music_speech.tar.gz": tar_of(files)}, {"clips": 32, "classes": {"music": 16, "speech": 16}})
