"""The authors' PANNs: needs a checkout of audioset_tagging_cnn in `src`, torch, torchlibrosa and librosa.

Their inference script's path for one file: librosa.load at 32 kHz, Cnn14 without gradients. The weights are random.
"""

from serve import Loaded, serve


def load(threads: int) -> Loaded:
    import librosa
    import torch

    torch.set_num_threads(threads)
    import models

    net = models.Cnn14(32000, 1024, 320, 64, 50, 14000, 527).eval()

    def embed(file: str) -> object:
        audio, _ = librosa.load(file, sr=32000, mono=True)
        with torch.no_grad():
            return net(torch.from_numpy(audio)[None], None)["embedding"]

    return embed, "librosa.load at 32 kHz, the authors' Cnn14 one file at a time; random weights"


if __name__ == "__main__":
    serve(load)
