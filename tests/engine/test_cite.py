import re

import pytest

from benchmark.engine.cite import cite
from benchmark.errors import UserError
from tests.engine.project import ROOT


@pytest.fixture(scope="module")
def everything() -> str:
    return cite(ROOT, ["*"])


def test_a_task_stands_for_its_dataset_and_its_paper():
    text = cite(ROOT, ["hares-esc50"])
    assert text.startswith("@inproceedings{piczak2015esc,")
    assert "Towards Learning Universal Audio Representations" in text
    assert text.count("@") == 3


def test_embeddings_and_datasets_without_bibtex_become_entries():
    text = cite(ROOT, ["ge2e", "slaney-scheirer"])
    assert "note = {Wan, Wang, Papir \\& Lopez Moreno" in text
    assert re.search(r"@misc\{slaney-scheirer,\n  note = \{Scheirer \\& Slaney, [^}]*\},\n  year = \{1997\}", text)


def test_what_is_cited_twice_is_there_once():
    text = cite(ROOT, ["kehling-musan", "kehling-musan-noise", "musan", "kehling-s*"])
    assert text.count("@misc{musan2015,") == 1
    assert text.count("CMMR 2021, Table 2") == 1


def test_every_entry_is_closed_and_has_a_key_of_its_own(everything):
    entries = re.split(r"^(?=@)", everything, flags=re.MULTILINE)[1:]
    assert all(entry.count("{") == entry.count("}") for entry in entries)
    keys = [re.match(r"@\w+\{([^,]+),", entry)[1] for entry in entries]
    assert len(set(keys)) == len(keys) > 80


def test_special_letters_are_escaped(everything):
    notes = re.findall(r"note = \{(.*)\}", everything)
    assert not [note for note in notes if re.search(r"(?<!\\)[&%#]", note)]


def test_a_name_mistyped_is_one_line():
    with pytest.raises(UserError, match="'no-such-task' is no task, dataset or embedding"):
        cite(ROOT, ["no-such-task"])
