"""The datasets of Kehling & Cano."""

from tests.catalogue.miniature import Miniature, miniature, sound, table, tar_of


@miniature("musan")
def musan() -> Miniature:
    """Musicians with several tracks, names of several words, tracks without a line, and sounds without a musician."""
    files, counts = {}, {}
    for label, sources in {
        "music": ("fma", "hd-classical"),
        "speech": ("librivox", "us-gov"),
        "noise": ("free-sound", "sound-bible"),
    }.items():
        for source in sources:
            folder = f"musan/{label}/{source}"
            names = [f"{label}-{source}-{i:04d}" for i in range(16)]
            files |= {f"{folder}/{name}.wav": sound(label, name, rate=16_000) for name in names}
            files |= {f"{folder}/LICENSE": b"CC0\n", f"{folder}/README": b""}
            if label == "music":
                rows = [
                    [n, "rock,pop" if i % 3 else "classical", "YN"[i % 2], f"The {source} {i // 3}"]
                    for i, n in enumerate(names)
                ]
                files[f"{folder}/ANNOTATIONS"] = table(rows[:-1], separator=" ")
            counts[label] = counts.get(label, 0) + len(names)
    files["musan/README"] = b"MUSAN"
    return Miniature({"musan.tar.gz": tar_of(files)}, {"clips": 96, "classes": counts, "groups": 10})


@miniature("gtzan-music-speech")
def gtzan_music_speech() -> Miniature:
    """With the resource forks that a Macintosh leaves."""
    files = {f"music_speech/{c}_wav/{c}{i}.wav": sound(c, i) for c in ("music", "speech") for i in range(20)}
    files |= {"music_speech/music_wav/._music1.wav": b"\0\5\26\7", "music_speech/.DS_Store": b"\0"}
    return Miniature({"music_speech.tar.gz": tar_of(files)}, {"clips": 40, "classes": {"music": 20, "speech": 20}})


@miniature("marolt19")
def marolt19() -> Miniature:
    labels = {"speech": "SP", "solo": "SO", "choir": "CH", "instrumental": "IN", "noise": "NO"}
    files = {f"{c}/{i:05d}_{code}.wav": sound(c, i, rate=44_100) for c, code in labels.items() for i in range(14)}
    return Miniature({"Marolt19": files}, {"clips": 70, "classes": dict.fromkeys(labels, 14)})


@miniature("acmus-yt")
def acmus_yt() -> Miniature:
    labels = ("speech", "music", "acappella")
    files = {f"{c}/video {i}.wav": sound(c, i, rate=48_000) for c in labels for i in range(20)}
    return Miniature({"ACMusYT": files}, {"clips": 60, "classes": dict.fromkeys(labels, 20)})


@miniature("slaney-scheirer")
def slaney_scheirer() -> Miniature:
    """With the folders of mixed content, and music with and without vocals."""
    top = "music-speech/wavfile"
    files = {}
    for i in range(12):
        files |= {
            f"{top}/train/music/{i}.wav": sound("music", i),
            f"{top}/train/speech/s{i}.wav": sound("speech", i),
            f"{top}/test/music/{'vocals' if i % 2 else 'novocals'}/t{i}.wav": sound("music", f"t{i}"),
            f"{top}/test/speech/t{i}.wav": sound("speech", f"t{i}"),
            f"{top}/test/m+s/x{i}.wav": sound("both", i),
            f"{top}/train/other/x{i}.wav": sound("neither", i),
        }
    return Miniature(
        {"music-speech-20100223.tgz": tar_of(files)}, {"clips": 48, "classes": {"music": 24, "speech": 24}}
    )


@miniature("acmus-if")
def acmus_if() -> Miniature:
    """Mono stored as stereo, titles with commas, several segments of a recording, ensembles of up to fourteen."""
    head = ["File Name", "Title", "Genre", "Composer", "Collection", "Original file", "Number of instruments"]
    rows, files = [], {}
    for i in range(75):
        size = i % 5 + 1 if i % 15 != 14 else 14
        name = f"if_{i + 1:04d}.wav"
        rows.append([name, f"Bambuco, no. {i}", "bambuco", "?", "Radio", f"tape_{i // 10}_{i % 5}.wav", size])
        files[f"Instrumental format set/Audio/{name}"] = sound(min(size, 5), i, rate=24_000, channels=2)
        files[f"Instrumental format set/Beat_annotations/if_{i + 1:04d}.csv"] = b"0.1,1\n"
    files["Instrumental format set/instrumental_format_set.csv"] = table(rows, head)
    # Other sets of the same release.
    files |= {f"Rhythm set/Audio/rh_{i:04d}.wav": sound("rh", i) for i in range(3)}
    return Miniature(
        {"ACMUS-MIR": files}, {"clips": 75, "groups": 40, "classes": {"1": 15, "2": 15, "3": 15, "4": 15, "5+": 15}}
    )


@miniature("acmus-vf")
def acmus_vf() -> Miniature:
    head = ["File Name", "Title", "Original file", "Gender", "Accompaniment"]
    rows, files = [], {}
    for i in range(60):
        gender, accompanied = ("male", "male", "female")[i % 3], ("yes", "no")[i // 3 % 2]
        name = f"vf_{i + 1:04d}.wav"
        rows.append([name, f"Song {i}", f"record_{i // 2 if i < 20 else i}.wav", gender, accompanied])
        files[f"Vocal format set/Audio/{name}"] = sound(
            gender, i, rate=24_000, channels=2, format="WAV", subtype="PCM_24"
        )
    files["Vocal format set/vocal_format_set.csv"] = table(rows, head)
    return Miniature({"ACMUS-MIR": files}, {"clips": 60, "classes": {"male": 40, "female": 20}})
