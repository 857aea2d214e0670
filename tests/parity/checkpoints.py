"""Seeded weights in the file formats of the authors, for recipes and tests alike."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from tests.parity.seeded import seeded_array, seeded_waveform

Layers = Mapping[str, Mapping[str, np.ndarray]]


def noisy_waveform(samples: int, sample_rate: int) -> np.ndarray:
    """The seeded test signal with a little noise, as recordings have it.

    Without it bands of a spectrum fall below the rounding noise of a float32 FFT, where no two libraries agree.
    """
    noise = np.random.default_rng(0).standard_normal(samples)
    return (0.8 * seeded_waveform(samples, sample_rate) + 0.01 * noise).astype(np.float32)


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Greatest deviation over greatest value."""
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def write_keras_h5(path: Path, layers: Layers) -> Path:
    """Write `layers` as Keras 2 writes the weights of a model; a layer without arrays stays in the list of names."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, arrays in layers.items():
            group = file.create_group(layer)
            names = [f"{layer}/{weight}:0" for weight in arrays]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, arrays.values(), strict=True):
                group[name] = array
    return path


def batch_norm(layer: str, channels: int, scale: bool = True) -> dict[str, np.ndarray]:
    """Arrays of a Keras batch normalisation."""
    names = ("gamma", "beta", "moving_mean", "moving_variance") if scale else ("beta", "moving_mean", "moving_variance")
    return {name: seeded_array(f"{layer}/{name}", (channels,)) for name in names}


def kernel_and_bias(layer: str, *shape: int, gain: float = 1.4) -> dict[str, np.ndarray]:
    """Arrays of a Keras convolution or dense layer; a gain of sqrt(2) keeps the size of activations through ReLU."""
    return {
        "kernel": seeded_array(f"{layer}/kernel", shape, gain),
        "bias": seeded_array(f"{layer}/bias", shape[-1:]),
    }


def openl3_layers() -> dict[str, dict[str, np.ndarray]]:
    """OpenL3's audio network, with layer names as Keras counts them and without the layers that have no arrays."""
    channels = (1, 64, 64, 128, 128, 256, 256, 512, 512)
    layers: dict[str, dict[str, np.ndarray]] = {}
    for i, (before, after) in enumerate(itertools.pairwise(channels)):
        layers[f"batch_normalization_{i + 9}"] = batch_norm(f"openl3/norm{i}", before)
        name = f"conv2d_{i + 8}" if i < 7 else "audio_embedding_layer"
        layers[name] = kernel_and_bias(f"openl3/convolution{i}", 3, 3, before, after)
    # Decibels between -80 and 0 come in.
    layers["batch_normalization_9"] |= {"moving_mean": np.float32([-30.0]), "moving_variance": np.float32([300.0])}
    return layers


def yamnet_layers() -> dict[str, dict[str, np.ndarray]]:
    """YAMNet, with the authors' layer names."""
    widths = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
    layers = {"layer1/conv": {"kernel": seeded_array("yamnet/layer1/kernel", (3, 3, 1, 32), 1.4)}}
    layers["layer1/conv/bn"] = batch_norm("yamnet/layer1/bn", 32, scale=False)
    channels = 32
    for number, width in enumerate(widths, start=2):
        depthwise, pointwise = f"layer{number}/depthwise_conv", f"layer{number}/pointwise_conv"
        # Only the nine weights of a channel add up; seeded_array divides by all channels.
        kernel = seeded_array(f"yamnet/{depthwise}/kernel", (3, 3, channels, 1), 1.4 * channels**0.5)
        layers[depthwise] = {"depthwise_kernel": kernel}
        layers[f"{depthwise}/bn"] = batch_norm(f"yamnet/{depthwise}/bn", channels, scale=False)
        layers[pointwise] = {"kernel": seeded_array(f"yamnet/{pointwise}/kernel", (1, 1, channels, width), 1.4)}
        layers[f"{pointwise}/bn"] = batch_norm(f"yamnet/{pointwise}/bn", width, scale=False)
        channels = width
    layers["logits"] = kernel_and_bias("yamnet/logits", 1024, 521)
    return layers


def vggish_arrays() -> dict[str, np.ndarray]:
    """VGGish, with the keys of torchvggish's state dict."""
    convolutions = {0: (64, 1), 3: (128, 64), 6: (256, 128), 8: (256, 256), 11: (512, 256), 13: (512, 512)}
    shapes = {f"features.{i}": (*channels, 3, 3) for i, channels in convolutions.items()}
    shapes |= {"embeddings.0": (4096, 12288), "embeddings.2": (4096, 4096), "embeddings.4": (128, 4096)}
    arrays = {}
    for layer, shape in shapes.items():
        arrays[f"{layer}.weight"] = seeded_array(f"vggish/{layer}.weight", shape, 1.4)
        arrays[f"{layer}.bias"] = seeded_array(f"vggish/{layer}.bias", shape[:1])
    return arrays


def vggish_pca_arrays() -> dict[str, np.ndarray]:
    """VGGish's principal components."""
    return {
        "pca_eigen_vectors": seeded_array("vggish/pca_eigen_vectors", (128, 128), 1.0),
        "pca_means": seeded_array("vggish/pca_means", (128,)),
    }


