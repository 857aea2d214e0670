"""One side of the comparison of separation metrics, as a process of its own: time, scores and peak memory as JSON.

Run by the interpreter that has the package (`python separation_side.py SIDE SIGNALS.npz THREADS`), so it imports
nothing of Leveret unless the side is ours.
"""

import json
import os
import resource
import sys
import time
import types
import warnings


def main(side: str, path: str, threads: str) -> None:
    """Score the signals of `path` and print the result."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = threads
    warnings.simplefilter("ignore")
    import numpy as np

    with np.load(path) as signals:
        references, estimates = signals["references"], signals["estimates"]
    score = SIDES[side](int(threads))
    before = _peak_mib()
    start = time.perf_counter()
    sdr, sir, sar = (np.asarray(value, dtype=float) for value in score(references, estimates))
    seconds = time.perf_counter() - start
    scores = {"sdr": sdr.tolist(), "sir": sir.tolist(), "sar": sar.tolist()}
    print(json.dumps({"seconds": seconds, "peak_mib": _peak_mib() - before, "scores": scores}))


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _ours(permute: bool):
    def load(threads: int):
        import torch

        from benchmark.metrics.separation.bss_eval import bss_eval

        torch.set_num_threads(threads)

        def score(references, estimates):
            found = bss_eval(references, estimates, permute=permute)
            return found.sdr, found.sir, found.sar

        return score

    return load


def _ours_framewise(threads: int):
    import torch

    from benchmark.metrics.separation.museval_v4 import bss_eval_framewise

    torch.set_num_threads(threads)

    def score(references, estimates):
        found = bss_eval_framewise(references, estimates, 44100)
        return found.sdr, found.sir, found.sar

    return score


def _mir_eval(permute: bool):
    def load(threads: int):
        from mir_eval.separation import bss_eval_sources

        return lambda references, estimates: bss_eval_sources(references, estimates, compute_permutation=permute)[:3]

    return load


def _museval(sources: bool):
    def load(threads: int):
        # museval imports musdb for data sets, which wants ffmpeg; scores need neither.
        sys.modules.setdefault("musdb", types.ModuleType("musdb"))
        from museval.metrics import bss_eval

        def score(references, estimates):
            window = float("inf") if sources else 44100
            found = bss_eval(
                references[..., None], estimates[..., None], window=window, hop=window, bsseval_sources_version=sources
            )
            sdr, _, sir, sar, _ = found
            return (sdr[:, 0], sir[:, 0], sar[:, 0]) if sources else (sdr, sir, sar)

        return score

    return load


def _fast_bss_eval(threads: int):
    import fast_bss_eval
    import torch

    # On more, MKL's factorisation of its systems reports wrong parameters and does not end (torch 2.11).
    torch.set_num_threads(1)

    def score(references, estimates):
        found = fast_bss_eval.bss_eval_sources(torch.from_numpy(references), torch.from_numpy(estimates))
        return [value.numpy() for value in found[:3]]

    return score


SIDES = {
    "ours": _ours(False),
    "ours, permutations": _ours(True),
    "ours, v4": _ours_framewise,
    "mir_eval": _mir_eval(False),
    "mir_eval, permutations": _mir_eval(True),
    "museval, sources": _museval(True),
    "museval, v4": _museval(False),
    "fast_bss_eval, permutations": _fast_bss_eval,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
