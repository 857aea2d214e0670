"""The `leveret` command: parses, calls, prints. No logic lives here."""

import errno
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmark.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A reproducible benchmark of audio representations and source separators. The stages of `dvc repro` are commands here, "
    "and each takes a selection: leveret probe --task 'rendered-s*' --embedding ge2e",
)

Tasks = Annotated[list[str], typer.Option("--task", "-t", help="Name or glob of tasks; may be given several times.")]
Embeddings = Annotated[
    list[str], typer.Option("--embedding", "-e", help="Name or glob of embeddings; may be given several times.")
]

Separators = Annotated[
    list[str], typer.Option("--separator", "-s", help="Name or glob of separators; may be given several times.")
]

# What is wrong with the machine, not with Leveret.
_MACHINE = {
    errno.ENOSPC: "no space left on the disk; free some",
    errno.EDQUOT: "no space left in your quota; free some",
    errno.EACCES: "permission denied; mend its permissions",
    errno.EROFS: "the file system is read-only; take another folder",
}

bench = typer.Typer(no_args_is_help=True, help="Measure speed, side by side with what others use.")
app.add_typer(bench, name="bench")


class _State:
    root: Path = Path()


@app.callback()
def _options(
    root: Annotated[
        Path | None, typer.Option(help="Project folder; by default the nearest one up from here with params.yaml.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
) -> None:
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("matplotlib", "urllib3", "numba", "filelock", "httpx", "httpcore", "fsspec", "h5py"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    _State.root = root or _nearest_project()


def _nearest_project() -> Path:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").exists() and (folder / "tasks").is_dir():
            return Path() if folder == here else folder
    return Path()


def _project(tasks: list[str] | None = None, embeddings: list[str] | None = None):
    from benchmark.engine.plan import Project

    return Project.read(_State.root, tasks or (), embeddings or ())


def _finish(stage: str, outcome) -> None:
    """Print a stage's counts and its failures; exit with status 1 where something failed."""
    from benchmark.console import print_outcome

    print_outcome(stage, outcome)
    if outcome.failures:
        raise typer.Exit(1)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="tasks, datasets or embeddings; all by default")] = "all",
    json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The page docs/datasets.md; of datasets alone.")] = False,
) -> None:
    """Show what there is. Example: leveret list embeddings"""
    if markdown:
        from benchmark.engine.dataset_page import dataset_page

        if what != "datasets":
            raise UserError("leveret list: --markdown is for datasets: leveret list datasets --markdown")
        typer.echo(dataset_page(_State.root), nl=False)
        return
    from benchmark.console import print_listing
    from benchmark.engine.listing import list_catalogue

    print_listing(list_catalogue(_State.root, what), json)


@app.command()
def check(
    task: Tasks = [],  # noqa: B006
    data: Annotated[bool, typer.Option("--data", help="Also read every audio file of the selected tasks.")] = False,
) -> None:
    """Validate every YAML, and the folds of each task whose data are here. Example: leveret check --task my-birds --data"""
    from benchmark.console import print_check
    from benchmark.engine.checking import check_project

    report = check_project(_State.root, task, data)
    print_check(report)
    if report.problems:
        raise typer.Exit(2)


@app.command()
def download(task: Tasks = []) -> None:  # noqa: B006
    """Fetch or render the datasets of the selected tasks, and note what is in them."""
    from benchmark.engine.download import download as stage

    _finish("download", stage(_project(task)))


@app.command()
def pretrain(embedding: Embeddings = []) -> None:  # noqa: B006
    """Train the networks that are trained here (embeddings with a section `pretrain`)."""
    from benchmark.engine.pretrain import pretrain as stage

    _finish("pretrain", stage(_project(None, embedding)))


@app.command()
def extract(task: Tasks = [], embedding: Embeddings = []) -> None:  # noqa: B006
    """Embed the clips of the selected tasks. Example: leveret extract -t languages -e 'ina-*'"""
    from benchmark.engine.extract import extract as stage

    _finish("extract", stage(_project(task, embedding)))


@app.command()
def probe(task: Tasks = [], embedding: Embeddings = []) -> None:  # noqa: B006
    """Train and score the probes on the selected tasks and embeddings."""
    from benchmark.engine.probe import probe as stage

    _finish("probe", stage(_project(task, embedding)))


@app.command()
def separate(task: Tasks = [], separator: Separators = []) -> None:  # noqa: B006
    """Train and score separators, and make what tasks with a front end hear. Example: leveret separate -s 'deep-*'"""
    from benchmark.engine.front_ends import make_front_ends
    from benchmark.engine.plan import Project
    from benchmark.engine.separate import separate as stage

    project = Project.read(_State.root, task, (), separator)
    outcome = stage(project)
    outcome.add(make_front_ends(project))
    _finish("separate", outcome)


@app.command()
def report(
    show: Annotated[bool, typer.Option("--show", help="Only print the summary; write nothing.")] = False,
) -> None:
    """Write leaderboard.csv, tables, plots and index.html under results/, and print the summary."""
    from benchmark.engine.reporting import report as stage
    from benchmark.report.summary import print_summary

    outcome, records = stage(_project(), write=not show)
    print_summary(records)
    _finish("report", outcome)


