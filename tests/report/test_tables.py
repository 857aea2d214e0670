import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.report.blocks import overview_block, task_blocks
from benchmark.report.tables import markdown, markdown_text, tex, tex_text, write_tables


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.fixture
def table_2(record):
    """Two models in the form of Kehling & Cano's Table 2."""
    common = {
        "title": "Speech & music", "chance": 0.5, "majority": 0.55,
        "reference": {"paper": "Kehling & Cano", "metric": "accuracy", "value": 98.8, "std": 1.4,
                      "values": {"OpenL3": 99.2}},
    }  # fmt: skip
    return [
        record("t", "ina", "frozen", "mlp", values=[0.96, 1.0], **common),
        record("t", "ina", "partial", "mlp", values=[0.97, 0.97], **common),
        record("t", "ina", "full", "mlp", values=[0.80, 0.90], **common),
        record("t", "vgg", "frozen", "mlp", values=[0.70, 0.72], **common),
        record("t", "vgg", "scratch", "mlp", values=[0.60, 0.60], **common),
    ]


def test_the_form_of_table_2(table_2):
    lines = markdown(task_blocks(table_2)).splitlines()
    rows = [cells(line) for line in lines if line.startswith("|")]
    assert lines[0] == "### Speech & music: accuracy (%), file level"
    assert rows[0] == ["Model", "FZ", "IN", "FT", "scratch"]
    assert rows[2] == ["INA", "**98.0 ± 2.8**", "*97.0 ± 0.0*", "85.0 ± 7.1", ""]
    assert rows[3] == ["VGG", "71.0 ± 1.4", "", "", "60.0 ± 0.0"]
    assert rows[4] == ["Chance", "50.0", "50.0", "50.0", "50.0"]
    assert rows[5] == ["Majority class", "55.0", "55.0", "55.0", "55.0"]
    assert rows[6][0] == "Shuffled labels, mean"
    assert rows[7] == ["Kehling & Cano", "98.8 ± 1.4", "", "", ""]
    assert rows[8] == ["Kehling & Cano: OpenL3", "99.2", "", "", ""]


def test_probes_are_named_where_there_are_two_and_levels_have_a_block_each(record):
    blocks = task_blocks([record(probe="mlp", levels=("frame", "file")), record(levels=("file",))])
    assert [block.columns for block in blocks] == [["FZ, logistic", "FZ, mlp"], ["FZ"]]
    assert "file level" in blocks[0].heading and "frame level" in blocks[1].heading


def test_errors_have_their_best_at_the_bottom(record):
    def eer(embedding, value):
        return record(
            "t", embedding, primary="eer", scores={"file": {"eer": {"folds": [value] * 2, "mean": value, "std": 0.0}}}
        )

    text = markdown(task_blocks([eer("a", 0.1), eer("b", 0.4)]))
    assert "**10.0 ± 0.0**" in text and "| 40.0 ± 0.0 |" in text and "Majority" not in text


def test_overview_has_means_ranks_and_gaps(record):
    records = [
        record("t1", "a", values=[0.9, 0.9]), record("t1", "b", values=[0.8, 0.8]),
        record("t2", "a", domain="music", values=[0.7, 0.7]),
    ]  # fmt: skip
    rows = {
        row.name: [entry.text for entry in row.entries]
        for row in overview_block(records).rows + overview_block(records).below
    }
    shuffled = 50 * sum(record.shuffled["file"]["accuracy"].mean for record in records[:2])
    assert rows["T1"] == ["accuracy (%)", "50.0", "50.0", f"{shuffled:.1f}", "90.0 ± 0.0", "80.0 ± 0.0"]
    assert rows["T2"][-1] == "–"
    assert rows["Mean, all"][4:] == ["80.0", "80.0 (1/2)"]
    assert rows["Mean, music"][4:] == ["70.0", "–"]
    assert rows["Mean rank"][4:] == ["1.0", "2.0 (1/2)"]
    assert rows["HEAR score"][4:] == ["1.00", "-1.00 (1/2)"] and rows["Borda"][4:] == ["100.0", "0.0 (1/2)"]


@given(st.text())
def test_tex_text_has_no_markup_of_its_own(text):
    plain = re.sub(r"\\(?:text[a-z]+\{\}|[&%$#_{}])|\$\\pm\$|\$\\dagger\$|\$\^2\$|\{\[\}|\{\]\}", "", tex_text(text))
    assert not set(plain) & set("\\&%$#_{}~^<>|\n\r")


@given(st.text(alphabet="ab|*_`[]<>\\\r\n#", min_size=1))
def test_markdown_text_stays_in_its_cell(text):
    shown = markdown_text(text)
    assert "\n" not in shown and "\r" not in shown
    assert not re.search(r"(?<!\\)(?:\\\\)*[|*_`<\[]", shown)


def test_tex_is_balanced_and_escaped(record):
    text = tex(task_blocks([record(title="50% of_all & {more} \\input{x} ~^", embedding_title="a_b [1]")]))
    assert r"50\% of\_all \& \{more\} \textbackslash{}input\{x\}" in text and r"a\_b {[}1{]}" in text
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    body = re.sub(r"\\[{}]", "", text)
    assert body.count("{") == body.count("}")
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {1}


def test_tables_of_tasks_that_are_gone_are_removed_and_others_files_are_not(records, tmp_path):
    made = records(2, 2)
    written, removed = write_tables(made, tmp_path)
    assert len(written) == 10 and removed == [] and all(path.is_file() for path in written)
    (tmp_path / "kehling-table2.md").write_text("another's")
    (tmp_path / "tasks" / "notes.txt").write_text("a user's")
    left = [record for record in made if record.task == "task-00"]
    _, removed = write_tables(left, tmp_path)
    assert [path.name for path in removed] == ["task-01.md", "task-01.tex"]
    assert (tmp_path / "kehling-table2.md").exists() and (tmp_path / "tasks" / "notes.txt").exists()
