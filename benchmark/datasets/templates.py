"""Text with {field}s to be filled in."""

import re
from collections.abc import Mapping
from typing import Any

from benchmark.errors import UserError


def fill(template: str, fields: Mapping[str, Any], where: str) -> str:
    """`template` with each {field} replaced by its value; lists are joined by commas.

    Raises:
        UserError: a field is not known.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in fields:
            raise UserError(f"{where}: {template!r}: no field {name!r}; fields: {', '.join(map(str, fields))}")
        found = fields[name]
        return ",".join(map(str, found)) if isinstance(found, list) else str(found)

    return re.sub(r"\{([^{}]+)\}", value, template)
