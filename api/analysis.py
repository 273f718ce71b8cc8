"""What a job's records say to people: the choices that matter, points by name, the few that show a front best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from api import views
from api.not_ready import NotReady
from api.schemas import FrontView, ImportanceView, PickView, PointView, SubsetView
from api.words import pick_words
from search.analysis.importance import importance
from search.analysis.picks import parse_pick, usual_picks
from search.analysis.subset import best_subset
from search.ledger import history_of, read_trials
from search.objectives import Objectives
from search.submission import Prepared, restore
from space.scores import ScoreTable
from space.space import SearchSpace
from storage.records import JobRecord
from storage.store import Store

EMPTY = "the front is still empty; wait for the first full evaluation, or name a trial"


def picks(job: JobRecord, texts: Sequence[str] = ()) -> list[PickView]:
    """See `Services.picks`."""
    objectives = _objectives(job)
    chosen = [parse_pick(text, objectives) for text in texts] or usual_picks(objectives)
    front = views.front_view(job)
    points = front.points
    if not points:
        raise NotReady(EMPTY)
    values = [point.objectives for point in points]
    # The front's own knee lies among the confirmed points (`search.front`), which its values do not tell.
    marked = next((point for point in points if point.trial == front.knee), None)
    return [
        PickView(
            pick=pick.text,
            words=pick_words(pick),
            point=marked if pick.kind == "knee" and marked else points[pick.choose(values, objectives)],
        )
        for pick in chosen
    ]


def with_subset(job: JobRecord, size: int) -> FrontView:
    """The front with the `size` points that show it best.

    Raises:
        NotReady: it has none yet.
    """
    front, objectives = views.front_view(job), _objectives(job)
    if not front.points:
        raise NotReady(EMPTY)
    found = best_subset([objectives.minimised(point.objectives) for point in front.points], objectives.reference, size)
    share = found.hypervolume / found.whole if found.whole > 0 else 1.0
    how = "no others, as many, keep more" if found.exact else "chosen one by one, at least 63% of the most possible"
    subset = SubsetView(
        trials=[front.points[row].trial for row in found.rows],
        hypervolume=found.hypervolume,
        whole=found.whole,
        exact=found.exact,
        statement=f"{len(found.rows)} of {len(front.points)} points keep {share:.1%} of the front's hypervolume; "
        f"{how}.",
    )
    return front.model_copy(update={"subset": subset})


def importance_view(store: Store, job: JobRecord) -> ImportanceView:
    """See `Services.importance`."""
    prepared, history = prepared_of(job), history_of(read_trials(store, job.id).values())
    found = importance(prepared.space.dimensions, history, prepared.objectives)
    choices = [{**asdict(choice), "matters": choice.matters} for choice in found.choices]
    return ImportanceView.model_validate(
        {"trials": found.trials, "best": found.best, "choices": choices, "statement": found.statement}
    )


def prepared_of(job: JobRecord) -> Prepared:
    return restore(job.spec, job.context)


def planned_space(job: JobRecord, prepared: Prepared) -> SearchSpace:
    """The job's space with the scores that its plans need.

    Raises:
        NotReady: they are not computed yet.
    """
    if not prepared.space.needs_scores:
        return prepared.space
    if "scores" not in job.context:
        raise NotReady("the job's sites have not been scored yet; wait until it runs")
    return prepared.space.with_scores(ScoreTable.model_validate(job.context["scores"]))


def baselines_on_front(points: Sequence[PointView], objectives: Objectives) -> list[list[float]]:
    """The feasible baselines of a front's report, minimised."""
    return [list(map(float, objectives.minimised(point.objectives))) for point in points if point.feasible]


def _objectives(job: JobRecord) -> Objectives:
    return Objectives.model_validate(job.context["objectives"])
