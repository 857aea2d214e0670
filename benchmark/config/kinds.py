"""What each kind of task is asked: its metrics by name, the default first, and what else fits it."""

METRICS: dict[str, tuple[str, ...]] = {
    "multiclass": ("accuracy", "balanced_accuracy", "macro_f1", "top3", "top5", "map", "auroc", "chroma_accuracy"),
    "multilabel": ("map", "auroc", "d_prime", "macro_f1", "micro_f1"),
    "slots": ("accuracy",),
    "events": (
        "onset_f_200ms", "onset_f_50ms", "onset_f_500ms", "onset_f_1s", "onset_offset_f_200ms",
        "onset_offset_f_500ms", "onset_offset_f_1s", "frame_f1",
        "segment_f1_1s", "segment_f1_100ms", "segment_f1_10ms", "segment_error_rate_1s", "segment_error_rate_100ms",
        "segment_accuracy_10ms",
    ),
    "regression": ("r2", "mae", "rmse", "pitch_accuracy", "chroma_accuracy"),
    "verification": ("eer", "min_dcf_0.01", "min_dcf_0.05"),
    # Over the mixture (`improvement`, `nsdr`) or absolute; BSS Eval in version 3 (whole files) or 4 (medians of windows).
    "separation": (
        "si_sdr_improvement", "si_sdr", "bss_v4_sdr", "bss_v4_isr", "bss_v4_sir", "bss_v4_sar", "bss_v3_sdr",
        "bss_v3_sdr_improvement", "bss_v3_nsdr", "bss_v3_sir", "bss_v3_sar", "pesq_wb", "stoi",
    ),
}  # fmt: skip

# Of multiclass tasks whose only probe is `cosine`: each clip of a test part asks for those of its class.
RETRIEVAL = ("map_at_10", "map_at_5", "map_at_100", "precision_at_1")

# Where a task names no probe.
PROBES = {"regression": "ridge", "verification": "cosine"}

# A single file has no frames to be scored beside it where frames are what is answered, or vectors are compared.
WITH_FRAMES = ("multiclass", "multilabel")
WITH_CLASSES = ("multiclass", "multilabel", "events")


def metrics_of(kind: str, probes: list[str]) -> tuple[str, ...]:
    """The metrics that fit a task of `kind` with these probes."""
    return RETRIEVAL if kind == "multiclass" and probes == ["cosine"] else METRICS[kind]


def balances(kind: str) -> tuple[str, ...]:
    """How training parts of a task of `kind` may be balanced."""
    if kind == "multiclass":
        return "none", "downsample", "downsample_all", "class_weight"
    return ("none", "class_weight") if kind == "multilabel" else ("none",)
