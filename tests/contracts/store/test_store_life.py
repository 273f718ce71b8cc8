"""Any sequence of calls, by two owners and a user, keeps what the contract promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from storage.errors import IllegalTransition, LeaseLost, StaleAttempt, StoreError
from storage.open import open_store
from storage.records import NewTrial
from storage.states import TRIAL_CHANGES

LEASE = 60
OWNERS = st.sampled_from(["loop-1", "loop-2"])
ENDED = ("completed", "cancelled", "failed")


@dataclass
class Picture:
    """Everything the store holds."""

    jobs: dict[str, Any]
    trials: dict[tuple[str, int], Any]
    evaluations: dict[str, Any]
    events: dict[str, list[Any]]


class Life(RuleBasedStateMachine):
    url: str
    clock: Any

    def __init__(self) -> None:
        super().__init__()
        self.store = open_store(self.url, now=self.clock)
        self.present = self.take()

    def teardown(self) -> None:
        for job in self.present.jobs.values():
            if job.state == "running":
                self.store.end_job(job.id, job.owner, "cancelled")
            elif job.state == "queued":
                self.store.request(job.id, "cancel")
            self.store.delete_job(job.id)
        self.store.close()

    def take(self) -> Picture:
        jobs = {job.id: job for job in self.store.jobs(limit=1000).items}
        trials = {(t.job_id, t.number): t for job_id in jobs for t in self.store.all_trials(job_id)}
        evaluations = {e.id: e for job_id in jobs for e in self.store.evaluations(job_id)}
        return Picture(jobs, trials, evaluations, {job_id: self.store.events(job_id, limit=1000) for job_id in jobs})

    def call(self, expected: type[StoreError] | None, method: str, *arguments: Any, **options: Any) -> Any:
        """Call the store, which must raise just `expected`, and then have changed nothing."""
        before = self.present
        try:
            answer = getattr(self.store, method)(*arguments, **options)
            raised: Any = None
        except StoreError as error:
            answer, raised = None, error
        self.present = self.take()
        assert type(raised) is (expected or type(None)), raised
        if raised is not None:
            assert self.present == before
        return answer

    def lost(self, job_id: str, owner: str) -> type[StoreError] | None:
        job = self.present.jobs[job_id]
        return None if job.state == "running" and job.owner == owner else LeaseLost

    @rule(seconds=st.sampled_from([1, 30, LEASE]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: len(self.present.jobs) < 3)
    @rule()
    def submit(self) -> None:
        self.call(None, "create_job", {"name": "topics"})

    @rule(owner=OWNERS)
    def claim(self, owner: str) -> None:
        jobs = list(self.present.jobs.values())[::-1]  # oldest first
        queued = [job.id for job in jobs if job.state == "queued"]
        left = [job.id for job in jobs if job.state == "running" and job.lease_until <= self.clock()]
        claimed = self.call(None, "claim_job", owner, LEASE)
        assert [claimed and claimed.id] == ([*queued, *left] or [None])[:1]

    @precondition(lambda self: self.present.jobs)
    @rule(data=st.data(), action=st.sampled_from(["cancel", "pause", "resume"]))
    def request(self, data: Any, action: str) -> None:
        job = self.pick(data, self.present.jobs)
        refused = (
            (job.state in ENDED and (job.state, action) != ("cancelled", "cancel"))
            or (job.requested == "cancel" and action != "cancel")
            or (job.requested == "pause" and action == "resume")
        )
        self.call(IllegalTransition if refused else None, "request", job.id, action)

    @precondition(lambda self: self.present.jobs)
    @rule(data=st.data(), owner=OWNERS, state=st.sampled_from(["completed", "cancelled", "failed", "paused", None]))
    def leave(self, data: Any, owner: str, state: str | None) -> None:
        job = self.pick(data, self.present.jobs)
        method, options = ("release_job", ()) if state is None else ("end_job", (state,))
        self.call(self.lost(job.id, owner), method, job.id, owner, *options)

    @precondition(lambda self: self.present.jobs)
    @rule(data=st.data(), owner=OWNERS)
    def take_over(self, data: Any, owner: str) -> None:
        job = self.pick(data, self.present.jobs)
        self.call(self.lost(job.id, owner), "release_evaluations", job.id, owner)

    @precondition(lambda self: self.present.jobs)
    @rule(data=st.data(), owner=OWNERS)
    def propose(self, data: Any, owner: str) -> None:
        job = self.pick(data, self.present.jobs)
        trial = NewTrial("search", "key", {}, {}, {}, "sobol", "because")
        self.call(self.lost(job.id, owner), "add_trials", job.id, owner, [trial])

    @precondition(lambda self: self.present.trials)
    @rule(data=st.data(), owner=OWNERS, state=st.sampled_from(list(TRIAL_CHANGES)))
    def judge(self, data: Any, owner: str, state: str) -> None:
        trial = self.pick(data, self.present.trials)
        refused = None if state in TRIAL_CHANGES[trial.state] else IllegalTransition
        expected = self.lost(trial.job_id, owner) or refused
        self.call(expected, "set_trial", trial.job_id, owner, trial.number, state)

    @precondition(lambda self: self.present.trials)
    @rule(data=st.data(), owner=OWNERS, seed=st.integers(0, 1))
    def plan(self, data: Any, owner: str, seed: int) -> None:
        trial = self.pick(data, self.present.trials)
        run = {"purpose": "rung", "fidelity": 1.0, "stop_step": 9, "seed": seed}
        self.call(self.lost(trial.job_id, owner), "add_evaluation", trial.job_id, owner, trial.number, **run)

    @precondition(lambda self: self.present.evaluations)
    @rule(data=st.data(), owner=OWNERS)
    def lease(self, data: Any, owner: str) -> None:
        found = self.pick(data, self.present.evaluations)
        free = found.state == "queued" or (found.state == "running" and found.lease_until <= self.clock())
        expected = self.lost(found.job_id, owner) or (None if free else IllegalTransition)
        self.call(expected, "lease_evaluation", found.id, owner, LEASE)

    @precondition(lambda self: self.present.evaluations)
    @rule(data=st.data(), behind=st.integers(0, 1), how=st.sampled_from(["finish", "fail", "retry", "progress"]))
    def report(self, data: Any, behind: int, how: str) -> None:
        found = self.pick(data, self.present.evaluations)
        attempt = found.attempt - behind
        expected = None if found.state == "running" and behind == 0 else StaleAttempt
        if how == "finish":
            self.call(expected, "finish_evaluation", found.id, attempt, {"by": attempt}, [("adapter", "d" * 64, 1)])
        elif how == "progress":
            self.call(expected, "record_progress", found.id, attempt, [{"step": 1}])
        else:
            self.call(expected, "fail_evaluation", found.id, attempt, "error", "it failed", how == "retry")

    def pick(self, data: Any, among: dict[Any, Any]) -> Any:
        return list(among.values())[data.draw(st.integers(0, len(among) - 1))]

    @invariant()
    def what_does_not_run_has_nothing_open(self) -> None:
        for job in self.present.jobs.values():
            states = {e.state for e in self.present.evaluations.values() if e.job_id == job.id}
            trials = {t.state for t in self.present.trials.values() if t.job_id == job.id}
            if job.state != "running":
                assert (job.owner, job.lease_until, job.requested) == (None, None, None)
                assert "running" not in states
            if job.state not in ("running", "queued"):
                assert "queued" not in states
            if job.state != "paused":
                assert "preempted" not in states
            if job.state in ENDED:
                assert not trials & {"waiting", "running"}

    @invariant()
    def results_are_of_the_attempt_that_ran_last(self) -> None:
        for evaluation in self.present.evaluations.values():
            assert evaluation.measurement in (None, {"by": evaluation.attempt})
            assert len(evaluation.artifacts) == (evaluation.state == "completed")

    @invariant()
    def the_last_event_of_each_thing_tells_its_state(self) -> None:
        for job_id, events in self.present.events.items():
            last = {}
            for event in events:
                last[event.kind, event.payload.get("id", event.payload.get("number"))] = event.payload
            job = self.present.jobs[job_id]
            told = last.pop(("state", None))
            assert (told["state"], told["requested"]) == (job.state, job.requested)
            trials = {number: t.state for (owner, number), t in self.present.trials.items() if owner == job_id}
            runs = {e.id: (e.state, e.attempt) for e in self.present.evaluations.values() if e.job_id == job_id}
            assert {id_: told["state"] for (kind, id_), told in last.items() if kind == "trial"} == trials
            told_runs = {id_: told for (kind, id_), told in last.items() if kind == "evaluation"}
            assert {id_: (told["state"], told["attempt"]) for id_, told in told_runs.items()} == runs


def test_any_life_of_a_job_keeps_the_contract(url, clock) -> None:
    machine = type("LifeOnThisEngine", (Life,), {"url": url, "clock": clock})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