@app.command()
def compare(
    old: Annotated[str, typer.Argument(help="git revision, or path of a leaderboard.csv")] = "HEAD",
    new: Annotated[str, typer.Argument(help="git revision, or path; the working tree by default")] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    fail_on_regression: Annotated[
        bool, typer.Option("--fail-on-regression", help="Exit with status 1 on a loss that is more than noise.")
    ] = False,
    embedding: Annotated[
        list[str] | None, typer.Option("--embedding", "-e", help="Given twice: two embeddings instead, on their tasks.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="How often a loss may be claimed where there is only noise.")] = 0.05,
) -> None:
    """Compare two leaderboards: what moved, by how many standard errors, what is new, gone or stale, and why.

    With --embedding twice: compare two embeddings on every task. Example: leveret compare -e ge2e -e mfcc-stats
    """
    if embedding:
        _duel(embedding)
        return
    from benchmark.report.compare_text import print_comparison
    from benchmark.report.revisions import compare_revisions

    comparison = compare_revisions(_State.root, old, new or None)
    print_comparison(comparison, markdown=markdown)
    if fail_on_regression and comparison.is_loss(alpha):
        raise typer.Exit(1)


def _duel(names: list[str]) -> None:
    from benchmark.engine.duel import duel
    from benchmark.report.duel import print_duels

    if len(set(names)) != 2:
        raise UserError("leveret compare: --embedding: give two, as in `leveret compare -e ge2e -e mfcc-stats`")
    found, records = duel(_project(embeddings=names), *names)
    print_duels(records, found, *names)


@app.command()
def embed(
    files: Annotated[list[Path], typer.Argument(help="Audio files.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="An .npz file.")],
    embedding: Annotated[str, typer.Option("--embedding", "-e", help="Name of an embedding.")],
    weights: Annotated[Path | None, typer.Option(help="A local file of weights, as its authors publish it.")] = None,
) -> None:
    """Embed audio files. Example: leveret embed a.wav b.flac -e ge2e -o out.npz

    out.npz holds, for the i-th file, `frames_i` (n, dim) and `times_i` (n,) in seconds; `vectors` has a row a file, and
    `files` their names.
    """
    from benchmark.engine.embed_files import embed_files

    count, lost = embed_files(_State.root, files, output, embedding, weights)
    typer.echo(f"{output}: {count} files embedded with {embedding}")
    for name, reason in lost.items():
        typer.echo(f"{name}: {reason}", err=True)
    if lost:
        raise typer.Exit(1)


Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Only = Annotated[list[str], typer.Option(help="Glob of rows; may be given again.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="A table for a document.")]
Threads = Annotated[int, typer.Option(help="Threads of PyTorch; 0: one a core.")]


@bench.command("cost")
def bench_cost(
    embedding: Embeddings = [],  # noqa: B006
    catalogue: Annotated[bool, typer.Option("--catalogue", help="Keep the counts in the package's own file.")] = False,
    json: Json = False,
    markdown: Markdown = False,
) -> None:
    """Count weights and multiply-accumulates, which `leveret list embeddings` then shows. Example: leveret bench cost -e mine"""
    from benchmark.bench.cost import run
    from benchmark.console import print_bench

    print_bench(run(_State.root, embedding, catalogue=catalogue), json, markdown)


@bench.command("extract")
def bench_extract(
    embedding: Embeddings = [],  # noqa: B006
    seconds: Annotated[float, typer.Option(help="Length of a file.")] = 10.0,
    files: Annotated[int, typer.Option(help="Number of files.")] = 4,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    threads: Threads = 0,
    rounds: Annotated[int, typer.Option(help="How often each side is timed.")] = 3,
    clock: Annotated[str, typer.Option(help="wall, or cpu: less disturbed by other work on the machine.")] = "wall",
    peers: Annotated[Path | None, typer.Option(help="Folder of references to measure as well.")] = None,
    json: Json = False,
    markdown: Markdown = False,
) -> None:
    """Audio seconds per second of whole extractions and of bare forward passes. Example: leveret bench extract -e 'ina-*'"""
    from benchmark.bench.extract import run
    from benchmark.console import print_bench

    report = run(
        _State.root,
        embedding,
        seconds=seconds,
        files=files,
        precision=precision,
        threads=threads,
        rounds=rounds,
        clock=clock,
        peers=peers,
    )
    print_bench(report, json, markdown)


@bench.command("separation")
def bench_separation(
    sources: Annotated[int, typer.Option(help="Number of sources.")] = 4,
    seconds: Annotated[float, typer.Option(help="Length of the signals.")] = 60.0,
    threads: Annotated[int, typer.Option(help="Threads of each side.")] = 2,
    rounds: Annotated[int, typer.Option(help="How often each side is timed.")] = 3,
    peers: Annotated[Path | None, typer.Option(help="A Python that has museval and fast-bss-eval.")] = None,
    permutations: Annotated[
        bool, typer.Option("--permutations", help="Also mir_eval's search over all orders.")
    ] = False,
    steps: Annotated[
        int, typer.Option(help="Time so many training steps of Conv-TasNet instead, beside asteroid's.")
    ] = 0,
    only: Only = [],  # noqa: B006
    clock: Annotated[str, typer.Option(help="Of training steps: wall or cpu.")] = "wall",
    json: Json = False,
    markdown: Markdown = False,
) -> None:
    """Seconds to score separated sources, or to train on them, beside others. Example: leveret bench separation --seconds 10"""
    from benchmark.bench import steps as training
    from benchmark.bench.separation import run
    from benchmark.console import print_bench

    if steps:
        report = training.run(steps=steps, threads=threads, rounds=rounds, clock=clock, peers=peers)
        print_bench(report, json, markdown)
        return
    report = run(
        sources=sources,
        seconds=seconds,
        threads=threads,
        rounds=rounds,
        peers=peers,
        permutations=permutations,
        only=only,
    )
    print_bench(report, json, markdown)


@bench.command("pretrain")
def bench_pretrain(
    network: Annotated[list[str], typer.Option(help="Name of a network; may be given again.")] = [],  # noqa: B006
    strategy: Annotated[
        list[str], typer.Option(help="frozen, partial, full or scratch; the first three by default.")
    ] = [],  # noqa: B006
    clips: Annotated[int, typer.Option(help="Inputs of the made task.")] = 320,
    epochs: Annotated[int, typer.Option(help="Epochs of every training, at most.")] = 40,
    patience: Annotated[int, typer.Option(help="Epochs without a better validation accuracy before one stops.")] = 10,
    clock: Annotated[str, typer.Option(help="wall, or cpu: less disturbed by other work on the machine.")] = "wall",
    threads: Annotated[int, typer.Option(help="Threads of the plain loop by the clock; 0: one a core.")] = 0,
    json: Json = False,
    markdown: Markdown = False,
) -> None:
    """Seconds to fine-tune on all folds, beside a plain loop. Example: leveret bench pretrain --network vgg-like-mel"""
    from benchmark.bench.pretrain import run
    from benchmark.console import print_bench

    report = run(network, strategy, clips=clips, epochs=epochs, patience=patience, clock=clock, threads=threads)
    print_bench(report, json, markdown)


@bench.command("probe")
def bench_probe(
    rows: Annotated[int, typer.Option(help="Clips of the made table.")] = 2000,
    many: Annotated[int, typer.Option(help="Clips of the larger table.")] = 50_000,
    frames: Annotated[int, typer.Option(help="Frames of 768 features, with --only 'mapped*'.")] = 1_000_000,
    dim: Annotated[int, typer.Option(help="Features of a clip.")] = 512,
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 10,
    folds: Annotated[int, typer.Option(help="Number of folds.")] = 5,
    only: Only = [],  # noqa: B006
    peers: Annotated[Path | None, typer.Option(help="Folder of environments heareval and xares.")] = None,
    table: Annotated[Path | None, typer.Option(help="An .npz with features and labels in place of a made one.")] = None,
    clock: Annotated[str, typer.Option(help="wall, or cpu: less disturbed by other work on the machine.")] = "wall",
    json: Json = False,
    markdown: Markdown = False,
) -> None:
    """Seconds to probe a table, beside scikit-learn, HEAR and X-ARES. Example: leveret bench probe --only '*logistic*'"""
    from benchmark.bench.probe import run
    from benchmark.console import print_bench

    report = run(
        rows=rows, many=many, frames=frames, dim=dim, classes=classes, folds=folds, only=only, peers=peers, source=table,
        clock=clock,
    )  # fmt: skip
    print_bench(report, json, markdown)


@app.command()
def cite(
    names: Annotated[list[str], typer.Argument(help="Names or globs of tasks, datasets and embeddings.")],
) -> None:
    """Print BibTeX of what a result rests on. Example: leveret cite 'kehling-*' openl3-music-mel256-512"""
    from benchmark.engine.cite import cite as entries

    typer.echo(entries(_State.root, names), nl=False)


@app.command()
def new(
    kind: Annotated[str, typer.Argument(help="task")],
    name: Annotated[str, typer.Argument(help="Its name; the file is called the same.")],
    folder: Annotated[Path | None, typer.Option(help="Folder of sounds, a class a subfolder.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Table of sounds.")] = None,
) -> None:
    """Write a YAML to start from. Example: leveret new task my-birds --folder ~/sounds/birds"""
    from benchmark.engine.scaffold import new_task

    if kind != "task":
        raise UserError(f"leveret new: {kind!r} is unknown; leveret new task NAME")
    path = new_task(_State.root, name, folder, csv)
    typer.echo(f"{path} written; `leveret check --task {name}` says whether it is right")


def main() -> None:
    """Run the command line; what the user can mend is one line and status 2."""
    try:
        app(standalone_mode=True)
    except UserError as error:
        print(f"leveret: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("leveret: stopped; finished pieces are kept", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.errno not in _MACHINE:
            raise
        where = error.filename or "disk"
        print(f"leveret: {where}: {_MACHINE[error.errno]} and run the same again", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
