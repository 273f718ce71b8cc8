"""A trial's trained adapter: which of those that the search kept, where it lies, and what to say of it.

Finalists and baselines keep one for each fresh seed, as it was when the run was measured. Loads no tensor library.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from api.recipes.recipe_file import file_stem
from evaluator.model_card import needs_paretune
from search.ledger import ADAPTER
from search.objectives import Objectives
from space.errors import FieldError
from space.plan import Plan
from storage.artifacts import ArtifactStore
from storage.errors import ArtifactError, NotFound
from storage.records import EvaluationRecord, JobRecord
from storage.store import Store

MEDIA_TYPE = "application/x-tar"
MOST_NAMED = 10
"""Trials that an error offers instead, at most."""


@dataclass(frozen=True)
class TrainedAdapter:
    """One of a trial's trained adapters, packed as a tar file."""

    path: Path
    """Where the file is. Read it; never write to it."""
    digest: str
    """Its SHA-256."""
    name: str
    """For the file where it is taken to: ASCII, no path separators."""
    words: str
    """Whose it is, how long it was trained and how it is loaded. ASCII, one line."""


def trained_adapter(
    store: Store, artifacts: ArtifactStore, job: JobRecord, number: int, seed: int | None, field: str
) -> TrainedAdapter:
    """The adapter of trial `number` that was trained with `seed`; where that is None, the one of the best validation
    result: the first quality among the job's objectives, or the loss. `field`: what the user chose the trial by.

    Raises:
        FieldError: on `field`, the trial has no adapter; on `seed`, none of that seed. Both say which there are.
        NotFound: no such trial, or the adapter's file is not in this data folder.
    """
    trial = store.trial(job.id, number)
    kept = _kept(store.evaluations(job.id, number))
    if not kept:
        others = sorted({each.trial_number for each in _kept(store.evaluations(job.id))})
        raise FieldError(field, _none_kept(number, others))
    metric, ranked = _ranked(kept, Objectives.model_validate(job.context["objectives"]))
    chosen = next((each for each in ranked if seed in (None, each.seed)), None)
    if chosen is None:
        raise FieldError("seed", f"trial {number} has no adapter of seed {seed}; give {_listed(kept, 'or')}")
    kept_file = chosen.artifact(ADAPTER)
    assert kept_file is not None
    try:
        path = artifacts.path(kept_file.digest)
    except ArtifactError as error:
        raise NotFound(
            f"the adapter of trial {number}, seed {chosen.seed}, is not in this data folder; ask where the search ran, "
            "or train the trial's recipe (`paretune train`)"
        ) from error
    full = job.spec["budget"]["steps"]
    length = "the search's full length and no longer" if chosen.stop_step == full else f"of the search's {full}"
    loading = _loading(Plan.model_validate(trial.plan), len(job.context["data"]["classes"]))
    words = (
        f"trial {number}, seed {chosen.seed}: {_why(chosen, kept, metric, seed)}; "
        f"trained for {chosen.stop_step} steps, {length}. {loading}"
    )
    name = f"{file_stem(job.spec['name'], number)}-seed-{chosen.seed}-adapter.tar"
    return TrainedAdapter(path, kept_file.digest, name, words)


def _kept(evaluations: Iterable[EvaluationRecord]) -> list[EvaluationRecord]:
    return [each for each in evaluations if each.state == "completed" and each.artifact(ADAPTER) is not None]


def _none_kept(number: int, others: Sequence[int]) -> str:
    if others:
        more = ", …" if len(others) > MOST_NAMED else ""
        remedy = f"those that have one: {', '.join(map(str, others[:MOST_NAMED]))}{more}"
    else:
        remedy = "no trial of this job has one yet"
    return (
        f"trial {number} has no trained adapter: only finalists and baselines keep theirs, once they are trained with "
        f"fresh seeds; {remedy}; or export its recipe and train that (`paretune train`)"
    )


def _ranked(kept: Sequence[EvaluationRecord], objectives: Objectives) -> tuple[str, list[EvaluationRecord]]:
    """The metric that decides, and the runs that were trained longest, the best first; then the shorter ones."""
    quality = next((each for each in objectives.objectives if each.quality), None)
    metric, sign = ("loss", 1) if quality is None else (quality.metric, -1 if quality.goal == "maximize" else 1)

    def merit(run: EvaluationRecord) -> tuple[float, ...]:
        values = (run.measurement or {}).get("metrics", {})
        last = float("inf")
        reached = sign * values[metric] if metric in values else last
        return -run.stop_step, reached, values.get("loss", last), run.seed

    return metric, sorted(kept, key=merit)


def _why(chosen: EvaluationRecord, kept: Sequence[EvaluationRecord], metric: str, seed: int | None) -> str:
    value = (chosen.measurement or {}).get("metrics", {}).get(metric)
    reached = "" if value is None else f" ({metric} {value:.4g})"
    if seed is not None:
        return f"as asked{reached}"
    if len(kept) == 1:
        return f"the only one kept{reached}"
    return f"of {_listed(kept, 'and')} the best on validation{reached}"


def _listed(kept: Sequence[EvaluationRecord], conjunction: str) -> str:
    *seeds, last = map(str, sorted({each.seed for each in kept}))
    return f"seeds {', '.join(seeds)} {conjunction} {last}" if seeds else f"seed {last}"


def _loading(plan: Plan, classes: int) -> str:
    if any(entry.layer < 0 for entry in plan.entries):
        return "It is a whole model: transformers' from_pretrained(FOLDER) loads it"
    first = "After `import evaluator.methods` " if needs_paretune(plan) else ""
    base = f"BASE having num_labels={classes or 1}"
    return f"{first}peft.PeftModel.from_pretrained(BASE, FOLDER) loads it with its task head, {base}"
