"""VocalSet."""

from tests.catalogue.miniature import Miniature, miniature, sound, zip_of

SINGERS = ("female1", "female2", "female3", "female8", "male1", "male2", "male3", "male5", "male9", "male10")
PLACES = (
    ("arpeggios", "belt"),
    ("arpeggios", "straight"),
    ("scales", "belt"),
    ("scales", "vibrato"),
    ("long_tones", "straight"),
)


@miniature("vocalset")
def vocalset() -> Miniature:
    """Excerpts have no vowel; what a Macintosh leaves lies beside everything."""
    files = {"VocalSet/train_singers_technique.txt": b"female1\n", "VocalSet/readme-anon.txt": b""}
    for singer in SINGERS:
        short = f"{singer[0]}{singer.removeprefix('female').removeprefix('male')}"
        for k, (context, technique) in enumerate(PLACES):
            for vowel in ("ae", "io", "u")[k % 3]:
                path = f"VocalSet/FULL/{singer}/{context}/{technique}/{short}_{context}_{technique}_{vowel}.wav"
                files[path] = sound((singer, technique), (context, vowel))
                files[f"__MACOSX/{path.replace(short + '_', '._' + short + '_')}"] = b"\0\5\26\7"
        path = f"VocalSet/FULL/{singer}/excerpts/vibrato/{short}_dona_vibrato.wav"
        files[path] = sound((singer, "vibrato"), "excerpt")
    return Miniature({"VocalSet11.zip": zip_of(files)}, {"clips": 100, "classes": 10})
