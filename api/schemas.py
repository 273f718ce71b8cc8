"""What the service answers, field by field. The job's spec is `search.job.JobSpec`, the same model everywhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from space.configuration import Configuration
from storage.states import EvaluationState, JobRequest, JobState, Purpose, TrialKind, TrialState

T = TypeVar("T")


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


class FieldProblem(View):
    """One value that cannot be used."""

    field: str = Field(description="dotted path of the value in what was sent", examples=["task.label"])
    message: str = Field(description="what is wrong with it and what would do")


class Problem(View):
    """An error, after RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = Field(description="path of the request")
    errors: list[FieldProblem] = Field(default_factory=list, description="each field at fault")


class PageView(View, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = Field(description="give as `after` to get the next page; null on the last")


class GainView(View):
    """What 10 further trials are expected to bring, as shares of the hypervolume so far (docs/stopping.md)."""

    expected: float = Field(description="at the rate of the second half of the trials so far")
    most: float = Field(description="with 95% certainty the expected gain is no larger")
    modelled: float | None = Field(default=None, description="what the sampler's model expects, where it has one")


class Progress(View):
    """How far a job is."""

    phase: str = Field(default="", description="what it is doing, in words")
    sampled: int = Field(default=0, description="configurations sampled so far")
    trials: int | None = Field(default=None, description="configurations that the budget allows")
    hypervolume: float = Field(default=0.0, description="of the front so far, scaled")
    gain: GainView | None = Field(default=None, description="expected of further trials; null before 20 of them")


class Cost(View):
    """What a job has used up."""

    evaluations: dict[str, int] = Field(default_factory=dict, description="evaluations by state")
    steps: int = Field(default=0, description="optimiser steps of all evaluations; those that run count in full")
    elapsed_seconds: float = Field(default=0.0, description="wall time while it ran, over all its owners")
    busy_seconds: float = Field(default=0.0, description="workers' time spent training and evaluating")


class JobView(View):
    """A job."""

    id: str
    name: str
    state: JobState
    requested: JobRequest | None = Field(description="asked of the running job and not obeyed yet")
    reason: str | None = Field(description="why it ended")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    progress: Progress
    best: dict[str, float] = Field(description="best value of each objective on the front")
    cost: Cost
    spec: dict[str, Any] = Field(description="as submitted, defaults written out, paths resolved")


class JobDetail(JobView):
    """A job with what its submission found out."""

    context: dict[str, Any] = Field(description="rows, classes, site table, bounds of the objectives, parameter range")


class TrialView(View):
    """One configuration of a job."""

    number: int
    kind: TrialKind
    name: str | None = Field(description="a baseline's name")
    state: TrialState
    configuration: dict[str, Any]
    trainable_parameters: int = Field(description="exact, task head left out")
    strategy: str = Field(description="what proposed it")
    reason: str = Field(description="why it was proposed")
    ladder: str | None = Field(description="why it last ran on to a higher rung, or why it was dropped")
    summary: dict[str, Any] = Field(description="metrics as last measured")
    failure: dict[str, Any] | None = Field(description="reason and message of a failed trial")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class ArtifactView(View):
    """A file that is kept of an evaluation."""

    sha256: str
    bytes: int


class EvaluationView(View):
    """One training run of a trial."""

    id: str
    purpose: Purpose
    fidelity: float = Field(description="share of the full steps, in (0, 1]")
    stop_step: int
    seed: int
    state: EvaluationState
    attempt: int
    metrics: dict[str, float]
    test_metrics: dict[str, float]
    curve: list[dict[str, Any]] = Field(description="step, training loss, and validation metrics where taken")
    failure: dict[str, Any] | None
    adapter: ArtifactView | None = Field(
        default=None, description="its trained adapter, packed, where it is kept: of finalists and baselines"
    )
    started_at: datetime | None
    ended_at: datetime | None


class TrialDetail(TrialView):
    """A trial with its plan and evaluations."""

    key: str = Field(description="hash of plan and training settings: equal ones train the same model")
    point: dict[str, Any] = Field(description="its coordinates in the job's space; empty for a baseline")
    plan: dict[str, Any] = Field(description="what is attached where, with exact parameter counts")
    evaluations: list[EvaluationView]


class ObjectiveView(View):
    metric: str
    goal: Literal["maximize", "minimize"]


class PointView(View):
    """One trial at full fidelity, as the mean over its seeds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    trial: int
    kind: TrialKind
    name: str | None = Field(default=None, description="a baseline's name")
    methods: list[str] = Field(default_factory=list)
    configuration: dict[str, Any]
    objectives: dict[str, float] = Field(
        description="the mean over fresh seeds; before there are any, an estimate from the run that selected it, "
        "corrected for having been selected (docs/front.md)"
    )
    metrics: dict[str, float] = Field(
        default_factory=dict, description="every metric as measured on validation rows, mean over the seeds"
    )
    intervals: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="95% interval of each trained objective"
    )
    probability: float | None = Field(default=None, description="of belonging to the front, given all points' doubt")
    seeds: int = 1
    fresh: bool = Field(default=False, description="confirmed: trained with seeds that did not select it")
    test: dict[str, float] = Field(default_factory=dict, description="metrics on test rows, which no search sees")
    feasible: bool = True
    on_front: bool = True


class SubsetView(View):
    """The few points that show a front best."""

    trials: list[int] = Field(description="in the front's order")
    hypervolume: float = Field(description="of these points")
    whole: float = Field(description="of the whole front")
    exact: bool = Field(description="no other points, as many, have more; else chosen one by one")
    statement: str


class FrontView(View):
    """The Pareto set of a job, as far as it is known."""

    objectives: list[ObjectiveView]
    points: list[PointView] = Field(description="feasible and non-dominated, the cheapest first")
    dominated: list[PointView] = Field(description="other sampled configurations at full fidelity")
    baselines: list[PointView] = Field(description="hand-made configurations, those on the front included")
    hypervolume: float = Field(description="scaled by bounds fixed at submission: comparable over the job's life")
    baseline_hypervolume: float = Field(description="what the hand-made configurations alone reach")
    reference: dict[str, float] = Field(description="the hypervolume's reference point, in the metrics' units")
    history: list[tuple[float, int, float]] = Field(description="seconds, completed evaluations, hypervolume")
    knee: int | None = Field(description="the trial where paying more stops buying much")
    statement: str = Field(description="what the front shows, in words")
    subset: SubsetView | None = Field(default=None, description="the few points that show it best, where asked for")


class PickView(View):
    """One point of the front and what chose it."""

    pick: str
    words: str = Field(description="what it takes")
    point: PointView


class UseView(View):
    """One dimension of the space among the best trials."""

    name: str
    trials: int = Field(description="trials that have the dimension")
    best: int = Field(description="of the best, those that have it")
    usual: bool | int | float | str | None = Field(
        description="what the best have: the choice that gains most over all trials, or the median"
    )


class ChoiceView(View):
    """One choice of the space, under whatever methods it stands."""

    name: str
    share: float = Field(description="of all choices' importance")
    chance: float = Field(description="the share that it takes to be more than chance")
    significance: float = Field(description="share of random sets of trials that show something as rare in any choice")
    matters: bool = Field(description="that is fewer than one in twenty")
    dimensions: list[UseView] = Field(description="those that most of the best have first")


class ImportanceView(View):
    """Which choices set the best trials apart."""

    trials: int = Field(description="trials with results")
    best: list[int] = Field(description="the best of them by non-domination, the very best first")
    choices: list[ChoiceView] = Field(description="the most important first")
    statement: str


class PredictionRequest(View):
    """A configuration to ask about, in either of two forms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    configuration: Configuration | None = Field(default=None, description="as a trial's `configuration` has it")
    point: dict[str, bool | int | float | str] | None = Field(
        default=None, description="a value for each dimension of the space that is active"
    )

    @model_validator(mode="after")
    def _one(self) -> PredictionRequest:
        if (self.configuration is None) == (self.point is None):
            raise ValueError("give either configuration or point")
        return self


class ExpectedView(View):
    """What one full run is expected to measure."""

    value: float = Field(description="the model's median")
    low: float
    high: float = Field(description="with `low`, 95% of single runs, noise between runs included")


class PredictionView(View):
    """What is known and what the search's model believes about a configuration."""

    configuration: dict[str, Any]
    known: dict[str, float] = Field(description="exact before training")
    trial: int | None = Field(description="the trial that trained the same model already")
    trials: int = Field(description="trials with results that the model learned from")
    expected: dict[str, ExpectedView] = Field(description="by learned metric; empty before three trials have results")
    feasible: float | None = Field(description="probability that it holds every constraint and does not fail")
    on_front: float | None = Field(description="probability that it would belong to the front")
    gain: float | None = Field(description="hypervolume that it is expected to add")
    statement: str


class DimensionView(View):
    """One coordinate of a space."""

    name: str
    kind: str
    choices: list[Any] | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False
    condition: dict[str, Any] | None = Field(default=None, description="`parent` and the `values` of it that need this")


class SpaceReport(View):
    """What a space holds on one model."""

    valid: bool
    size: float | None = Field(default=None, description="configurations, learning rates counted once")
    parameter_range: tuple[int, int] | None = Field(default=None, description="fewest and most trainable parameters")
    dimensions: list[DimensionView] = Field(default_factory=list)
    rows: dict[str, int] | None = Field(default=None, description="rows for training, validation and test")
    classes: list[str] | None = Field(default=None, description="labels; empty for regression")
    errors: list[FieldProblem] = Field(default_factory=list)


class SizeView(View):
    name: str
    choices: list[int | str]
    default: int | str


class OptionView(View):
    name: str
    description: str
    default: bool | int | float | str
    choices: list[bool | int | float | str]
    low: float | None
    high: float | None
    log: bool


class RateView(View):
    low: float
    high: float
    default: float


class MethodView(View):
    """One row of the catalogue."""

    name: str
    title: str = Field(default="", description="as its authors spell it")
    kind: Literal["method", "initialisation", "allocator", "procedure", "compression"]
    engine: str = Field(description="`peft`, or the engine of ours that trains it")
    summary: str
    source: str = Field(description="paper or documentation that defines it")
    site_kind: str
    default_roles: list[str]
    role_choices: list[list[str]]
    size: SizeView | None
    fields: list[OptionView]
    learning_rate: RateView | None = Field(description="none for what changes how methods start, train or are kept")
    formula: str = Field(description="trainable parameters at one site")
    composable: bool = Field(description="may stand in a union")
    merges: bool = Field(description="its update can be merged into the base model's weights")
    converts_to_lora: bool
    starts_at_base: bool = Field(default=True, description="before training, the model's output is the base model's")
    verified: list[str] = Field(
        default_factory=list,
        description="what it was compared with beside the shared contract suite: `peft` (its own tuner trains it), "
        "`definition` (written out in dense tensor code), `authors-code` (once, docs/authors-code.md)",
    )
    searchable: bool = Field(description="spaces list it by themselves")
    fits: str | None = Field(default=None, description="what anything but a method goes with")


class Health(View):
    """Whether the service can do its work."""

    status: Literal["ok", "degraded"]
    version: str
    store: Literal["ok", "unreachable"]
    loop: Literal["alive", "restarting", "elsewhere"] = Field(description="`elsewhere`: another process runs it")
