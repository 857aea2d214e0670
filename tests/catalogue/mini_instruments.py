"""Datasets of instruments."""

import json
from uuid import UUID

from tests.catalogue.miniature import Miniature, miniature, sound, table, tar_of, zip_of

IRMAS = ("cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi")


@miniature("irmas")
def irmas() -> Miniature:
    """Names with and without number and drums, the same bytes under two labels, another inner folder in each test part."""
    train, tests = {}, [{}, {}, {}]
    for c, code in enumerate(IRMAS):
        for i in range(7):
            name = f"[{code}][{'cla' if i % 2 else 'jaz_blu'}]{100 * c + i:04d}__{i % 3 + 1}.wav"
            if i == 0:
                name = f"{c:03d}__[{code}][dru][cou_fol]{100 * c + i:04d}__3.wav"
            train[f"IRMAS-TrainingData/{code}/{name}"] = sound(code, i, channels=2)
        for i in range(2):
            part = (2 * c + i) % 3
            folder = "IRTestingData-Part2" if part == 1 else f"Part{part + 1}"
            stem = f"IRMAS-TestingData-Part{part + 1}/{folder}/({1990 + c}) Some Band - A Song-{i + 1}"
            tests[part][f"{stem}.wav"] = sound(code, f"test {i}", channels=2)
            tests[part][f"{stem}.txt"] = f"{code}\t\n{IRMAS[(c + i) % 11]}\t\n".encode()
    for code, recordings in (("gac", (672, 673, 674)), ("gel", (757, 758, 759))):
        for k, recording in enumerate(recordings):
            train[f"IRMAS-TrainingData/{code}/[{code}][pop_roc]{recording:04d}__1.wav"] = sound("guitar", k, channels=2)
    archives = {"IRMAS-TrainingData.zip": zip_of(train)}
    archives |= {f"IRMAS-TestingData-Part{p}.zip": zip_of(files) for p, files in enumerate(tests, 1)}
    return Miniature(archives, {"clips": 99, "splits": {"train": 77, "test": 22}})


