"""What every `Pool` leaves behind: no process, whoever died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pool_requests import OpenPool, drain, ends, finished, only_end, request, until, wait_for_end

from evaluator.pool.pool import Failed, Progressed, Stopped

HERE = Path(__file__).parents[1]
ROOT = HERE.parents[1]

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("birth", ["fork", "fork-session"])
def test_children_end_with_their_evaluation_s_limit(open_pool: OpenPool, tmp_path: Path, birth: str) -> None:
    pool = open_pool(time_limit=0.5)
    born = tmp_path / "child"
    pool.submit(request("a", f"{birth} {born}", "hang"))
    end = only_end(drain(pool))
    assert isinstance(end, Failed) and end.reason == "time-limit"
    wait_for_end(int(born.read_text()))


def test_children_of_a_worker_that_dies_end_with_it(open_pool: OpenPool, tmp_path: Path) -> None:
    pool = open_pool()
    born = tmp_path / "child"
    pool.submit(request("a", f"fork {born}", "die"))
    end = only_end(drain(pool))
    assert isinstance(end, Failed) and end.reason == "worker-died"
    wait_for_end(int(born.read_text()))


def test_closing_ends_workers_and_children_and_stops_what_ran(open_pool: OpenPool, tmp_path: Path) -> None:
    pool = open_pool()
    worker = finished(pool, "before")["pid"]
    born = tmp_path / "child"
    pool.submit(request("a", f"fork {born}", "hang-at 2"))
    pool.submit(request("b"))
    until(pool, "a", Progressed)
    pool.close()
    pool.close()
    wait_for_end(worker)
    wait_for_end(int(born.read_text()))
    assert {event.evaluation for event in ends(pool.poll(0)) if isinstance(event, Stopped)} == {"a", "b"}
    assert pool.running() == frozenset()
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(request("c"))


def test_a_pool_can_be_closed_while_its_workers_start(open_pool: OpenPool) -> None:
    pool = open_pool(2)
    pool.submit(request("a"))
    pool.close()
    assert [event.evaluation for event in ends(pool.poll(0))] == ["a"]


OWNER = """
import importlib, sys, threading
from pathlib import Path
from evaluator.evaluate import EvaluationRequest
from evaluator.pool.pool import Finished, Progressed

implementation, folder, idle, hanging = sys.argv[1:]
module, _, name = implementation.partition(":")
pool = getattr(importlib.import_module(module), name)(
    1, Path(folder), evaluator="light_evaluator:LightEvaluator"
)
pool.submit(EvaluationRequest.model_validate_json(idle))
while pool.running():
    for event in pool.poll(60):
        if isinstance(event, Finished):
            worker = event.measurement.provenance["pid"]
pool.submit(EvaluationRequest.model_validate_json(hanging))
while not any(isinstance(event, Progressed) for event in pool.poll(60)):
    pass
print(worker, flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_owner(implementation: str, tmp_path: Path, blow: signal.Signals) -> None:
    born = tmp_path / "child"
    requests = (request("idle"), request("hanging", f"fork-session {born}", "hang-at 2"))
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, implementation, str(tmp_path / "logs")]
        + [one.model_dump_json() for one in requests],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE)))},
    )
    with owner:
        assert owner.stdout is not None
        worker = int(owner.stdout.readline())
        owner.send_signal(blow)
    wait_for_end(worker)
    wait_for_end(int(born.read_text()))
