"""Reading YAML by a schema, with one-line errors that name the file, the field, the value and the mend."""

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from benchmark.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, where plain YAML silently keeps the last one."""


def _mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict:
    seen = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            # `<<: *name` takes over what another mapping says; keys beside it come first.
            continue
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, str | int | float | bool) and key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
        seen.add(key if isinstance(key, str | int | float | bool) else str(key))
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UserError: the file is missing, is not YAML, has a key twice, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    try:
        # The loader is a SafeLoader: it builds plain values only.
        data = yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}:{line} not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict):
        raise UserError(
            f"{path}: expected `key: value` lines, found {type(data).__name__ if data is not None else 'nothing'}"
        )
    return data


def load(path: Path, schema: type[Model]) -> Model:
    """Read `path` and check it against `schema`.

    Raises:
        UserError: one line with the first thing that is wrong, and how many more there are.
    """
    return parse(read_yaml(path), schema, str(path))


def parse(data: dict[str, Any], schema: type[Model], where: str) -> Model:
    """Check `data` against `schema`; `where` opens the message of an error."""
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        problems = error.errors()
        first = _explain(problems[0], schema)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UserError(f"{where}: {first}{more}") from None


def _explain(problem: dict, schema: type[BaseModel]) -> str:
    path = [str(part) for part in problem["loc"]]
    field = ".".join(path) or "file"
    kind = problem["type"]
    if kind == "extra_forbidden":
        known = _known_keys(schema, path[:-1])
        near = difflib.get_close_matches(path[-1], known, n=1)
        mend = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(sorted(known))}"
        return f"{field}: unknown key; {mend}"
    if kind == "missing":
        return f"{field}: missing; add `{path[-1]}:`"
    message = problem["msg"].removeprefix("Value error, ")
    value = problem.get("input")
    shown = repr(value) if isinstance(value, str | int | float | bool | None) else None
    if kind == "value_error" or shown is None:
        # A check of several fields names the one that is wrong itself.
        names_its_field = not path and message.partition(":")[0] in schema.model_fields
        return message if names_its_field else f"{field}: {message}"
    if kind == "bool_type" or (kind == "string_type" and isinstance(value, bool)):
        message += " (quote words such as yes, no, on, off: YAML reads them as true and false)"
    return f"{field}: {shown}: {message[0].lower() + message[1:]}"


def _known_keys(schema: type[BaseModel], path: list[str]) -> list[str]:
    """The keys of the (possibly nested) model at `path`; unions contribute the keys of all their models."""
    models: list[type[BaseModel]] = [schema]
    for part in path:
        inner: list[type[BaseModel]] = []
        for model in models:
            if part in model.model_fields:
                inner += _models_in(model.model_fields[part].annotation)
            elif part.isdigit() or part == model.__name__:
                inner.append(model)
        models = inner or models
    return [key for model in models for key in model.model_fields]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found = []
    for argument in getattr(annotation, "__args__", ()):
        found += _models_in(argument)
    return found
