import json
import math

from benchmark.bench.report import BenchReport, cell, machine_facts
from benchmark.bench.timing import in_turns
from benchmark.console import print_bench

REPORT = BenchReport(
    "Speed", [{"what": "a|b", "ratio": 1.23456}, {"what": "[c]", "steps": 12_345}], ["measured at night"], {"cores": 2}
)


def test_columns_are_in_the_order_in_which_rows_have_them():
    assert REPORT.columns == ["what", "ratio", "steps"]


def test_markdown_has_every_cell_and_keeps_bars_apart():
    lines = REPORT.to_markdown().splitlines()
    assert lines[2:6] == [
        "| what | ratio | steps |",
        "| --- | ---: | ---: |",
        "| a\\|b | 1.23 |  |",
        "| [c] |  | 12,345 |",
    ]
    assert lines[-2:] == ["- measured at night", "- cores: 2"]


def test_json_keeps_numbers_whole():
    read = json.loads(REPORT.to_json())
    assert read["rows"][0]["ratio"] == 1.23456
    assert read["machine"] == {"cores": 2}


def test_a_table_is_printed_as_it_is(capsys):
    print_bench(REPORT)
    shown = capsys.readouterr().out
    assert "[c]" in shown and "measured at night" in shown


def test_cells():
    assert [cell(value) for value in (None, True, 0.000123, 1234.5)] == ["", "yes", "0.000123", "1,234"]


def test_the_machine_says_what_it_is():
    facts = machine_facts()
    assert {"cpu", "cores", "torch threads", "torch"} <= facts.keys()
    assert facts["cores"] >= 1


def test_sides_take_turns_and_medians_are_theirs():
    order = []

    def side(name, seconds):
        values = iter(seconds)

        def run():
            order.append(name)
            return {"wall": 0.0, "cpu": next(values)}

        return run

    taken = in_turns(
        {"a": side("a", [9.0, 1.0, 3.0, 2.0]), "b": side("b", [9.0, 5.0, 5.0, 8.0])}, rounds=3, clock="cpu"
    )
    assert order == ["a", "b"] * 4
    assert math.isclose(taken["a"], 2.0) and math.isclose(taken["b"], 5.0)
