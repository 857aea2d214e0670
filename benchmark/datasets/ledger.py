"""What was fetched, when, and with which checksum: `ledger.json` in the data folder."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

LEDGER = "ledger.json"


@dataclass(frozen=True)
class Entry:
    """A fetched file. `pinned`: the description gives its checksum, so that another file would have been refused."""

    sha256: str
    bytes: int
    url: str
    pinned: bool


def record(data_root: Path, dataset: str, file: str, entry: Entry) -> str | None:
    """Note that `file` was fetched for `dataset`; what a person should know of a file without a checksum, or None."""
    path = data_root / LEDGER
    with FileLock(path.with_name(f".{LEDGER}.lock")):
        entries = read_ledger(data_root)
        name = f"{dataset}/{file}"
        before = entries.get(name)
        entries[name] = {**asdict(entry), "fetched": datetime.now(UTC).isoformat(timespec="seconds")}
        part = path.with_name(LEDGER + ".part")
        part.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n", "utf-8")
        part.replace(path)
    if entry.pinned:
        return None
    if before is not None and before["sha256"] != entry.sha256:
        return (
            f"{name}: differs from the file of {before['fetched'][:10]} (sha256 {before['sha256'][:12]}..., "
            f"now {entry.sha256}), and the description gives no checksum"
        )
    return f"{name}: the description gives no checksum; what came has sha256 {entry.sha256}"


def read_ledger(data_root: Path) -> dict[str, dict]:
    """Entries by `dataset/file`."""
    path = data_root / LEDGER
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}
