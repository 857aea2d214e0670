"""The datasets of HARES' twelve tasks."""

import json

from tests.catalogue.miniature import Miniature, cut, miniature, sound, table, tar_of, zip_of
from tests.catalogue.stage import catalogue


@miniature("audioset")
def audioset() -> Miniature:
    """Ids with hyphens and underscores, lists with more excerpts than sounds, and sounds that no list names."""
    mids = [f"/m/0{c}{c}" for c in "abcdefgh"] + ["/t/dd00088"]
    head = b"# Segments csv created Sun Mar  5 10:54:25 2017\n# num_ytids=9\n# YTID, start_seconds, end_seconds, positive_labels\n"
    lists: dict[str, list[str]] = {"balanced_train": [], "unbalanced_train": [], "eval": []}
    files = {}
    for i in range(54):
        name = f"-{i:02d}_aB-xYz{i:02d}"[:11]
        part = ("balanced_train", "unbalanced_train", "eval")[i % 3]
        tags = [mids[i // 3 % 9], mids[(i * 5 + 1) % 9]]
        lists[part].append(f'{name}, 30.000, 40.000, "{",".join(dict.fromkeys(tags))}"\n')
        folder = "eval" if part == "eval" else "train"
        if i < 51:
            prefix, suffix = ("Y", ".flac") if i % 2 else ("", ".wav")
            files[f"audio/{folder}/{prefix}{name}{suffix}"] = sound(tags[0], i, format="FLAC" if i % 2 else "WAV")
    for part, lines in lists.items():
        files[f"{part}_segments.csv"] = head + "".join(lines).encode()
    files["class_labels_indices.csv"] = table(enumerate(mids), ["index", "mid"])
    return Miniature({"AudioSet": files}, {"clips": 51, "splits": {"train": 34, "eval": 17}, "groups": 51})


@miniature("birdsong")
def birdsong() -> Miniature:
    """Numbers as names in one collection, and a table without the column of another."""
    files = {}
    for part, folder, archive in (
        ("ff1010bird", "wav", "ff1010bird_wav.zip"),
        ("warblrb10k", "wav", "warblrb10k_public_wav.zip"),
        ("birdvox", "wav", "BirdVox-DCASE-20k.zip"),
    ):
        names = [str(64486 + i) if part == "ff1010bird" else f"{part}-{i:08x}-4c5e" for i in range(16)]
        files[f"{part}/{archive}"] = zip_of({f"{folder}/{n}.wav": sound(i % 2, n) for i, n in enumerate(names)})
        rows = [[n, part, i % 2] for i, n in enumerate(names)]
        head = ["itemid", "datasetid", "hasbird"]
        if part == "warblrb10k":
            rows, head = [[n, bird] for n, _, bird in rows], ["itemid", "hasbird"]
        files[f"{part}/{part}_metadata_2018.csv"] = table(rows, head)
    return Miniature(files, {"clips": 48, "classes": {"bird": 24, "none": 24}})


@miniature("tut18")
def tut18() -> Miniature:
    """Thirteen archives of sounds, one of tables; lists that name the class behind a tab."""
    top = "TUT-urban-acoustic-scenes-2018-development"
    scenes = ["airport", "bus", "metro", "metro_station", "park", "public_square", "shopping_mall"]
    scenes += ["street_pedestrian", "street_traffic", "tram"]
    cities = ["barcelona", "helsinki", "london", "paris", "stockholm", "vienna"]
    sounds, lists = {}, {"train": [], "evaluate": []}
    for number, scene in enumerate(scenes):
        for i in range(9):
            place = i // 2
            name = f"audio/{scene}-{cities[place]}-{10 * number + place}-{i}-a.wav"
            sounds[f"{top}/{name}"] = sound(scene, i, rate=16_000, channels=2)
            lists["evaluate" if place == 4 or i < 2 else "train"].append([name, scene])
    tables = {
        f"{top}/meta.csv": table([], ["filename", "scene_label", "identifier", "source_label"], "\t"),
        f"{top}/evaluation_setup/fold1_train.txt": table(lists["train"], separator="\t"),
        f"{top}/evaluation_setup/fold1_evaluate.txt": table(lists["evaluate"], separator="\t"),
    }
    archives = {"doc": {f"{top}/README.md": b"TUT"}, "meta": tables}
    names = sorted(sounds)
    for i in range(13):
        archives[f"audio.{i + 1}"] = {name: sounds[name] for name in names[i::13]}
    expect = {"clips": 90, "classes": dict.fromkeys(scenes, 9), "splits": {"train": 60, "test": 30}, "groups": 50}
    return Miniature({f"{top}.{part}.zip": zip_of(files) for part, files in archives.items()}, expect)


@miniature("esc-50")
def esc_50() -> Miniature:
    """Several clips of a recording in one fold, one whose clips of another class are in another, and ESC-10 among the classes."""
    classes = [f"class_{i}" for i in range(40)]
    classes += ["dog", "rooster", "rain", "sea_waves", "crackling_fire", "crying_baby", "sneezing", "clock_tick"]
    classes += ["helicopter", "chainsaw"]
    head = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    rows, files = [], {}
    for target, category in enumerate(classes):
        for fold in range(1, 6):
            # The first class has two takes of one recording.
            for take in "AB" if target == 0 else "A":
                source = 134_049 if (target, fold) in ((1, 3), (6, 2)) else 10_000 + 10 * target + fold
                name = f"{fold}-{source}-{take}-{target}.wav"
                rows.append([name, fold, target, category, target >= 40, source, take])
                files[f"ESC-50-master/audio/{name}"] = sound(category, name, seconds=0.1)
    files["ESC-50-master/meta/esc50.csv"] = table(rows, head)
    files["ESC-50-master/audio/.DS_Store"] = b"\0"
    expect = {"clips": 255, "classes": 50, "groups": 250, "splits": {str(fold): 51 for fold in range(1, 6)}}
    return Miniature({"ESC-50-master.zip": zip_of(files)}, expect)


@miniature("speech-commands")
def speech_commands() -> Miniature:
    """Long files of noise, an empty clip, a speaker with takes, and a test archive with silence and unknown words."""
    words = catalogue().tasks["hares-speech-commands-v2"].classes or []
    core = (catalogue().tasks["hares-speech-commands-v1"].classes or [])[:10]
    main, lists, test = {}, {"validation": [], "testing": []}, {}
    for word in words:
        for i in range(4):
            name = f"{word}/{0xA0000 + i:08x}_nohash_{i % 2}.wav"
            main[name] = sound(word, i)
            if i >= 2:
                lists["validation" if i == 2 else "testing"].append([name])
    main |= {f"{name}_list.txt": table(rows) for name, rows in lists.items()}
    main |= {
        f"_background_noise_/{name}.wav": sound(name, 0, seconds=3.2)
        for name in ("pink_noise", "running_tap", "doing_the_dishes")
    }
    main |= {"_background_noise_/README.md": b"noise", "LICENSE": b"CC BY"}
    for word in core:
        test[f"{word}/{0xA0003:08x}_nohash_0.wav"] = sound(word, "t")
    for i in range(3):
        test[f"_silence_/{i}.wav"] = sound("_silence_", i)
        test[f"_unknown_/bird_{0xA0003:08x}_nohash_{i}.wav"] = sound("bird", f"u{i}")
    files = {f"./{name}": content for name, content in main.items()}
    expect = {"clips": 171, "splits": {"train": 80, "valid": 40, "test": 51}}
    return Miniature(
        {
            "main/speech_commands_v0.02.tar.gz": tar_of(files),
            "test12/speech_commands_test_set_v0.02.tar.gz": tar_of(test),
        },
        expect,
    )


@miniature("fluent-speech-commands")
def fluent_speech_commands() -> Miniature:
    """A first column without a name, and transcriptions with commas."""
    top = "fluent_speech_commands_dataset"
    intents = [
        ("activate", "lights", "kitchen"),
        ("activate", "music", "none"),
        ("deactivate", "lights", "kitchen"),
        ("increase", "heat", "washroom"),
        ("increase", "volume", "none"),
        ("bring", "shoes", "none"),
    ]
    head = ["", "path", "speakerId", "transcription", "action", "object", "location"]
    files = {f"{top}/readme.md": b"fluent"}
    counts = {"train": 36, "valid": 12, "test": 12}
    for part, count in counts.items():
        rows = []
        for i in range(count):
            speaker = f"{part}{i // 6}"
            path = f"wavs/speakers/{speaker}/{part}-{i}.wav"
            rows.append([i, path, speaker, "Turn it on, please", *intents[i % 6]])
            files[f"{top}/{path}"] = sound(intents[i % 6], f"{part}{i}")
        files[f"{top}/data/{part}_data.csv"] = table(rows, head)
    expect = {"clips": 60, "classes": 6, "splits": counts, "groups": 10}
    return Miniature({"fluent.tar.gz": tar_of(files)}, expect)


@miniature("voxforge")
def voxforge() -> Miniature:
    """Submissions by date, some as FLAC, some anonymous in two languages, as wget and tar leave them."""
    files = {}
    for number, language in enumerate(("de", "en", "es", "fr", "it", "ru")):
        base = f"www.repository.voxforge1.org/downloads/{language}/Trunk/Audio/Main/16kHz_16bit"
        for i in range(12):
            speaker = "anonymous" if i == 11 and number < 2 else f"name{number}_{i % 6}"
            kind = "flac" if i % 4 == 0 else "wav"
            folder = f"{base}/{speaker}-2010{i:02d}01-abc"
            files[f"{folder}/{kind}/{language}-{i:04d}.{kind}"] = sound(language, i, format=kind.upper())
            files[f"{folder}/etc/PROMPTS"] = b"x"
    expect = {"clips": 72, "classes": 6, "groups": 37}
    return Miniature({"voxforge_urls.txt": b"http://www.repository.voxforge1.org/x.tgz\n", "VoxForge": files}, expect)


@miniature("voxceleb1")
def voxceleb1() -> Miniature:
    """Four pieces of one archive; sessions in one part each; files in no list."""
    dev, test, lines, trials = {}, {}, [], []
    for speaker in range(10):
        name = f"id1{speaker:04d}"
        for video in range(5):
            for clip in range(2):
                file = f"{name}/vid{speaker}-{video}_x/{clip + 1:05d}.wav"
                (test if speaker >= 8 else dev)[f"wav/{file}"] = sound(name, file)
                lines.append([{3: 2, 4: 3}.get(video, 1), file])
    dev["wav/id10000/unlisted/00001.wav"] = sound("id10000", "unlisted")
    heard = [file.removeprefix("wav/") for file in test]
    for i, first in enumerate(heard):
        for second in heard[i + 1 :: 3]:
            trials.append([int(first.split("/")[0] == second.split("/")[0]), first, second])
    whole = zip_of(dev)
    pieces = {f"dev/vox1_dev_wav_parta{c}": piece for c, piece in zip("abcd", cut(whole, 4), strict=True)}
    return Miniature(
        {
            **pieces,
            "dev/vox1_dev_wav.zip": whole,
            "test/vox1_test_wav.zip": zip_of(test),
            "meta/iden_split.txt": table(lines, separator=" "),
            "meta/veri_test2.txt": table(trials, separator=" "),
        },
        {"clips": 100, "classes": 10, "splits": {"train": 60, "valid": 20, "test": 20}, "groups": 50},
    )


@miniature("nsynth")
def nsynth() -> Miniature:
    """A family that is in the training part alone, instruments that the other two share, and lists among the fields of a note."""
    families = [
        "bass",
        "brass",
        "flute",
        "guitar",
        "keyboard",
        "mallet",
        "organ",
        "reed",
        "string",
        "synth_lead",
        "vocal",
    ]
    files = {}
    for part, count in (("train", 4), ("valid", 1), ("test", 1)):
        notes, members = {}, {}
        for family in families if part == "train" else [f for f in families if f != "synth_lead"]:
            for instrument in range(count):
                for pitch in (24, 60, 61):
                    note = f"{family}_electronic_{instrument + (part != 'train') * 10:03d}-{pitch:03d}-{75 if part != 'test' else 100:03d}"
                    notes[note] = {
                        "note_str": note,
                        "pitch": pitch,
                        "velocity": 75,
                        "instrument_family_str": family,
                        "qualities": [0, 1],
                        "qualities_str": ["dark"],
                    }
                    members[f"nsynth-{part}/audio/{note}.wav"] = sound(f"{family}{pitch}", note, rate=16_000)
        members[f"nsynth-{part}/examples.json"] = json.dumps(notes).encode()
        files[f"nsynth-{part}.jsonwav.tar.gz"] = tar_of(members)
    return Miniature(files, {"clips": 192, "splits": {"train": 132, "valid": 30, "test": 30}, "groups": 54})


@miniature("magnatagatune")
def magnatagatune() -> Miniature:
    """Several clips of a track, commas and hyphens in names, a missing and a broken sound, clips with no tag of the fifty."""
    tags = catalogue().tasks["hares-magnatagatune"].classes or []
    head = ["clip_id", *tags, "no voices", "mp3_path"]
    rows, files = [], {}
    number = 0
    for folder in "0123456789abcdef":
        for track in range(2):
            for start in (0, 29):
                number += 1
                path = f"{folder}/the_band_of_{folder}-a_long,_album-{track + 1:02d}-song-{start}-{start + 29}.mp3"
                own = range(50) if track == 0 else range(number % 7, 50, 7)
                marks = [int(i in own and not (folder == "e" and start)) for i in range(50)]
                rows.append([number, *marks, 1, path])
                files[path] = sound(number % 5, number, rate=16_000, seconds=0.4, format="MP3")
    # Of the three that nobody can read, one is not there and one is empty.
    rows += [[35644, *[0] * 51, "6/norine_braun-now_and_zen-08-gently-117-146.mp3"]]
    rows += [[55753, *[0] * 51, "8/jacob_heringman-blame-01-x-204-233.mp3"]]
    files["8/jacob_heringman-blame-01-x-204-233.mp3"] = b""
    pieces = cut(zip_of(files), 3)
    lines = table(([f'"{cell}"' for cell in row] for row in rows), [f'"{name}"' for name in head], "\t")
    expect = {"clips": 64, "splits": {"train": 48, "valid": 4, "test": 12}, "groups": 32}
    return Miniature(
        {**{f"mp3.zip.{i + 1:03d}": piece for i, piece in enumerate(pieces)}, "annotations_final.csv": lines}, expect
    )


@miniature("speech-commands-v0.01")
def speech_commands_first() -> Miniature:
    """Thirty words, lists beside them, noise that is no word."""
    words = [
        "bed", "bird", "cat", "dog", "down", "eight", "five", "four", "go", "happy", "house", "left", "marvin", "nine", "no",
        "off", "on", "one", "right", "seven", "sheila", "six", "stop", "three", "tree", "two", "up", "wow", "yes", "zero",
    ]  # fmt: skip
    files, lists = {}, {"validation": [], "testing": []}
    for word in words:
        for i in range(3):
            name = f"{word}/{0xB0000 + i:08x}_nohash_0.wav"
            files[name] = sound(word, i)
            if i:
                lists["validation" if i == 1 else "testing"].append([name])
    files |= {f"{name}_list.txt": table(rows) for name, rows in lists.items()}
    files["_background_noise_/pink_noise.wav"] = sound("noise", 0, seconds=1.2)
    archive = tar_of({f"./{name}": content for name, content in files.items()})
    expect = {"clips": 90, "classes": 30, "splits": {"train": 30, "valid": 30, "test": 30}}
    return Miniature({"speech_commands_v0.01.tar.gz": archive}, expect)
