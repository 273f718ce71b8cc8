"""What a job runs next.

In this order: evaluations that wait for another attempt; baselines, interleaved at half the search's steps, cheapest
first; audited trials; promotions; sampled trials. Once nothing more is sampled, every trial that can still enter the
front climbs; then the finalists are run with fresh seeds. Every answer is a function of the ledger, so a job that was
killed goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from search.audit import Audit
from search.baselines import Baseline
from search.finalists import finalists
from search.front import build_front
from search.gain import Gain
from search.growth import after_full_runs, gain_of
from search.job import JobSpec
from search.ladder import Ladder
from search.ledger import Ledger, Trial
from search.objectives import Objectives
from search.sampling import Sampling
from search.stop import SoFar, Stop, stop
from search.thaw import Thaw
from search.timekeeper import Timekeeper
from storage.states import Purpose


@dataclass(frozen=True)
class Next:
    """One evaluation to start."""

    trial: Trial
    purpose: Purpose
    stop_step: int
    seed: int
    reason: str = ""
    """Why this trial and not another, where that was weighed."""


@dataclass
class Agenda:
    """The order of one job's evaluations."""

    spec: JobSpec
    objectives: Objectives
    ladder: Ladder
    baselines: Sequence[Baseline]
    ledger: Ledger
    sampling: Sampling
    time: Timekeeper
    stopped: Stop | None = field(default=None, init=False)
    """The rule that ended the sampling; stored once it did, since what ends afterwards may yet move the hypervolume."""
    _recorded: tuple[int, list[float], Gain | None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.audit = Audit(self.ladder.steps, self.objectives, self.spec.sampler.seed, self.spec.fidelity.audit)
        self.thaw = Thaw(self.ladder, self.ledger)

    def next(self) -> Next | None:
        return (
            self._retry() or self._baseline(interleaved=True) or self._audited() or self._search()
            or self._repeated() or self._after_sampling()
        )  # fmt: skip

    # Sampling

    @property
    def sampled(self) -> int:
        """Configurations proposed so far."""
        return len(self.ledger.of_kind("search"))

    @property
    def untrained(self) -> list[Trial]:
        """Sampled trials that no worker has begun."""
        return [trial for trial in self.ledger.of_kind("search") if not trial.ended and not trial.evaluations]

    def can_sample(self) -> bool:
        """Whether the stop rules and the space still allow a new configuration."""
        if self.stopped is None:
            self.stopped = self._stop()
        return self.stopped is None and not self.sampling.exhausted

    def proposals_wanted(self, idle: int) -> int:
        """How many to ask for, so that each of `idle` slots and the one that falls idle next has one waiting."""
        if self.sampling.asking or not self.can_sample():
            return 0
        return max(0, min(idle + 1 - len(self.untrained), self.spec.budget.trials - self.sampled))

    def _stop(self) -> Stop | None:
        stored = self.ledger.job.progress.get("stopped")
        if stored is not None:
            return Stop(**stored)
        hypervolumes, gain = self._record()
        so_far = SoFar(
            sampled=self.sampled,
            minutes=self.time.seconds / 60,
            kept_minutes=self.time.kept_minutes,
            steps=self.time.steps,
            kept_steps=self.time.kept_steps,
            hypervolumes=hypervolumes,
            gain=gain,
        )
        found = stop(self.spec.budget, so_far)
        if found is not None:
            self.ledger.update(progress={"stopped": asdict(found)})
        return found

    def _record(self) -> tuple[list[float], Gain | None]:
        """The hypervolume after each full run and the gain ahead, where a rule asks; computed once for a ledger's
        version, since the rules are asked at every turn."""
        budget, trials = self.spec.budget, list(self.ledger.trials.values())
        if self._recorded is None or self._recorded[0] != self.ledger.version:
            flat = budget.flat_trials is not None
            grown = after_full_runs(trials, self.objectives, budget.steps) if flat else []
            asked = flat or budget.least_gain is not None
            gain = gain_of(trials, self.objectives, budget.steps) if asked else None
            self._recorded = self.ledger.version, grown, gain
        return self._recorded[1:]

    def _more_may_come(self) -> bool:
        return self.can_sample() or self.sampling.asking

    @property
    def awaits_forecasts(self) -> bool:
        """The model has still to say whether what waits is worth going on with."""
        return self.sampling.outdated and not self.time.is_the_finalists and bool(self.ledger.standing().waiting)

    # The search's own runs

    def _retry(self) -> Next | None:
        for trial in self.ledger.trials.values():
            for record in trial.evaluations.values():
                if record.state in ("queued", "preempted"):
                    return Next(trial, record.purpose, record.stop_step, record.seed)
        return None

    def _search(self) -> Next | None:
        outlook = self.sampling.outlook
        if outlook is None or not outlook.modelled:
            return self._promotion() or self._sampled()
        if self.time.is_the_finalists:
            return None
        step = self.thaw.choice(outlook, self.time.search_seconds_left, last_call=self._last_call)
        if step is None:
            return self._sampled()
        if not step.trial.evaluations:
            return self._begin(step.trial, step.reason)
        return Next(step.trial, "rung", step.stop_step, self.spec.sampler.seed, step.reason)

    def dropped(self) -> list[tuple[Trial, str]]:
        """Trials that leave the ladder now, since they will not enter the front, and why; audited ones stay."""
        outlook = self.sampling.outlook
        if outlook is None or not outlook.modelled or self.sampling.outdated:
            return []
        audited = {trial.number for trial in self.audit.audited(self.ledger.of_kind("search"))}
        return [(trial, why) for trial, why in self.thaw.dropped(outlook) if trial.number not in audited]

    @property
    def _last_call(self) -> bool:
        """Nothing new will be sampled, what was is measured, and the model, if there is one, knows of it."""
        lowest = [step for step in self.ladder.steps if step <= self.lowest]
        search = self.ledger.of_kind("search")
        begun = not self.untrained and not any(trial.runs_to(step) for trial in search for step in lowest)
        return begun and not self._more_may_come() and not self.awaits_forecasts

    def _promotion(self) -> Next | None:
        if self.time.is_the_finalists:
            return None
        step = self.ladder.promotion(self.ledger.of_kind("search"), last_call=self._last_call)
        return Next(step.trial, "rung", step.stop_step, self.spec.sampler.seed, step.reason) if step else None

    def _sampled(self) -> Next | None:
        trial = None if self.time.is_the_finalists else next(iter(self.untrained), None)
        return None if trial is None else self._begin(trial)

    def _begin(self, trial: Trial, reason: str = "") -> Next:
        if self.spec.sources_only:
            return Next(trial, "rung", self.ladder.steps[-1], self.fresh_seeds[0], reason)
        self._raise_lowest()
        return Next(trial, "rung", self.lowest, self.spec.sampler.seed, reason)

    def _repeated(self) -> Next | None:
        """The further seeds of points that sources chose: no run here selected them, so all of them count."""
        if not self.spec.sources_only:
            return None
        for trial in self.ledger.of_kind("search"):
            for seed in self.fresh_seeds if trial.measured_to(self.spec.budget.steps, "rung") else ():
                if trial.evaluation("rung", self.spec.budget.steps, seed) is None:
                    return Next(trial, "rung", self.spec.budget.steps, seed)
        return None

    # The audit of short runs

    @property
    def rises(self) -> list[dict[str, Any]]:
        """What the audit decided so far: `step`, the one that new trials start at from then on, and why, in `words`."""
        return list(self.ledger.job.progress.get("rises", []))

    @property
    def lowest(self) -> int:
        """Step of the rung that new trials start at."""
        return int(self.rises[-1]["step"]) if self.rises else self.ladder.steps[0]

    def _audited(self) -> Next | None:
        if self.spec.sources_only:  # nothing is trained short
            return None
        climb = None if self.time.is_the_finalists else self.audit.climb(self.ledger.of_kind("search"))
        return Next(climb.trial, "rung", climb.stop_step, self.spec.sampler.seed, climb.reason) if climb else None

    def _raise_lowest(self) -> None:
        """Decided once and stored: trials that never ran on the rung that was left cannot speak for it later."""
        rise = self.audit.rise(self.ledger.of_kind("search"), self.lowest)
        if rise is not None:
            told = {"step": rise.step, "words": rise.words}
            self.ledger.update(progress={"rises": [*self.rises, told]}, events=[("audit", told)])

    def _after_sampling(self) -> Next | None:
        if self._more_may_come() or self.awaits_forecasts:
            return None
        if (remaining := self._baseline(interleaved=False)) is not None:
            return remaining
        # The finalists are chosen from a front that stands: baselines belong to it.
        running = any(trial.active for trial in self.ledger.trials.values())
        return self._finalist() if self.finalists_begun or not running else None

    # Finalists

    @property
    def fresh_seeds(self) -> range:
        """Seeds of finalists and baselines: none of them selected a configuration."""
        return range(self.spec.sampler.seed + 1, self.spec.sampler.seed + 1 + self.spec.finalists.seeds)

    @property
    def finalists_begun(self) -> bool:
        return any(
            record.purpose == "finalist"
            for trial in self.ledger.of_kind("search")
            for record in trial.evaluations.values()
        )

    def _finalist(self) -> Next | None:
        """All seeds of the first, which show the spread between seeds; then a seed of each before another of any: where
        the minutes end early, one run that selected nothing is what a point lacks most.
        """
        chosen = self._finalists() if self.time.fits_another_finalist else []
        runs = [(trial, seed) for trial in chosen[:1] for seed in self.fresh_seeds]
        runs += [(trial, seed) for seed in self.fresh_seeds for trial in chosen[1:]]
        for trial, seed in runs:
            if trial.evaluation("finalist", self.spec.budget.steps, seed) is None:
                return Next(trial, "finalist", self.spec.budget.steps, seed)
        return None

    def _finalists(self) -> list[Trial]:
        """The points to re-run, chosen once by the search's own runs; a later mean does not change the choice."""
        stored = self.ledger.job.progress.get("finalists")
        if stored is None:
            front = build_front(list(self.ledger.trials.values()), self.objectives, self.spec.budget.steps)
            chosen = finalists(front, self.spec.finalists.count, self.spec.sampler.seed)
            stored = [trial.number for trial in chosen]
            self.ledger.update(progress={"finalists": stored})
        return [self.ledger.trials[number] for number in stored]

    # Baselines

    def _baseline(self, *, interleaved: bool) -> Next | None:
        """The next step of the first unfinished baseline.

        Interleaved: only while baselines have had at most half the steps of the search, the head alone at once.
        """
        if self.time.is_the_finalists:
            return None
        for candidates in self._candidates():
            head_only = len(candidates) == 1
            if interleaved and not head_only and self._steps("baseline") > 0.5 * self._steps("search"):
                return None
            step = self._baseline_step(candidates)
            if step is not None:
                return step
        return None

    def _candidates(self) -> list[list[Trial]]:
        """Each baseline's trials, which differ in their learning rate."""
        trials = self.ledger.of_kind("baseline")
        return [[trial for trial in trials if trial.record.name == baseline.name] for baseline in self.baselines]

    def _steps(self, kind: str) -> int:
        return sum(record.stop_step for trial in self.ledger.of_kind(kind) for record in trial.evaluations.values())

    def _baseline_step(self, candidates: Sequence[Trial]) -> Next | None:
        chosen = self._chosen_candidate(candidates)
        if isinstance(chosen, Next) or chosen is None:
            return chosen
        for seed in self.fresh_seeds:
            if chosen.evaluation("baseline", self.spec.budget.steps, seed) is None:
                return Next(chosen, "baseline", self.spec.budget.steps, seed)
        return None

    def _chosen_candidate(self, candidates: Sequence[Trial]) -> Trial | Next | None:
        """The candidate of the lowest validation loss at the lowest rung, or the run still missing to tell, or None."""
        alive = [trial for trial in candidates if not trial.ended]
        if len(candidates) == 1 or len(alive) <= 1:
            return alive[0] if alive else None
        first, seed = self.ladder.steps[0], self.spec.sampler.seed
        losses: list[tuple[float, Trial]] = []
        for trial in alive:
            record = trial.evaluation("rung", first, seed)
            if record is None:
                return Next(trial, "rung", first, seed)
            if record.state == "completed" and record.measurement is not None:
                losses.append((float(record.measurement["metrics"]["loss"]), trial))
        if len(losses) < len(alive):
            return None
        best = min(losses, key=lambda pair: (pair[0], pair[1].number))[1]
        for _, trial in losses:
            if trial is not best:
                self.ledger.set_trial(trial, "pruned")
        return best

    # The end

    def reason(self) -> str:
        """Why nothing more runs, in words for the user, with what the budget did not allow."""
        none_left = "the sources' fronts hold" if self.spec.sources_only else "the space holds"
        why = self.stopped.reason if self.stopped else f"{none_left} no further configuration"
        cut = [part for part in (self._baselines_cut(), self._finalists_cut()) if part]
        limit = "minutes" if self.spec.budget.total_steps is None else "steps"
        if self.spec.budget.minutes is not None and limit == "steps":
            limit = "budget"
        return f"{why}; the {limit} ended before {' and '.join(cut)}" if cut else why

    def _baselines_cut(self) -> str:
        groups = self._candidates()
        able = [group for group in groups if any(trial.record.state != "failed" for trial in group)]
        missing = sum(not any(trial.measured("baseline") for trial in group) for group in able)
        return f"{missing} of {len(groups)} baselines" if missing else ""

    def _finalists_cut(self) -> str:
        chosen = self.ledger.job.progress.get("finalists")
        if chosen is None:
            return "the finalists" if self.spec.finalists.count else ""
        finalists = [self.ledger.trials[number] for number in chosen]
        runs = [
            trial.evaluation("finalist", self.spec.budget.steps, seed)
            for trial in finalists
            for seed in self.fresh_seeds
        ]
        missing = sum(run is None for run in runs)
        return f"{missing} of {len(runs)} runs of the finalists" if missing else ""
