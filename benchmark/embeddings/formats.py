"""Readers of the formats in which authors publish weights, without the frameworks that wrote them.

Functions:
    read_keras_h5: Keras HDF5 weights (or whole models), plain or gzipped.
    read_keras_graph: a whole Keras model in HDF5, with its graph.
    read_tensor_bundle: a TensorFlow checkpoint of two files, `.index` and `.data-00000-of-00001`.
    read_tensor_slices: a TensorFlow checkpoint of one file, `.ckpt`, as TensorFlow wrote it up to 2016.

All give arrays in the layout of the file; the architecture's module knows how they map to PyTorch.
"""

import gzip
import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmark.errors import UserError
from benchmark.models.keras_layout import KerasLayer

_GZIP_MAGIC = b"\x1f\x8b"

# LevelDB's table format, which TensorFlow's `.index` files follow.
_TABLE_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_NO_COMPRESSION = 0
# From tensorflow/core/framework/types.proto; other types than these hold no weights.
_DTYPES = {1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 9: np.dtype("<i8")}
# Where TensorProto keeps numbers of float32.
_FLOATS = 5
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_keras_h5(path: Path) -> dict[str, list[np.ndarray]]:
    """Layers of a Keras HDF5 file, by name, in the file's order, each with its arrays in Keras's order.

    Layers without arrays are left out. A file that ends in gzip's format is unpacked in memory.

    Raises:
        UserError: the file is not HDF5 or not written by Keras.
    """
    import h5py

    try:
        content = io.BytesIO(gzip.decompress(path.read_bytes())) if _is_gzip(path) else path
        with h5py.File(content, "r") as file:
            root = file.get("model_weights", file)
            layers = {_text(name): _arrays(root[_text(name)]) for name in root.attrs["layer_names"]}
    except (OSError, EOFError, KeyError) as error:
        raise UserError(f"{path}: not a Keras HDF5 file of weights ({error}); fetch it again") from None
    return {name: arrays for name, arrays in layers.items() if arrays}


def read_keras_graph(path: Path) -> dict[str, KerasLayer]:
    """Layers of a whole Keras model by name: their class, the layers before them, and their weights by name.

    Raises:
        UserError: the file is not HDF5, or not a whole model that Keras 2 wrote.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            weights = file["model_weights"]
            arrays = {
                _text(name): dict(
                    zip(map(_text, weights[name].attrs["weight_names"]), _arrays(weights[name]), strict=True)
                )
                for name in map(_text, weights.attrs["layer_names"])
            }
            described = json.loads(_text(file.attrs["model_config"]))["config"]["layers"]
        return {
            layer["name"]: KerasLayer(
                layer["class_name"],
                tuple(node[0] for nodes in layer["inbound_nodes"][:1] for node in nodes if isinstance(node, list)),
                arrays.get(layer["name"], {}),
            )
            for layer in described
        }
    except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a Keras model in HDF5 ({error}); fetch it again") from None


def read_tensor_bundle(index: Path, data: Path) -> dict[str, np.ndarray]:
    """Variables of a TensorFlow checkpoint, by name.

    Raises:
        UserError: the files are damaged or do not belong together, or the checkpoint has several shards.
    """
    values = data.read_bytes()
    try:
        return {name.decode(): _variable(entry, values) for name, entry in _table(index.read_bytes()) if name}
    except (ValueError, IndexError, KeyError, struct.error) as error:
        raise UserError(f"{index}: not a TensorFlow checkpoint of one shard ({error}); fetch it again") from None


def read_tensor_slices(path: Path) -> dict[str, np.ndarray]:
    """Variables of float32 of a TensorFlow checkpoint of one file, by name; others (the counter of steps) are left out.

    Raises:
        UserError: the file is damaged, or holds a variable in several slices.
    """
    try:
        entries = [dict(_fields(value)) for _, value in _table(path.read_bytes())]
        shapes = dict(_described(meta) for entry in entries if 1 in entry for meta in _all(entry[1], 1))
        slices = [dict(_fields(entry[2])) for entry in entries if 2 in entry]
        values = [(part[1].decode(), dict(_fields(part[3])).get(_FLOATS)) for part in slices]
        if len(values) != len(dict(values)):
            raise ValueError("a variable in several slices")
        return {
            name: np.frombuffer(content, "<f4").reshape(shapes[name]).copy()
            for name, content in values
            if content is not None
        }
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise UserError(f"{path}: not a TensorFlow checkpoint of one file ({error}); fetch it again") from None


def _described(meta: bytes) -> tuple[str, list[int]]:
    """Name and shape of one SavedSliceMeta: 1 name, 2 shape."""
    fields = dict(_fields(meta))
    return fields[1].decode(), _shape(fields.get(2, b""))


def _shape(message: bytes) -> list[int]:
    """A TensorShapeProto: 2 a dimension, whose 1 is its size."""
    return [dict(_fields(dim)).get(1, 0) for dim in _all(message, 2)]


def _all(message: bytes, number: int) -> list[bytes]:
    """All values of a repeated field."""
    return [value for found, value in _fields(message) if found == number]


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


def _arrays(group) -> list[np.ndarray]:
    return [np.asarray(group[_text(name)], dtype=np.float32) for name in group.attrs["weight_names"]]


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _variable(entry: bytes, values: bytes) -> np.ndarray:
    """The array of one BundleEntryProto: 1 dtype, 2 shape, 3 shard, 4 offset, 5 size."""
    fields = dict(_fields(entry))
    shape = _shape(fields.get(2, b""))
    offset, size = fields.get(4, 0), fields.get(5, 0)
    if fields.get(3, 0) != 0 or offset + size > len(values):
        raise ValueError("values lie outside the data file")
    return np.frombuffer(values[offset : offset + size], _DTYPES[fields.get(1, 0)]).reshape(shape).copy()


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a table: its footer points to the index block, and that to the data blocks."""
    footer = content[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or struct.unpack("<Q", footer[-8:])[0] != _TABLE_MAGIC:
        raise ValueError("no table footer")
    position = _varint(footer, _varint(footer, 0)[1])[1]
    for _, handle in _block(content, footer[position:]):
        yield from _block(content, handle)


def _block(content: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; a key shares its beginning with the key before it."""
    offset, position = _varint(handle, 0)
    size, _ = _varint(handle, position)
    if content[offset + size] != _NO_COMPRESSION:
        raise ValueError("compressed block")
    block = content[offset : offset + size]
    end = size - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + length]
        position += length


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a protocol buffer's fields."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
        elif kind == _BYTES:
            length, position = _varint(message, position)
            value, position = message[position : position + length], position + length
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
            value, position = int.from_bytes(message[position : position + length], "little"), position + length
        else:
            raise ValueError("unknown kind of field")
        yield tag >> 3, value


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """A base-128 number, and the position after it."""
    value = shift = 0
    while True:
        byte = content[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