@miniature("medley-solos-db")
def medley_solos_db() -> Miniature:
    names = (
        "clarinet",
        "distorted electric guitar",
        "female singer",
        "flute",
        "piano",
        "tenor saxophone",
        "trumpet",
        "violin",
    )
    files, rows = {}, []
    for s, subset in enumerate(("training", "validation", "test")):
        for c, instrument in enumerate(names):
            for i in range(3):
                key = UUID(int=(s * 8 + c) * 3 + i)
                files[f"Medley-solos-DB_{subset}-{c}_{key}.wav"] = sound(instrument, (subset, i))
                rows.append([subset, instrument, c, 100 * s + i // 2, key])
    csv = table(rows, ["subset", "instrument", "instrument_id", "song_id", "uuid4"])
    return Miniature(
        {"audio/Medley-solos-DB.tar.gz": tar_of(files), "annotation/Medley-solos-DB_metadata.csv": csv},
        {"clips": 72, "splits": {"training": 24, "validation": 24, "test": 24}, "classes": 8},
    )


@miniature("jazz-solos")
def jazz_solos() -> Miniature:
    """Several solos in one recording."""
    files, rows = {}, []
    for i in range(6):
        files[f"audio/take {i}.wav"] = sound("quartet", i, seconds=1.0)
        rows += [[f"audio/take {i}.wav", "tenor saxophone", f"take {i}", 0.0, 0.4]]
        rows += [[f"audio/take {i}.wav", "trumpet", f"take {i}", 0.4, 0.9]]
        files[f"audio/solo {i}.wav"] = sound("trumpet", i)
        rows += [[f"audio/solo {i}.wav", "trumpet", f"solo {i}", "", ""]]
    files["solos.csv"] = table(rows, ["path", "instrument", "recording", "start", "end"])
    return Miniature({"jazz-solos": files}, {"clips": 18, "classes": 2, "groups": 12})


@miniature("openmic-2018")
def openmic_2018() -> Miniature:
    """Two of four instruments judged a clip; folders by the first three digits; one artist with several clips."""
    instruments = ("accordion", "banjo", "mallet_percussion", "voice")
    top = "openmic-2018"
    files, labels, metadata, parts = {}, [], [], {"train": [], "test": []}
    for i in range(48):
        key, there = f"{i * 977:06d}_3840", instruments[i % 4]
        files[f"{top}/audio/{key[:3]}/{key}.ogg"] = sound(there, i, format="OGG", subtype="VORBIS")
        files[f"{top}/vggish/{key[:3]}/{key}.json"] = b'{"time_points": [0.0], "features": [[0]]}'
        absent = instruments[(i + 1 + i // 4 % 3) % 4]
        labels += [[key, there, 0.5 + i / 100, 3], [key, absent, 0.17104999999999998, 3]]
        metadata.append([i, f"Album, No. {i}", i // 3, key, 3.84])
        parts["test" if i >= 33 else "train"].append([key])
    files[f"{top}/openmic-2018-metadata.csv"] = table(
        metadata, ["track_id", "album_title", "artist_id", "sample_key", "start_time"]
    )
    files[f"{top}/openmic-2018-aggregated-labels.csv"] = table(
        labels, ["sample_key", "instrument", "relevance", "num_responses"]
    )
    for part, keys in parts.items():
        files[f"{top}/partitions/split01_{part}.csv"] = table(keys)
    files[f"{top}/class-map.json"] = json.dumps({name: i for i, name in enumerate(instruments)}).encode()
    archive = {"openmic-2018-v1.0.0.tgz": tar_of(files)}
    return Miniature(archive, {"clips": 48, "splits": {"train": 33, "test": 15}, "groups": 16})


@miniature("tinysol")
def tinysol() -> Miniature:
    """Sharps in names, string numbers that may be missing, notes that were shifted."""
    header = ["Path", "Fold", "Family", "Instrument (abbr.)", "Instrument (in full)", "Technique (abbr.)",
              "Technique (in full)", "Pitch", "Pitch ID", "Dynamics", "Dynamics ID", "Instance ID",
              "String ID (if applicable)", "Needed digital retuning"]  # fmt: skip
    files, rows = {}, []
    for family, instrument, abbr in (
        ("Strings", "Contrabass", "Cb"),
        ("Winds", "Flute", "Fl"),
        ("Keyboards", "Accordion", "Acc"),
    ):
        for i in range(15):
            path = f"{family}/{instrument}/ordinario/{abbr}-ord-{'CDEFG'[i % 5]}#{i // 5 + 1}-mf-{i}-N.wav"
            files[path] = sound(instrument, i)
            string = "2.0" if family == "Strings" else ""
            rows.append([path, i % 5, family, abbr, instrument, "ord", "ordinario", f"C#{i}", 36 + i, "mf", 2, 0, string,
                         "TRUE" if i == 14 else "FALSE"])  # fmt: skip
    return Miniature(
        {"audio/TinySOL.tar.gz": tar_of(files), "annotation/TinySOL_metadata.csv": table(rows, header)},
        {"clips": 45, "splits": {str(fold): 9 for fold in range(5)}, "classes": 3},
    )


@miniature("good-sounds")
def good_sounds() -> Miniature:
    """Most sounds by two microphones, in folders of a pack each."""
    files, sounds, takes = {}, {}, {}
    for i in range(24):
        instrument, player = ("flute", "cello", "bass")[i % 3], ("almudena", "marius")[i // 3 % 2]
        sounds[str(i)] = {"id": i, "instrument": instrument, "player": player, "klass": "good-sound", "semitone": 48 + i,
                          "pack_id": i % 3, "comments": None}  # fmt: skip
        for microphone in ("akg", "neumann")[: 1 + (i % 4 > 0)]:
            name = f"sound_files/{instrument}_{player}_reference/{microphone}/{i:04d}.wav"
            files[f"good-sounds/{name}"] = sound(instrument, (i, microphone))
            takes[str(len(takes) + 1)] = {"id": len(takes) + 1, "microphone": microphone, "filename": name, "sound_id": i,
                                          "freesound_id": None}  # fmt: skip
    return Miniature(
        {
            "good-sounds.zip": zip_of(files),
            "sounds.json": json.dumps(sounds).encode(),
            "takes.json": json.dumps(takes).encode(),
        },
        {"clips": 42, "classes": 3, "groups": 24},
    )
