"""Small datasets of music and of the environment."""

import json

from tests.catalogue.miniature import Miniature, cut, miniature, sound, table, tar_of, zip_of
from tests.datasets.rar import rar_of

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")


@miniature("gtzan-genre")
def gtzan_genre() -> Miniature:
    """Lists that leave files out, the same bytes in two genres, and one genre in Sun's format, as some copies have it."""
    files, lists = {}, {"train": [], "valid": [], "test": []}
    for genre in GENRES:
        for i in range(7):
            form = {"format": "AU", "subtype": "PCM_16"} if genre == "pop" else {}
            files[f"genres/{genre}/{genre}.{i:05d}.{'au' if form else 'wav'}"] = sound(genre, i, **form)
            if i < 6:
                lists[("train", "train", "train", "valid", "test", "test")[i]].append([f"{genre}/{genre}.{i:05d}.wav"])
    files["genres/metal/metal.00006.wav"] = files["genres/rock/rock.00006.wav"]
    files["genres/jazz/._jazz.00001.wav"] = b"\0\5\26\7"
    archives = {f"lists/{part}_filtered.txt": table(rows) for part, rows in lists.items()}
    expect = {"clips": 70, "splits": {"train": 30, "valid": 10, "test": 20, "faulty": 10}, "classes": 10}
    return Miniature({"genres.tar.gz": tar_of(files), **archives}, expect)


@miniature("mridangam")
def mridangam() -> Miniature:
    """Strokes shorter than a frame."""
    strokes, tonics = ("bheem", "cha", "dheem", "ta", "tham", "thi"), ("b", "c", "csh", "d", "dsh", "e")
    files = {"mridangam_stroke_1.5/B/_readme_and_license.txt": b""}
    for s, stroke in enumerate(strokes):
        for t, tonic in enumerate(tonics):
            name = f"{224030 + 6 * s + t}__akshaylaya__{stroke}-{tonic}-{s:03d}.wav"
            files[f"mridangam_stroke_1.5/{tonic.upper()}/{name}"] = sound(
                (stroke, tonic), seconds=0.02 if s == 1 else 0.2
            )
    return Miniature({"mridangam_stroke_1.5.zip": zip_of(files)}, {"clips": 36, "classes": dict.fromkeys(strokes, 6)})


@miniature("beijing-opera")
def beijing_opera() -> Miniature:
    """0.07 s and longer, and two files of the same bytes."""
    files = {"beijing_opera_percussion_instrument_1.0/_readme_and_license.txt": b""}
    for c, name in enumerate(("bangu", "daluo", "naobo", "xiaoluo")):
        for i in range(12):
            path = f"beijing_opera_percussion_instrument_1.0/{65437 + 12 * c + i}__ajaysm__{name}-{i:03d}.wav"
            files[path] = sound(name, max(i, 1), seconds=0.07 if i == 5 else 0.3)
    archive = {"beijing_opera_percussion_instrument_1.0.zip": zip_of(files)}
    return Miniature(archive, {"clips": 48, "classes": 4})


@miniature("libricount")
def libricount() -> Miniature:
    files = {"test/README.txt": b"", "__MACOSX/test/._0_0.wav": b"\0"}
    for speakers in range(11):
        for i in range(8):
            files[f"test/{speakers}_{100000 + i}.wav"] = sound(speakers, i, rate=16_000)
            files[f"test/{speakers}_{100000 + i}.json"] = b"[]"
    return Miniature(
        {"LibriCount10-0dB.zip": zip_of(files)}, {"clips": 88, "classes": {str(count): 8 for count in range(11)}}
    )


@miniature("vocal-imitations")
def vocal_imitations() -> Miniature:
    """Imitations that were excluded have a line, but lie elsewhere."""
    top, rows, files = "VocalImitationSet", [], {}
    for c in range(6):
        reference = f"{c:03d}Animal_Domestic animals, pets_{c}.wav"
        for i in range(6):
            name, included = f"{c:03d} - {i:03d} Sound.wav", i < 5
            place = "included" if included else "excluded"
            files[f"{top}/vocal_imitations/{place}/{name}"] = sound(reference, i)
            rows.append([name, reference, i, str(included).upper()])
        files[f"{top}/original_recordings/reference/{reference}"] = sound(reference, "original")
    header = ["imitation_filename", "reference_filename", "participant_id", "included"]
    files[f"{top}/vocal_imitations.txt"] = table(rows, header, "\t")
    return Miniature({"VocalImitationSet_v1.1.3.zip": zip_of(files)}, {"clips": 30, "classes": 6})


