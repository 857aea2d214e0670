"""Files in other frameworks' layouts are read once."""

import numpy as np
import pytest
import torch
from safetensors import safe_open

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings import conversion, jazz_solo
from benchmark.embeddings.conversion import fill_converted
from benchmark.embeddings.formats import read_tensor_slices
from benchmark.embeddings.weight_files import RANDOM
from benchmark.errors import UserError
from tests.parity.checkpoints import noisy_waveform, write_keras_h5, write_tensor_slices
from tests.parity.make_jazz_solo import jazz_layers
from tests.parity.make_tensor_slices import CHECKPOINT, VARIABLES


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "home", lambda: tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "authors.bin"
    path.write_bytes(np.arange(6, dtype="<f4").tobytes())
    return path


class Reader:
    """Fills a net from a file, and counts how often."""

    def __init__(self, path):
        self.path, self.times, self.net = path, 0, torch.nn.Linear(3, 2, bias=False)

    def __call__(self):
        self.times += 1
        values = np.frombuffer(self.path.read_bytes(), "<f4")
        if len(values) != 6:
            raise ValueError(f"{len(values)} numbers, expected 6")
        self.net.weight.data.copy_(torch.from_numpy(values.reshape(2, 3).copy()))

    def fill(self, **beside):
        self.net.weight.data.zero_()
        fill_converted(self.net, self.path, lambda: self(), **beside)
        return self.net.weight.detach().numpy().copy()


def kept(home):
    return sorted(home.rglob("*.safetensors"))


def test_the_second_time_the_conversion_is_read(home, source):
    reader = Reader(source)
    first, second = reader.fill(), reader.fill()
    np.testing.assert_array_equal(first, np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(first, second)
    assert reader.times == 1
    with safe_open(kept(home)[0], framework="np") as file:
        np.testing.assert_array_equal(file.get_tensor("weight"), first)
        assert "authors.bin" in file.metadata()["leveret"]


def test_other_bytes_another_companion_or_other_code_are_converted_anew(home, source, tmp_path, monkeypatch):
    reader = Reader(source)
    reader.fill()
    source.write_bytes(np.ones(6, dtype="<f4").tobytes())
    assert (reader.fill() == 1).all()
    index = tmp_path / "index"
    for content in (b"a", b"b"):
        index.write_bytes(content)
        reader.fill(beside=index)
    assert (reader.times, len(kept(home))) == (4, 4)
    monkeypatch.setattr(conversion, "code_version", lambda *modules: "another")
    reader.fill()
    # It takes the place of the one that older code made.
    assert (reader.times, len(kept(home))) == (5, 4)


def test_a_torn_conversion_is_made_anew(home, source):
    reader = Reader(source)
    expected = reader.fill()
    (path,) = kept(home)
    path.write_bytes(path.read_bytes()[:-5])
    np.testing.assert_array_equal(reader.fill(), expected)
    assert reader.times == 2


def test_what_does_not_fit_is_refused_each_time_and_leaves_nothing(home, source):
    source.write_bytes(b"1234")
    for _ in range(2):
        with pytest.raises(UserError, match=r"authors\.bin: 1 numbers, expected 6"):
            Reader(source).fill()
    assert not kept(home)


def test_random_weights_are_left_as_they_are(home, source):
    reader = Reader(source)
    fill_converted(reader.net, RANDOM, lambda: reader())
    assert reader.times == 0 and not home.exists()


def test_an_embedding_gives_the_same_from_its_conversion(home, tmp_path, monkeypatch):
    path = write_keras_h5(tmp_path / "jazz.hdf5", jazz_layers())
    config = EmbeddingConfig(name="j", family="jazz-solo")
    clip = [noisy_waveform(30_000, jazz_solo.SAMPLE_RATE)]
    first = jazz_solo.build(config, path, "cpu").embed(clip)[0][0]
    monkeypatch.setattr(jazz_solo, "read_keras_h5", lambda path: pytest.fail("was read again"))
    np.testing.assert_array_equal(jazz_solo.build(config, path, "cpu").embed(clip)[0][0], first)


def test_a_checkpoint_that_tensorflow_wrote_is_read():
    read = read_tensor_slices(CHECKPOINT)
    # The counter of steps is no weight.
    assert read.keys() == {name for name, array in VARIABLES.items() if array.dtype == np.float32}
    for name, array in read.items():
        np.testing.assert_array_equal(array, VARIABLES[name])


def test_a_damaged_checkpoint_is_one_line(tmp_path):
    path = write_tensor_slices(tmp_path / "a.ckpt", {"a/b": np.arange(6, dtype=np.float32).reshape(2, 3)})
    np.testing.assert_array_equal(read_tensor_slices(path)["a/b"], np.arange(6).reshape(2, 3))
    for content in (path.read_bytes()[:-9], b"nothing", b""):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.ckpt: not a TensorFlow checkpoint of one file"):
            read_tensor_slices(path)
