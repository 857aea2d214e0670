"""Content keys: short digests of everything that a piece of work depends on.

A finished piece is reused only where its key is the same, so a key must cover whatever could change the result: data, parameters,
weights, and the code itself.
"""

import ast
import functools
import hashlib
import json
import sys
from importlib import util
from pathlib import Path
from typing import Any

PACKAGE = "benchmark"


def content_key(value: Any) -> str:
    """16 hexadecimal digits that stand for `value`: anything that JSON can hold, independent of the order of keys.

    Raises:
        TypeError, ValueError: `value` holds something that JSON cannot (NaN included).
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_version(*modules: str) -> str:
    """A digest of the code of `modules` and of every module of this package that they import, directly or not.

    Comments, docstrings and layout do not count, so that mending a text recomputes nothing. Third-party packages do not count
    either: their versions are recorded with each run.
    """
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        code, imports = _module(name)
        seen[name] = code
        waiting += imports
    return content_key(seen)


@functools.cache
def _module(name: str) -> tuple[str, tuple[str, ...]]:
    path = _source(name)
    if path is None:
        raise ModuleNotFoundError(f"no module named {name!r} to take the version of")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = tuple(sorted(_imports(tree, name, path.name == "__init__.py")))
    _strip_docstrings(tree)
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest(), imports


def _source(name: str) -> Path | None:
    root = Path(__file__).resolve().parents[1]
    if name.split(".")[0] == PACKAGE:
        base = root.joinpath(*name.split(".")[1:])
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
        return None
    # A third party's module that an embedding is made of: its own file counts, what it imports does not.
    module = sys.modules.get(name)
    spec = module.__spec__ if module is not None else util.find_spec(name)
    return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None


def _imports(tree: ast.AST, name: str, is_package: bool) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                parts = parts[: len(parts) - node.level + (1 if is_package else 0)]
                base = ".".join(parts + ([node.module] if node.module else []))
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                # `from package import module` means the module; `from module import name` means the module it is in.
                is_module = base.startswith(PACKAGE) and _source(inner) is not None
                found.add(inner if is_module else base)
    return {module for module in found if module.startswith(PACKAGE + ".") and _source(module) is not None}


def _strip_docstrings(tree: ast.AST) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
