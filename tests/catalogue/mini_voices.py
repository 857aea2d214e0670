"""Datasets of singers and speakers."""

from tests.catalogue.miniature import Miniature, miniature, sound, table, tar_of, zip_of


@miniature("artist20")
def artist20() -> Miniature:
    """Albums of the same name by two artists."""
    files = {}
    for artist in ("aerosmith", "beatles", "cure"):
        for album in ("Greatest_Hits", *(f"{artist}_{i}" for i in range(5))):
            for track in ("01-Intro", "02-A.Song"):
                path = f"mp3s-32k/{artist}/{album}/{track}.mp3"
                files[path] = sound(artist, (album, track), rate=16_000, format="MP3", subtype="MPEG_LAYER_III")
    return Miniature({"artist20-mp3s-32k.tgz": tar_of(files)}, {"clips": 36, "classes": 3, "groups": 18})


@miniature("fsdd")
def fsdd() -> Miniature:
    """Takes 0 to 4 are the test part, and 14 is not one of them."""
    top = "free-spoken-digit-dataset-1.0.9"
    files = {f"{top}/README.md": b"", f"{top}/acquire_data/say_numbers_prompt.py": b""}
    for speaker in ("george", "jackson", "lucas", "nicolas", "theo", "yweweler"):
        for digit in range(10):
            for take in (4, 14):
                files[f"{top}/recordings/{digit}_{speaker}_{take}.wav"] = sound(digit, (speaker, take), seconds=0.1)
    for digit in range(10):
        files[f"{top}/recordings/{digit}_george_24.wav"] = sound(digit, "more", seconds=0.1)
    expect = {"clips": 130, "splits": {"train": 70, "test": 60}, "classes": 10}
    return Miniature({"free-spoken-digit-dataset-1.0.9.tar.gz": tar_of(files)}, expect)


@miniature("crema-d")
def crema_d() -> Miniature:
    emotions = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    files = {
        f"{1001 + a}_{('IEO', 'MTI')[i]}_{emotion}_{('XX', 'HI')[i]}.wav": sound(emotion, (a, i), rate=16_000)
        for a in range(6)
        for emotion in emotions
        for i in range(2)
    }
    return Miniature({"AudioWAV": files}, {"clips": 72, "groups": 6, "classes": dict.fromkeys(emotions, 12)})


@miniature("vocadito")
def vocadito() -> Miniature:
    """Singers as uneven as the real ones; two languages in one excerpt."""
    singers = [
        "S1",
        "S2",
        "S1",
        "S6",
        "S6",
        "S9",
        "S9",
        "S12",
        "S12",
        "S21",
        "S21",
        "S23",
        "S23",
        "S28",
        "S28",
        "S29",
        "S29",
    ]
    singers += [f"S{i}" for i in (3, 4, 5, 7, 8)]
    rows = [(i, singer, 45 + i % 20, ("English", "French+English")[i % 2]) for i, singer in enumerate(singers, 1)]
    files = {f"Audio/vocadito_{i}.wav": sound(pitch, (i, singer), rate=44_100) for i, singer, pitch, _ in rows}
    files |= {f"Annotations/F0/vocadito_{i}_f0.csv": b"0.0,0.0\n" for i, *_ in rows}
    files["vocadito_metadata.csv"] = table(rows, ["track_id", "singer_id", "average_pitch", "language"])
    return Miniature({"vocadito.zip": zip_of(files)}, {"clips": 22, "classes": 14, "groups": 14})
