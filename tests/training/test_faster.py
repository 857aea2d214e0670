import pytest

from benchmark.config import keys
from benchmark.config.keys import code_version


@pytest.mark.parametrize("kernel", ["first_layer", "norm", "row_filter", "shifted"])
def test_keys_of_trained_networks_cover_the_kernels(kernel, monkeypatch):
    read = keys._module

    def changed(name: str):
        code, imports = read(name)
        return (code + "changed" if name == f"benchmark.kernels.{kernel}" else code), imports

    for module in ("benchmark.engine.pretrain_job", "benchmark.engine.finetune_job"):
        before = code_version(module)
        with monkeypatch.context() as patch:
            patch.setattr(keys, "_module", changed)
            assert code_version(module) != before
