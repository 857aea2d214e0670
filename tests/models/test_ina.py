import numpy as np
import pytest
import torch

from benchmark.models.ina import DESIGNS, FRAMES, Ina, load_keras
from benchmark.models.ina_stem import SharedStem


def random_net(model: str) -> Ina:
    """A network in which no layer is the identity, batch normalisation included."""
    torch.manual_seed(0)
    net = Ina(model)
    for name, tensor in net.state_dict().items():
        if "norms" in name and tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.5)
            if name.endswith("weight"):
                tensor[::3] *= -1
    return net.eval()


def keras_layers(model: str) -> dict[str, list[np.ndarray]]:
    design, layers, inputs = DESIGNS[model], {}, 1
    for number, (size, channels) in enumerate(zip(design.kernels, design.channels, strict=True)):
        layers[f"conv2d_{number + 12}"] = [np.ones((*size, inputs, channels)), np.ones(channels)]
        layers[f"batch_normalization_{number + 15}"] = [np.ones(channels)] * 4
        inputs = channels
    for number in range(4):
        layers[f"dense_{number + 6}"] = [np.ones((inputs, design.hidden)), np.ones(design.hidden)]
        layers[f"batch_normalization_{number + 30}"] = [np.ones(design.hidden)] * 4
        inputs = design.hidden
    layers["dense_10"] = [np.ones((inputs, len(design.classes))), np.ones(len(design.classes))]
    return layers


@pytest.mark.parametrize(("model", "numbers"), [("sm", 1_449_026), ("smn", 788_803), ("gender", 1_485_506)])
def test_has_the_published_number_of_stored_numbers(model, numbers):
    state = Ina(model).state_dict()
    assert sum(tensor.numel() for key, tensor in state.items() if "num_batches" not in key) == numbers


@pytest.mark.parametrize("model", DESIGNS)
def test_folding_keeps_the_function(model):
    net = random_net(model)
    x = torch.randn(3, 1, FRAMES, net.design.bands)
    with torch.no_grad():
        before = net(x)
        torch.testing.assert_close(net.fold()(x), before, rtol=1e-4, atol=1e-4)
        # Folding twice is folding once.
        torch.testing.assert_close(net.fold()(x), before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", DESIGNS)
@pytest.mark.parametrize("which", [[0], [5], [0, 1, 2, 3], [1, 4, 16]])
def test_shared_stem_gives_what_patches_one_by_one_give(model, which):
    net = random_net(model).fold()
    log_mel = 5.0 * torch.randn(101, net.design.bands) - 12.0
    patches = torch.stack([log_mel[2 * i : 2 * i + FRAMES] for i in which])
    mean, std = patches.mean(dim=(1, 2)), patches.std(dim=(1, 2), correction=0)
    with torch.no_grad():
        normalised = (patches - mean[:, None, None]) / std[:, None, None]
        expected = torch.relu(net.convolutions[0](normalised[:, None]))
        if 0 in net.design.pools:
            expected = net.design.pools[0](expected)
        maps = SharedStem(net)(log_mel, torch.tensor(which), mean, std)
        torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(net.maps(maps, behind_first=True), net.maps(normalised[:, None]))


@pytest.mark.parametrize("model", DESIGNS)
def test_loads_keras_layers_in_their_order(model):
    net = Ina(model)
    load_keras(net, keras_layers(model))
    parameters = [*net.state_dict().items()]
    assert all(bool((value == 1).all()) for name, value in parameters if "num_batches" not in name)


def test_refuses_other_layers():
    net, layers = Ina("smn"), keras_layers("smn")
    with pytest.raises(ValueError, match="16 layers with weights, expected 17"):
        load_keras(net, dict(list(layers.items())[:-1]))
    with pytest.raises(ValueError, match=r"conv2d_12: .*expected"):
        load_keras(net, {**layers, "conv2d_12": [np.ones((5, 4, 1, 64)), np.ones(64)]})
    swapped = dict(sorted(layers.items()))
    with pytest.raises(ValueError, match="batch_normalization_15: expected a layer conv2d"):
        load_keras(net, swapped)


def test_intermediate_freezing_leaves_the_dense_layers_free():
    net = Ina("sm")
    net.freeze("IN")
    free = {name.split(".")[0] for name, parameter in net.named_parameters() if parameter.requires_grad}
    assert free == {"dense", "dense_norms", "output"}
