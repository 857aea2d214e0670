"""The authors' BEATs: needs their BEATs.py, backbone.py and modules.py in `src` or a folder of it, torch and torchaudio.

The path of their README for one file: a waveform at 16 kHz (soundfile and librosa, as it names no reader), then
`extract_features` without gradients. The weights are random.
"""

from serve import Loaded, serve


def load(threads: int) -> Loaded:
    import librosa
    import torch

    torch.set_num_threads(threads)
    from BEATs import BEATs, BEATsConfig

    shape = {
        "encoder_layers": 12,
        "encoder_embed_dim": 768,
        "encoder_ffn_embed_dim": 3072,
        "encoder_attention_heads": 12,
        "embed_dim": 512,
        "input_patch_size": 16,
        "conv_pos": 128,
        "conv_pos_groups": 16,
        "relative_position_embedding": True,
        "num_buckets": 320,
        "max_distance": 800,
        "gru_rel_pos": True,
        "deep_norm": True,
        "layer_norm_first": False,
    }
    net = BEATs(BEATsConfig(shape)).eval()

    def embed(file: str) -> object:
        audio, _ = librosa.load(file, sr=16000, mono=True)
        with torch.no_grad():
            return net.extract_features(torch.from_numpy(audio)[None])[0]

    return embed, "librosa.load at 16 kHz, the authors' extract_features one file at a time; random weights"


if __name__ == "__main__":
    serve(load)
