"""Datasets of mixtures and their stems."""

from contextlib import suppress

import yaml

from tests.catalogue.miniature import Miniature, miniature, sound, table, tar_of, zip_of
from tests.datasets.sounds import stem_mp4

STEMS = ("drums", "bass", "other", "vocals")
VALID = ("Actions - One Minute Smile", "Johnny Lokke - Promises & Lies", "ANiMAL - Rockshow")
SONGS = {
    "train": (*VALID, *(f"Artist {i} - A Song (No. {i})" for i in range(4))),
    "test": ("PR - Oh No", "Al James - Schoolboy Facination"),
}


def _mp4_songs() -> dict[str, bytes]:
    """All songs sound alike; where PyAV is not installed, none is any sound."""
    content = b"\0\0\0 ftypisom"
    with suppress(ImportError):
        content = stem_mp4((200.0, 300.0, 400.0, 500.0, 600.0), 0.3)
    return {f"{part}/{song}.stem.mp4": content for part, songs in SONGS.items() for song in songs}


@miniature("musdb18")
def musdb18() -> Miniature:
    return Miniature(
        {"musdb18.zip": zip_of({**_mp4_songs(), "README.md": b""})},
        {"clips": 9, "splits": {"train": 4, "valid": 3, "test": 2}},
    )


@miniature("musdb18-7s")
def musdb18_7s() -> Miniature:
    return Miniature(
        {"MUSDB18-7-STEMS.zip": zip_of(_mp4_songs())}, {"clips": 9, "splits": {"train": 4, "valid": 3, "test": 2}}
    )


@miniature("musdb18-hq")
def musdb18_hq() -> Miniature:
    files = {
        f"{part}/{song}/{stem}.wav": sound(song, stem, channels=2)
        for part, songs in SONGS.items()
        for song in songs
        for stem in ("mixture", *STEMS)
    }
    return Miniature({"musdb18hq.zip": zip_of(files)}, {"clips": 9, "splits": {"train": 4, "valid": 3, "test": 2}})


@miniature("dsd100")
def dsd100() -> Miniature:
    files = {"DSD100/dsd100.txt": b""}
    for part, first in (("Dev", 51), ("Test", 1)):
        for i in range(first, first + 4):
            song = f"{i:03d} - Some Artist - Its Song"
            files[f"DSD100/Mixtures/{part}/{song}/mixture.wav"] = sound(song, "mix", channels=2)
            files |= {f"DSD100/Sources/{part}/{song}/{stem}.wav": sound(song, stem, channels=2) for stem in STEMS}
    return Miniature({"DSD100.zip": zip_of(files)}, {"clips": 8, "splits": {"train": 4, "test": 4}, "groups": 8})


@miniature("mir-1k")
def mir_1k() -> Miniature:
    """Whole songs lie in a folder of a like name; singers sing the same songs."""
    files = {}
    for singer in ("abjones", "amy", "bobon", "davidson"):
        for song in range(1, 7):
            name = f"{singer}_{song}_01"
            files[f"MIR-1K/Wavfile/{name}.wav"] = sound(singer, song, channels=2)
            files[f"MIR-1K/UndividedWavfile/{singer}_{song}.wav"] = sound(singer, (song, "whole"), channels=2)
            files[f"MIR-1K/PitchLabel/{name}.pv"] = b"0\n"
    return Miniature({"MIR-1K.zip": zip_of(files)}, {"clips": 24, "splits": {"train": 12, "test": 12}, "groups": 4})


@miniature("ikala")
def ikala() -> Miniature:
    """Songs with a verse, a chorus or both."""
    files = {}
    for song in range(10161, 10173):
        for section in ("verse", "chorus")[: 1 + song % 2]:
            files[f"Wavfile/{song}_{section}.wav"] = sound(song, section, channels=2)
            files[f"PitchLabel/{song}_{section}.pv"] = b"0\n"
    return Miniature({"iKala": files}, {"clips": 18, "groups": 12})


def _slakh_track(top: str, number: int, extension: str) -> dict[str, bytes]:
    """Stem S02 was not rendered; the flag for that is false everywhere in BabySlakh, and no guide."""
    stems = {
        "S00": {"is_drum": True, "program_num": 128},
        "S01": {"is_drum": False, "program_num": 33},
        "S02": {"is_drum": False, "program_num": 30},
        "S03": {"is_drum": False, "program_num": 1},
        "S04": {"is_drum": False, "program_num": 27},
        "S05": {"is_drum": False, "program_num": 48},
    }
    stems = {name: {"audio_rendered": False, "inst_class": "?", **stem} for name, stem in stems.items()}
    if number % 4 == 3:
        del stems["S03"]
    folder = f"{top}/Track{number:05d}"
    form = {"format": "FLAC"} if extension == "flac" else {}
    files = {f"{folder}/stems/{s}.{extension}": sound(number, s, **form) for s in stems if s != "S02"}
    files[f"{folder}/mix.{extension}"] = sound(number, "mix", **form)
    about = {"UUID": f"{number // 2:032x}", "audio_dir": "stems", "stems": stems}
    return files | {f"{folder}/metadata.yaml": yaml.safe_dump(about).encode(), f"{folder}/all_src.mid": b"MThd"}


@miniature("slakh2100")
def slakh2100() -> Miniature:
    """Two tracks of one MIDI file; a part that redux leaves out."""
    files = {}
    for part, numbers in (("train", range(8)), ("validation", (8, 9)), ("test", (20, 21)), ("omitted", (30,))):
        for number in numbers:
            files |= _slakh_track(f"slakh2100_flac_redux/{part}", number, "flac")
    expect = {"clips": 12, "splits": {"train": 8, "valid": 2, "test": 2}, "groups": 6}
    return Miniature({"slakh2100_flac_redux.tar.gz": tar_of(files)}, expect)