@miniature("beehive-states")
def beehive_states() -> Miniature:
    """A RAR archive a day."""
    archives = {}
    for day, state in (("Hive1_12_06_2018", "QueenBee"), ("Hive1_31_05_2018", "NO_QueenBee"),
                       ("Hive3_14_07_2017", "QueenBee"), ("Hive3_28_07_2017", "NO_QueenBee")):  # fmt: skip
        for i in range(12):
            name = f"{day}_{state}_{day[:5:4]}_audio___{15 + i // 6}_{i % 6}0_00.wav"
            archives.setdefault(day, {})[f"{day}/{name}"] = sound(state, (day, i))
    files = {f"beehives/{day}.rar": rar_of(content) for day, content in archives.items()}
    return Miniature(files, {"clips": 48, "splits": {"train": 24, "test": 24}, "classes": 2})


@miniature("dcase2016-task2")
def dcase2016_task2() -> Miniature:
    """Development and evaluation lie at different depths; the single sounds are for training only."""
    archives = {}
    for name, top in (
        ("dcase2016_task2_train_dev", "dcase2016_task2_train_dev/dcase2016_task2_dev"),
        ("dcase2016_task2_test_public", "dcase2016_task2_test_public"),
    ):
        files = {}
        for i in range(10):
            stem = f"dev_{i}_ebr_0_nec_1_poly_0" if "dev" in name else f"test_{i}_ebr_-6_nec_1_poly_1"
            files[f"{top}/sound/{stem}.wav"] = sound("office", (name, i), seconds=1.0)
            rows = [[0.1, 0.4, "knock"], [0.5, 0.9, ("phone", "cough")[i % 2]]]
            files[f"{top}/annotation/{stem}.txt"] = table(rows, separator="\t")
        if "dev" in name:
            files["dcase2016_task2_train_dev/dcase2016_task2_train/cough01.wav"] = sound("cough", "alone")
        archives[f"{name}.zip"] = zip_of(files)
    return Miniature(archives, {"clips": 20})


@miniature("fsd50k")
def fsd50k() -> Miniature:
    """Sounds in the pieces of a zip file, several labels, files that are too long, and uploaders in another table."""
    labels = ("Bark,Dog,Animal", "Rain,Water", "Guitar,Music")
    parts = {"dev": [(83299, "train"), *((100 + i, "val" if i >= 18 else "train") for i in range(24))],
             "eval": [(500 + i, "") for i in range(12)]}  # fmt: skip
    truth, metadata, archives = {}, {}, {}
    for part, clips in parts.items():
        sounds = {f"FSD50K.{part}_audio/{n}.wav": sound(labels[n % 3], n) for n, _ in clips}
        header = ["fname", "labels", "mids", *(["split"] if part == "dev" else [])]
        rows = [[n, labels[n % 3], "/m/0,/m/1", *([split] if part == "dev" else [])] for n, split in clips]
        truth[f"FSD50K.ground_truth/{part}.csv"] = table(rows, header)
        about = {str(n): {"title": "x", "uploader": f"user{n % 7}"} for n, _ in clips}
        metadata[f"FSD50K.metadata/{part}_clips_info_FSD50K.json"] = json.dumps(about).encode()
        names = [f"FSD50K.{part}_audio.z0{i}" for i in range(1, 6 if part == "dev" else 2)] + [
            f"FSD50K.{part}_audio.zip"
        ]
        archives |= dict(zip(names, cut(zip_of(sounds), len(names)), strict=True))
    archives |= {"FSD50K.ground_truth.zip": zip_of(truth), "FSD50K.metadata.zip": zip_of(metadata)}
    return Miniature(archives, {"clips": 36, "splits": {"train": 18, "val": 6, "test": 12}})


@miniature("gtzan-mini")
def gtzan_mini() -> Miniature:
    """As GitHub packs it, with a list of the files as they were called once."""
    top = "gtzan_mini-main"
    files = {f"{top}/README.md": b"", f"{top}/genres/bextract_single.mf": b""}
    for genre in ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock"):
        for i in range(6):
            files[f"{top}/genres/{genre}/{genre}.{i:05d}.wav"] = sound(genre, i, rate=22_050)
    return Miniature({"gtzan_mini.zip": zip_of(files)}, {"clips": 60, "classes": 10})
