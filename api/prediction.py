"""What a search knows and believes about one configuration.

Exact values come from the plan, here; the rest from the surrogate model, which `python -m api.believe` fits in a
process of its own: this one loads no tensor library.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from api import analysis
from api.schemas import ExpectedView, PredictionRequest, PredictionView
from api.settings import Settings, child_environment
from api.words import metric_title, metric_value
from evaluator.environment import REPEATABLE
from search.ledger import history_of, read_trials
from search.samplers.bayes.design import FEWEST_MEASURED
from search.samplers.past import measured
from space.encode import Point
from space.errors import FieldError
from space.space import SearchSpace
from storage.records import JobRecord
from storage.store import Store

COMMAND = (sys.executable, "-m", "api.believe")
SECONDS = 600.0
MESSAGE_LINES = 15


class ModelFailed(Exception):
    """The process that fits the model gave no answer; the message says why."""


def predict(settings: Settings, store: Store, job: JobRecord, request: PredictionRequest) -> PredictionView:
    """See `api.services.Services.predict`."""
    prepared = analysis.prepared_of(job)
    space = analysis.planned_space(job, prepared)
    point = _point(space, request)
    key = space.key(point)
    trials = read_trials(store, job.id)
    results = len(measured(history_of(trials.values()), prepared.objectives))
    found = _believed(settings, job, point) if results >= FEWEST_MEASURED else {}
    expected = {
        each["metric"]: ExpectedView(value=each["value"], low=each["low"], high=each["high"])
        for each in found.get("expected", ())
    }
    answer = PredictionView(
        configuration=space.decode(point).model_dump(mode="json"),
        known={metric: space.known(point, metric) for metric in space.known_metrics},
        trial=next((number for number, trial in trials.items() if trial.record.key == key), None),
        trials=results,
        expected=expected,
        feasible=found.get("feasible"),
        on_front=found.get("on_front"),
        gain=found.get("gain"),
        statement="",
    )
    return answer.model_copy(update={"statement": _statement(answer)})


def _point(space: SearchSpace, request: PredictionRequest) -> Point:
    """The point asked about; raises FieldError where the search could not try it."""
    if request.configuration is not None:
        field = "configuration"
        try:
            point = space.encode(request.configuration)
        except FieldError as error:
            raise error.under(field) from error
    else:
        assert request.point is not None
        field, point = "point", dict(request.point)
    reason = space.check(point)
    if reason is not None:
        raise FieldError(field, f"the search would not try it: {reason}")
    return {dimension.name: point[dimension.name] for dimension in space.active(point)}


def _believed(settings: Settings, job: JobRecord, point: Point) -> dict[str, Any]:
    environment = {**REPEATABLE, **child_environment(settings)}
    question = json.dumps({"job": job.id, "point": point})
    try:
        done = subprocess.run(  # noqa: S603 - this program's own command
            COMMAND, input=question, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ModelFailed(
            f"the model gave no answer within {SECONDS:.0f} s; ask again when the machine is free"
        ) from error
    except OSError as error:
        raise ModelFailed(f"the process that fits the model cannot be started: {error}") from error
    if done.returncode != 0:
        end = "\n".join(done.stderr.splitlines()[-MESSAGE_LINES:])
        raise ModelFailed(f"the process that fits the model ended with code {done.returncode}.\n{end}".rstrip())
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _statement(answer: PredictionView) -> str:
    parts = []
    if answer.trial is not None:
        parts.append(f"Trial {answer.trial} trained the same model.")
    if answer.on_front is None or answer.gain is None:
        parts.append(
            f"The model needs {FEWEST_MEASURED} trials with results; there are {answer.trials}. Only what is known "
            "before training can be said."
        )
        return " ".join(parts)
    for metric, each in answer.expected.items():
        value, low, high = (metric_value(metric, number) for number in (each.value, each.low, each.high))
        parts.append(f"{metric_title(metric)} {value} expected, 95% of runs from {low} to {high}.")
    parts.append(
        f"On the front with probability {answer.on_front:.2f}, {answer.gain:.2g} hypervolume expected to be added; "
        f"a Gaussian process on {answer.trials} trials."
    )
    return " ".join(parts)
