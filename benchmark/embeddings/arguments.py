"""Checks of an embedding's YAML that its family makes; nothing here needs PyTorch."""

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.errors import UserError


def source(config: EmbeddingConfig) -> str:
    """How error messages call the file of an embedding."""
    return f"embeddings/{config.name}.yaml"


def check_args(config: EmbeddingConfig, defaults: dict[str, object]) -> dict[str, object]:
    """The YAML's `args` over a family's `defaults`.

    Raises:
        UserError: an argument that the family does not know, or one of another type than its default.
    """
    for key, value in config.args.items():
        if key not in defaults:
            known = ", ".join(sorted(defaults)) or "none"
            raise UserError(f"{source(config)}: args: {key} is unknown to family {config.family}; known: {known}")
        kind = type(defaults[key])
        accepted = (int, float) if kind is float else (kind,)
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise UserError(f"{source(config)}: args: {key} is {value!r}; it must be of type {kind.__name__}")
    return {**defaults, **config.args}


def check_choice(config: EmbeddingConfig, field: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a `value` of `field` that is not among `choices`.

    Raises:
        UserError: it is not.
    """
    if value not in choices:
        raise UserError(f"{source(config)}: {field}: {value!r} is unknown; it must be one of {', '.join(choices)}")
