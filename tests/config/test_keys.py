import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.config import keys
from benchmark.config.keys import code_version, content_key

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=3), json_values, max_size=4))
def test_key_does_not_depend_on_the_order_of_fields(value):
    assert content_key(value) == content_key(dict(reversed(list(value.items()))))


@given(st.lists(st.text(max_size=3), min_size=2, max_size=4, unique=True))
def test_key_depends_on_the_order_of_a_list(value):
    assert content_key(value) != content_key(value[::-1])


def test_nan_has_no_key():
    with pytest.raises(ValueError):
        content_key({"a": float("nan")})


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A stand-in for the package, so that its code can be changed."""
    root = tmp_path / "benchmark"
    files = {
        "__init__.py": "",
        "config/__init__.py": "",
        "config/keys.py": "",
        "a.py": "from benchmark.b import f\nimport numpy\n",
        "b.py": 'def f():\n    """Say."""\n    from benchmark import c\n    return c.x  # why\n',
        "c.py": "x = 1\n",
        "d.py": "y = 1\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(keys, "__file__", str(root / "config" / "keys.py"))

    def version(change=None):
        for name, text in (change or {}).items():
            (root / name).write_text(textwrap.dedent(text))
        keys._module.cache_clear()
        return code_version("benchmark.a")

    yield version
    keys._module.cache_clear()


def test_code_imported_indirectly_counts(package):
    assert package() != package({"c.py": "x = 2\n"})


def test_code_not_imported_does_not_count(package):
    assert package() == package({"d.py": "y = 2\n"})


def test_comments_docstrings_and_layout_do_not_count(package):
    before = package()
    after = package(
        {"b.py": 'def f():\n    """Tell."""\n\n    from benchmark import (\n        c,\n    )\n\n    return c.x\n'}
    )
    assert before == after


def test_unknown_module_is_an_error():
    with pytest.raises(ModuleNotFoundError):
        code_version("benchmark.no_such_module")


def test_every_module_of_the_package_has_a_version():
    assert len(code_version("benchmark.cli")) == 16