@miniature("babyslakh")
def babyslakh() -> Miniature:
    files = {}
    for number in range(1, 13):
        files |= _slakh_track("babyslakh_16k", number, "wav")
    return Miniature({"babyslakh_16k.tar.gz": tar_of(files)}, {"clips": 12, "groups": 12})


@miniature("wsj0-2mix")
def wsj0_2mix() -> Miniature:
    """Speech that a person has, and the lists of their authors; lines end in a blank."""
    speech, levels, lists = {}, {}, {}
    for part, folders in (("tr", ("si_tr_s",)), ("cv", ("si_tr_s",)), ("tt", ("si_dt_05", "si_et_05"))):
        lines = []
        for i in range(4):
            pair = []
            for k in (0, 1):
                folder, speaker = folders[k % len(folders)], f"{'tct'.index(part[0])}{k}{'abcd'[i % 2]}"
                name = f"{speaker}{part}{i:02d}"
                speech[f"{folder}/{speaker}/{name}.wav"] = sound(speaker, name, seconds=0.1 + 0.02 * k, rate=16_000)
                levels.setdefault(folder, []).append([name, f"{4.8802830569326887e-4 * (1 + i):.16e}"])
                pair += [f"wsj0/{folder}/{speaker}/{name}.wav", "1.9857" if k == 0 else "-1.9857"]
            lines.append([*pair, ""])
        lists[f"lists/mix_2_spk_{part}.txt"] = table(lines, separator=" ")
    lists |= {f"lists/activlev_{folder}.txt": table(rows, separator=" ") for folder, rows in levels.items()}
    return Miniature({"wsj0": speech, **lists}, {"clips": 12, "splits": {"train": 4, "valid": 4, "test": 4}})


@miniature("libri2mix")
def libri2mix() -> Miniature:
    archives = {}
    for subset, first in (("train-clean-100", 1000), ("dev-clean", 2000), ("test-clean", 3000)):
        files, rows = {f"LibriSpeech/{subset}.TRANS.TXT": b""}, []
        for i in range(4):
            names = [f"{first + 2 * i + k}-{8000 + i}-{i:04d}" for k in (0, 1)]
            paths = [f"{subset}/{name.replace('-', '/').rpartition('/')[0]}/{name}.flac" for name in names]
            for path in paths:
                files[f"LibriSpeech/{path}"] = sound(path, seconds=0.1 + 0.02 * i, rate=16_000, format="FLAC")
            rows.append(["_".join(names), paths[0], 0.79, paths[1], 0.21, f"tr/{i}.wav", 1.1])
        head = [
            "mixture_ID",
            "source_1_path",
            "source_1_gain",
            "source_2_path",
            "source_2_gain",
            "noise_path",
            "noise_gain",
        ]
        archives[f"{subset}.tar.gz"] = tar_of(files)
        archives[f"lists/libri2mix_{subset}.csv"] = table(rows, head)
    return Miniature(archives, {"clips": 12, "splits": {"train": 4, "valid": 4, "test": 4}})


@miniature("minilibrimix")
def minilibrimix() -> Miniature:
    files = {
        "MiniLibriMix/metadata/mixture_train_mix_clean.csv": b"mixture_ID\n",
        "__MACOSX/MiniLibriMix/._train": b"\0",
    }
    for part, count in (("train", 16), ("val", 4)):
        for i in range(count):
            name = f"{1000 + i}-{i}-0001_{2000 + i}-{i}-0002.wav"
            for kind in ("mix_clean", "mix_both", "s1", "s2", "noise"):
                files[f"MiniLibriMix/{part}/{kind}/{name}"] = sound(name, (part, kind))
    return Miniature({"MiniLibriMix.zip": zip_of(files)}, {"clips": 20, "splits": {"train": 16, "val": 4}})


@miniature("realtalklibri")
def realtalklibri() -> Miniature:
    """The speakers' files are named as nobody can tell beforehand."""
    files = {}
    for room in (2, 7, 10, 12, 14, 15, 16, 17, 18):
        for i in range(2):
            stem = f"RTL/extracted_{room}/libri/set{i}/{room}a{i}_{room}b{i}"
            for kind in ("mixed_0", f"first{i}", "second"):
                files[f"{stem}_{kind}.wav"] = sound(room, (i, kind))
    return Miniature({"rtl.tar.gz": tar_of(files)}, {"clips": 18, "splits": {"train": 14, "test": 4}, "groups": 9})


@miniature("voicebank-demand")
def voicebank_demand() -> Miniature:
    archives = {}
    for folder, speakers in (
        ("trainset_28spk", ("p226", "p287", "p227", "p228", "p230")),
        ("testset", ("p232", "p257")),
    ):
        for kind in ("clean", "noisy"):
            files = {f"{kind}_{folder}_wav/{s}_{i:03d}.wav": sound(s, (i, kind)) for s in speakers for i in range(1, 4)}
            archives[f"{kind}_{folder}_wav.zip"] = zip_of(files)
    return Miniature(archives, {"clips": 21, "splits": {"train": 9, "valid": 6, "test": 6}, "groups": 7})


@miniature("wham")
def wham() -> Miniature:
    """What wham_scripts leave: noise, clean mixtures and single speakers besides; full lengths are not asked for."""
    files = {}
    for part in ("tr", "cv", "tt"):
        for i in range(4):
            name = f"{part}{i}a_0.5_{part}{i}b_-0.5.wav"
            for kind in ("mix_both", "mix_clean", "mix_single", "s1", "s2", "noise"):
                files[f"min/{part}/{kind}/{name}"] = sound(name, (part, kind))
    return Miniature({"wav8k": files}, {"clips": 12, "splits": {"train": 4, "valid": 4, "test": 4}})
