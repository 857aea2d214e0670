"""Where things lie below the data folder."""

from pathlib import Path

from benchmark.config.schema_dataset import DatasetConfig

# In a dataset's folder: which sources it was made from. Written before the folder gets its name.
MARKER = ".leveret.json"


def audio_folder(config: DatasetConfig, data_root: Path) -> Path:
    """Where a dataset that is made or fetched here lies."""
    return data_root / "audio" / config.name


def archive_folder(config: DatasetConfig, data_root: Path) -> Path:
    """Where the files of its sources are fetched to."""
    return data_root / "archives" / config.name


def manual_folder(config: DatasetConfig, data_root: Path) -> Path:
    """Where a person puts what cannot be fetched."""
    return data_root / "manual" / config.name


def making_folder(config: DatasetConfig, data_root: Path) -> Path:
    """Where a dataset's folder is made before it gets its name."""
    return data_root / "audio" / ".making" / config.name


def root_folder(config: DatasetConfig, data_root: Path) -> Path:
    """The folder that the paths of a dataset are relative to."""
    if config.folder is not None:
        return Path(config.folder).expanduser()
    if config.csv is not None:
        return Path(config.csv).expanduser().parent
    return audio_folder(config, data_root)
