"""The metrics that can be objectives or constraints, with what the search may assume of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A metric is a quality of the task, a behaviour, or a cost."""

    name: str
    goal: Literal["maximize", "minimize"]
    unit: str
    summary: str
    tasks: tuple[str, ...] = ()
    """Task types it exists for; empty: all."""
    cost: bool = False
    """Scaled as log10(1+x) in the hypervolume; others have a scale of their own."""
    behaviour: bool = False
    """What training did to the model beside the task itself: learned like a quality, but the held-out loss says
    nothing about it."""
    observed: bool = False
    """An observation of the machine, not a function of the configuration."""
    on_request: bool = False
    """Takes time or memory to measure, so only where a job names it."""

    @property
    def quality(self) -> bool:
        return not self.cost and not self.behaviour

    @property
    def timing(self) -> bool:
        """Disturbed by what runs beside it."""
        return self.observed and self.unit == "s"


CLASSIFICATION = ("text-classification", "image-classification")
REGRESSION = ("text-regression",)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "maximize", "", "share of validation rows classified right", CLASSIFICATION),
        Metric("macro_f1", "maximize", "", "F1 averaged over classes", CLASSIFICATION),
        Metric("matthews", "maximize", "", "Matthews correlation", CLASSIFICATION),
        Metric("mse", "minimize", "", "mean squared error, labels standardised on the training rows", REGRESSION),
        Metric("r2", "maximize", "", "coefficient of determination", REGRESSION),
        Metric("pearson", "maximize", "", "Pearson correlation", REGRESSION),
        Metric("spearman", "maximize", "", "Spearman rank correlation", REGRESSION),
        Metric("loss", "minimize", "", "mean held-out loss"),
        Metric(
            "calibration_error",
            "minimize",
            "",
            "expected calibration error on validation rows: how far confidence is from accuracy, in 15 bins",
            CLASSIFICATION,
            behaviour=True,
            on_request=True,
        ),
        Metric(
            "memorisation_gap",
            "minimize",
            "",
            "held-out loss less the loss on as many of the rows that were trained on",
            behaviour=True,
            on_request=True,
        ),
        Metric(
            "forgetting",
            "minimize",
            "nats a token",
            "loss on held-back general text (`task.general_text`): of the adapted model less that of the bare base; "
            "needs a checkpoint with its language-model head",
            behaviour=True,
            on_request=True,
        ),
        Metric(
            "weight_sparsity",
            "maximize",
            "",
            "share of zeros among the final weights: the adapter merged, or counted beside them where it does not "
            "merge; head left out",
            behaviour=True,
            on_request=True,
        ),
        Metric("trainable_parameters", "minimize", "parameters", "exact, task head left out", cost=True),
        Metric("adapter_bytes", "minimize", "bytes", "the saved adapter on disk, head left out", cost=True),
        Metric("training_memory", "minimize", "bytes", "saved activations, gradients, optimiser state", cost=True),
        Metric(
            "peak_memory",
            "minimize",
            "bytes",
            "the most that the process (on a GPU: its tensors) held, as observed",
            cost=True,
            observed=True,
        ),
        Metric("step_seconds", "minimize", "s", "median time of a training step", cost=True, observed=True),
        Metric(
            "inference_latency",
            "minimize",
            "s",
            "median forward pass of one example, the adapter beside the weights",
            cost=True,
            observed=True,
        ),
        Metric(
            "merged_latency",
            "minimize",
            "s",
            "the same with the adapter merged into the weights; where it does not merge, `inference_latency`",
            cost=True,
            observed=True,
            on_request=True,
        ),
    )
}

QUALITY = {"text-classification": "accuracy", "image-classification": "accuracy", "text-regression": "r2"}
"""What the objective `quality` means for each task type."""
