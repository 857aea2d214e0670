import pytest
from pydantic import Field

from benchmark.config.base import Schema
from benchmark.config.load import load, read_yaml
from benchmark.errors import UserError


class Inner(Schema):
    kind: str = "a"
    k: int = Field(5, ge=2)


class Outer(Schema):
    name: str
    folds: Inner = Inner()
    flag: bool = False
    words: list[str] = Field(default_factory=list)


def message(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load(path, Outer)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(path))
    return text


def test_a_right_file_is_read(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("name: a\nfolds: {k: 3}\n")
    assert load(path, Outer) == Outer(name="a", folds=Inner(k=3))


def test_unknown_key_names_the_nearest(tmp_path):
    assert "fold: unknown key; did you mean `folds`?" in message(tmp_path, "name: a\nfold: {k: 3}\n")


def test_unknown_nested_key_lists_the_known_ones_of_its_level(tmp_path):
    text = message(tmp_path, "name: a\nfolds: {zzz: 3}\n")
    assert "folds.zzz: unknown key; known keys: k, kind" in text


def test_wrong_type_names_field_and_value(tmp_path):
    assert "folds.k: 'many':" in message(tmp_path, "name: a\nfolds: {k: many}\n")


def test_out_of_range_names_field_and_value(tmp_path):
    assert "folds.k: 1: input should be greater than or equal to 2" in message(tmp_path, "name: a\nfolds: {k: 1}\n")


def test_missing_key_says_what_to_add(tmp_path):
    assert "name: missing; add `name:`" in message(tmp_path, "flag: true\n")


def test_a_bare_yes_among_words_is_explained(tmp_path):
    assert "quote words such as yes" in message(tmp_path, "name: a\nwords: [yes, up]\n")


@pytest.mark.parametrize(
    "text", ["a: [1, 2\n", "- 1\n- 2\n", "", "name: a\nname: b\n", "a: b: c\n", "x: !!python/object:os.system {}\n"]
)
def test_what_is_not_a_mapping_of_plain_values_is_refused(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"x\.yaml"):
        read_yaml(path)


def test_how_many_problems_there_are_is_said(tmp_path):
    assert "(and 1 more)" in message(tmp_path, "nam: a\n")


def test_binary_file_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        read_yaml(path)
