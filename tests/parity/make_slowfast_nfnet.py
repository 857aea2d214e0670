"""Outputs of the authors' slowfast NFNet-F0 (JAX, Haiku) for seeded weights, stored in data/slowfast_nfnet.npz.

    python -m tests.parity.make_slowfast_nfnet PATH

PATH is the folder that holds a checkout of google-deepmind/slowfast_nfnets under the name `slowfast_nfnets`. Needs
jax, dm-haiku, chex.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tests.parity.seeded import seeded_array

FRAMES = (400, 130, 9)
BANDS = 128


def seeded_spectrogram(frames: int) -> np.ndarray:
    """(1, frames, 128), of unit variance."""
    rng = np.random.default_rng(frames)
    return rng.standard_normal((1, frames, BANDS)).astype(np.float32)


def seeded_params(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, np.ndarray]:
    """Haiku parameters by `<module>/<parameter>`; gains lie around one, so that no residual branch vanishes."""
    params = {}
    for name, shape in shapes:
        kind = name.rsplit("/", 1)[-1]
        suffix = {"gain": "scale", "skip_gain": "scale", "w": "kernel"}.get(kind, "bias")
        params[name] = seeded_array(f"{name}.{suffix}", shape)
    return params


def main(path: str) -> None:
    sys.path.insert(0, path)
    import haiku as hk
    import jax
    from slowfast_nfnets import slowfast_nfnet

    net = hk.without_apply_rng(hk.transform(lambda x: slowfast_nfnet.SlowFastNFNet()(x, is_training=False)))
    shapes = jax.eval_shape(net.init, jax.random.PRNGKey(0), np.zeros((1, 400, BANDS, 1), np.float32))
    flat = [(f"{module}/{name}", value.shape) for module, values in shapes.items() for name, value in values.items()]
    seeded = seeded_params(flat)
    params = {module: {name: seeded[f"{module}/{name}"] for name in values} for module, values in shapes.items()}
    arrays = {f"frames_{n}": np.asarray(net.apply(params, seeded_spectrogram(n)[..., None])) for n in FRAMES}
    arrays["names"] = np.array([name for name, _ in flat])
    arrays["shapes"] = np.array([",".join(map(str, shape)) for _, shape in flat])
    np.savez_compressed(Path(__file__).parent / "data" / "slowfast_nfnet.npz", **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