def musicnn_variables(vgg: bool = False) -> dict[str, np.ndarray]:
    """musicnn or its VGG companion, with the names of the authors' TensorFlow variables."""
    if vgg:
        kernels = {"1CNN": (3, 3, 1, 128), **{f"{i}CNN": (3, 3, 128, 128) for i in range(2, 6)}, "dense": (256, 50)}
        norms = (1, 128, 128, 128, 128, 128)
    else:
        shapes = [(7, 38, 1, 204), (7, 67, 1, 204), (128, 1, 1, 51), (64, 1, 1, 51), (32, 1, 1, 51)]
        shapes += [(7, 561, 1, 64), (7, 64, 1, 64), (7, 64, 1, 64)]
        kernels = {f"conv2d_{i}" if i else "conv2d": shape for i, shape in enumerate(shapes)}
        kernels |= {"dense": (1506, 200), "dense_1": (200, 50)}
        norms = (1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200)
    prefix = "vgg" if vgg else "musicnn"
    layers = {layer: kernel_and_bias(f"{prefix}/{layer}", *shape) for layer, shape in kernels.items()}
    for i, channels in enumerate(norms):
        layer = f"batch_normalization_{i}" if i else "batch_normalization"
        layers[layer] = batch_norm(f"{prefix}/{layer}", channels)
    return {f"{layer}/{name}": array for layer, arrays in layers.items() for name, array in arrays.items()}


def write_tensor_bundle(stem: Path, variables: Mapping[str, np.ndarray]) -> Path:
    """Write a TensorFlow checkpoint, `stem`.index and `stem`.data-00000-of-00001, and give the path of the latter."""
    data, entries = b"", [(b"", b"\x08\x01\x1a\x02\x08\x01")]
    for name, array in sorted(variables.items()):
        shape = b"".join(_field(2, _field(1, size)) for size in array.shape)
        entry = _field(1, 1) + _field(2, shape) + _field(4, len(data)) + _field(5, array.nbytes)
        entries.append((name.encode(), entry + b"\x35\0\0\0\0"))
        data += array.astype("<f4").tobytes()
    stem.with_name(stem.name + ".index").write_bytes(_table(entries))
    values = stem.with_name(stem.name + ".data-00000-of-00001")
    values.write_bytes(data)
    return values


def _table(entries: list[tuple[bytes, bytes]]) -> bytes:
    """A table of one block of data."""
    block = _block(entries)
    table = block + b"\0" * 5
    handle = _varint(0) + _varint(len(block))
    index_block = _block([(b"\xff", handle)])
    index_handle = _varint(len(table)) + _varint(len(index_block))
    table += index_block + b"\0" * 5
    footer = (_varint(0) + _varint(0) + index_handle).ljust(40, b"\0")
    return table + footer + 0xDB4775248B80FB57.to_bytes(8, "little")


def _block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """A block of a table; each key shares with the one before it what it can."""
    content, before = b"", b""
    for key, value in entries:
        shared = next(
            (i for i, (a, b) in enumerate(zip(before, key, strict=False)) if a != b), min(len(before), len(key))
        )
        content += _varint(shared) + _varint(len(key) - shared) + _varint(len(value)) + key[shared:] + value
        before = key
    return content + b"\0\0\0\0" + b"\1\0\0\0"


def _field(number: int, value: int | bytes) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    content = b""
    while value > 0x7F:
        content += bytes([value & 0x7F | 0x80])
        value >>= 7
    return content + bytes([value])


def write_tensor_slices(path: Path, variables: Mapping[str, np.ndarray]) -> Path:
    """Write a TensorFlow checkpoint of one file, as TensorFlow wrote them up to 2016."""
    described, slices = b"", []
    for name, array in sorted(variables.items()):
        shape = b"".join(_field(2, _field(1, size)) for size in array.shape)
        described += _field(1, _field(1, name.encode()) + _field(2, shape) + _field(3, 1))
        values = _field(1, 1) + _field(5, array.astype("<f4").tobytes())
        # Keys are only ever compared.
        slices.append((b"\1" + name.encode(), _field(2, _field(1, name.encode()) + _field(3, values))))
    path.write_bytes(_table([(b"", _field(1, described)), *slices]))
    return path


def vggish_variables(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays with the keys of torchvggish's state dict under the names and in the layouts of the authors' variables."""
    layers = {
        "conv1": "features.0",
        "conv2": "features.3",
        "conv3/conv3_1": "features.6",
        "conv3/conv3_2": "features.8",
    }
    layers |= {"conv4/conv4_1": "features.11", "conv4/conv4_2": "features.13"}
    layers |= {"fc1/fc1_1": "embeddings.0", "fc1/fc1_2": "embeddings.2", "fc2": "embeddings.4"}
    variables = {}
    for theirs, ours in layers.items():
        weight = arrays[f"{ours}.weight"]
        variables[f"vggish/{theirs}/weights"] = weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T
        variables[f"vggish/{theirs}/biases"] = arrays[f"{ours}.bias"]
    return variables
