"""One side of the comparison of training steps, as a process of its own: seconds of steps of Conv-TasNet as JSON.

Run by the interpreter that has the package (`python steps_side.py SIDE BATCH SAMPLES STEPS THREADS`), so it imports
nothing of Leveret unless the side is ours. Both sides have the network of Luo & Mesgarani's table (N 512, L 16, B 128,
H 512, P 3, X 8, R 3, two speakers), SI-SDR with the best permutation, gradients cut at a norm of 5, and Adam.
"""

import json
import os
import sys
import time
import warnings


def main(side: str, batch: str, samples: str, steps: str, threads: str) -> None:
    """Train on noise and print the result."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = threads
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    net, loss_of = SIDES[side]()
    stems = torch.randn(int(batch), 2, int(samples))
    mixture = stems.sum(1)
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)

    def step() -> None:
        loss = loss_of(mixture, stems)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()

    step()
    before = time.perf_counter(), time.process_time()
    for _ in range(int(steps)):
        step()
    wall, cpu = time.perf_counter() - before[0], time.process_time() - before[1]
    parameters = sum(parameter.numel() for parameter in net.parameters())
    print(json.dumps({"wall": wall, "cpu": cpu, "parameters": parameters}))


def _ours():
    from benchmark.config.schema_separator import SeparatorConfig
    from benchmark.separation.families import build_separator

    config = SeparatorConfig(
        name="conv-tasnet", family="conv_tasnet", sample_rate=8000, train={"steps": 1, "segment_s": 1}
    )
    separator = build_separator(config, ["speaker1", "speaker2"], False)
    return separator, lambda mixture, stems: separator.loss(mixture[:, None], stems[:, :, None])


def _asteroid():
    from asteroid.losses import PITLossWrapper, pairwise_neg_sisdr
    from asteroid.models.conv_tasnet import ConvTasNet

    net = ConvTasNet(
        2, n_blocks=8, n_repeats=3, bn_chan=128, hid_chan=512, skip_chan=128, n_filters=512, kernel_size=16, stride=8,
        mask_act="relu", sample_rate=8000,
    )  # fmt: skip
    loss = PITLossWrapper(pairwise_neg_sisdr, pit_from="pw_mtx")
    return net, lambda mixture, stems: loss(net(mixture), stems)


SIDES = {"ours": _ours, "asteroid": _asteroid}

if __name__ == "__main__":
    main(*sys.argv[1:])
