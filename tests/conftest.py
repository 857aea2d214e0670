import os

import hypothesis

# One thread a process: the suite runs in parallel, and results must not depend on the number of cores.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _conversions_aside(tmp_path_factory):
    """Seeded weights in the authors' formats leave no conversions under LEVERET_HOME."""
    from benchmark.embeddings import conversion

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "home", lambda: home)
        yield


# How long an example takes is the machine's business.
hypothesis.settings.register_profile("leveret", deadline=None)
hypothesis.settings.load_profile("leveret")
