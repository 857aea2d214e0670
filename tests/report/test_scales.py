import pytest

from benchmark.config import kinds
from benchmark.metrics.registry import higher_is_better
from benchmark.report.scales import metric_title, scale_of


@pytest.mark.parametrize(
    ("metric", "mean", "std", "text"),
    [
        ("accuracy", 0.98765, 0.0141, "98.8 ± 1.4"),
        ("accuracy", 1.0, None, "100.0"),
        ("macro_f1", None, None, "–"),
        ("si_sdr_improvement", -3.04, 0.5, "-3.0 ± 0.5"),
        ("d_prime", 1.23456, 0.1, "1.235 ± 0.100"),
        ("accuracy", -0.00001, 0.0, "0.0 ± 0.0"),
    ],
)
def test_cells(metric, mean, std, text):
    assert scale_of(metric).cell(mean, std) == text


def test_units_and_directions():
    assert metric_title("macro_f1") == "macro f1 (%)"
    assert metric_title("si_sdr") == "si sdr (dB)"
    assert metric_title("d_prime") == "d prime"
    assert scale_of("eer").best([0.3, 0.1]) == 0.1 and scale_of("accuracy").best([0.3, 0.1]) == 0.3
    assert scale_of("eer").is_better(0.1, 0.2) and not scale_of("map").is_better(0.1, 0.2)


def test_normalised_scores_run_from_chance_to_perfect():
    accuracy, eer = scale_of("accuracy"), scale_of("eer")
    assert accuracy.normalised(0.25, 0.25) == 0 and accuracy.normalised(1.0, 0.25) == 1
    assert accuracy.normalised(0.625, 0.25) == pytest.approx(0.5)
    assert accuracy.normalised(0.1, 0.25) == 0
    assert eer.normalised(0.5, 0.5) == 0 and eer.normalised(0.0, 0.5) == 1 and eer.normalised(0.5, None) == 0.5
    assert accuracy.normalised(1.0, 1.0) == 1
    assert scale_of("si_sdr").normalised(10.0, 0.0) is None


def test_every_metric_is_shown_the_way_it_is_meant():
    for name in {metric for metrics in kinds.METRICS.values() for metric in metrics} | set(kinds.RETRIEVAL):
        expected = True if name in kinds.METRICS["separation"] else higher_is_better(name)
        assert scale_of(name).higher_is_better == expected, name
    assert scale_of("min_dcf_0.01").unit == scale_of("r2").unit == "" and scale_of("segment_error_rate_1s").unit == "%"
