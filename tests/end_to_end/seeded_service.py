"""A web process over a store filled with searches as the loop leaves them: `python seeded_service.py DATA_DIR PORT`.

The records are made through the ledger and the real store; only the measured numbers are drawn from a simple law
instead of training, so that pages can be looked at without it. Type "step" and Enter to let the running search find
another point.
"""

from __future__ import annotations

import json
import math
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn

from api.app import create_app
from api.settings import load_settings
from api.wiring import make_services
from evaluator.evaluate import Measurement, Progress
from evaluator.inspection import Inspection
from evaluator.pool.log import log_of
from search.audit import Audit
from search.audit_report import audit_report
from search.baselines import baselines
from search.finalists import finalists
from search.front import build_front
from search.job import JobSpec
from search.ledger import ADAPTER, Ledger, Trial
from search.progress import progress_of
from search.samplers.random import RandomSampler
from search.samplers.sampler import Proposal
from search.samplers.transfer import TransferSampler
from search.submission import Prepared, prepare
from space.sites import Site, SiteTable
from storage.artifacts import Artifact, ArtifactStore
from storage.store import Store

OWNER = "seed"
LEASE = 86400.0
HIDDEN, DEPTH, INNER = 384, 6, 1536
CLASSES = ("business", "entertainment", "politics", "sport", "tech")
STEPS = 200
STRATEGIES = (
    ("sobol", "covers the space evenly before there is a model of it"),
    ("bayes", "largest expected gain in hypervolume among 512 candidates around the front"),
    ("bayes", "fills the gap between trials 4 and 9 on the front"),
)


def mini_table() -> SiteTable:
    """The site table of a BERT of MiniLM's sizes."""
    sizes = {
        "attention.query": ("attention.self.query", HIDDEN, HIDDEN),
        "attention.key": ("attention.self.key", HIDDEN, HIDDEN),
        "attention.value": ("attention.self.value", HIDDEN, HIDDEN),
        "attention.output": ("attention.output.dense", HIDDEN, HIDDEN),
        "mlp.up": ("intermediate.dense", HIDDEN, INNER),
        "mlp.down": ("output.dense", INNER, HIDDEN),
    }
    ends = {
        "attention": ("attention.self.query", "attention.output.dense"),
        "mlp": ("intermediate.dense", "output.dense"),
    }
    sites = []
    for layer in range(DEPTH):
        inside = f"encoder.layer.{layer}"
        for role, (module, in_size, out_size) in sizes.items():
            sites.append(
                Site(
                    layer=layer,
                    role=role,
                    kind="linear",
                    in_size=in_size,
                    out_size=out_size,
                    module=f"{inside}.{module}",
                )
            )
        for role, (first, last) in ends.items():
            sites.append(
                Site(
                    layer=layer,
                    role=role,
                    kind="sublayer",
                    in_size=HIDDEN,
                    out_size=HIDDEN,
                    module=f"{inside}.{last}",
                    input_module=f"{inside}.{first}",
                )
            )
    sites.append(Site(layer=-1, role="model", kind="model", in_size=0, out_size=0, module=""))
    return SiteTable(
        model_type="bert",
        form="encoder",
        hidden_size=HIDDEN,
        depth=DEPTH,
        heads=12,
        key_value_size=HIDDEN,
        max_positions=512,
        parameters=22_565_376,
        head_modules=("bert.pooler", "classifier"),
        sites=tuple(sites),
    )


class Seen:
    """An inspector that has looked already."""

    def inspect(self, *_: Any) -> Inspection:
        return Inspection(
            table=mini_table(),
            classes=CLASSES,
            class_counts=(510, 386, 417, 511, 401),
            content_hash="0" * 64,
            rows={"train": 1558, "validation": 333, "test": 334},
            median_tokens=432,
            longest_tokens=4300,
            cut_share=0.99,
            measured_texts=2225,
        )


@dataclass
class Search:
    """One job being filled."""

    store: Store
    data_dir: Path
    spec: JobSpec
    flat: bool = False
    """Whether paying for parameters buys nothing."""

    def __post_init__(self) -> None:
        self.prepared: Prepared = prepare(self.spec, Seen(), self.store)
        self.audit = Audit(self.spec.fidelity.steps(STEPS), self.prepared.objectives, 0, self.spec.fidelity.audit)
        self.rng = np.random.default_rng(len(self.spec.name))
        self.transfer = self.prepared.transfer(self.prepared.space)
        self.history: list[list[float]] = []
        self.completed = 0
        self.seconds = 0.0
        self.job = self.store.create_job(self.prepared.spec.model_dump(mode="json"), self.prepared.context())[0].id

    def claim(self) -> None:
        job = self.store.claim_job(OWNER, LEASE)
        assert job is not None
        self.ledger = Ledger(self.store, job, OWNER, LEASE)
        folder = self.data_dir / "jobs" / job.id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "split.json").write_text(
            '{"version": 1, "content_hash": "0", "rows": 9, "train": [0], "validation": [1], "test": [2], '
            '"classes": ["a", "b"], "class_counts": [5, 4]}'
        )

    def accuracy(self, trial: Trial, steps: int) -> float:
        """Saturating in parameters and steps, worse away from a good learning rate."""
        size = math.log10(1 + trial.plan.trainable_parameters)
        top = 0.962 + 0.001 * size if self.flat else 0.74 + 0.2 * (1 - math.exp(-size / 3.4))
        rate = trial.configuration.learning_rate or 1e-3
        off = 0.012 * abs(math.log10(rate / 1.5e-3)) ** 2 * (0.2 if self.flat else 1)
        return min(0.985, (top - off) * (1 - 0.35 * math.exp(-steps / 60)))

    def train(self, trial: Trial, purpose: Any, stop: int, seed: int) -> Measurement:
        record = self.ledger.start(trial, purpose, stop / STEPS, stop, seed)
        log = log_of(self.data_dir / "logs", record.id)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"worker 1: trial {trial.number}, seed {seed}\nworker 1: step {stop} of {STEPS}\n")
        rng = np.random.default_rng([trial.number, seed])
        noise = float(rng.normal(0, 0.004))
        curve = []
        for step in sorted({*range(5, stop + 1, 5), stop}):
            reached = self.accuracy(trial, step) + noise
            loss = 1.9 * (1.02 - reached) + 0.12
            held = {"accuracy": reached, "loss": loss + 0.05} if step % 20 == 0 or step == stop else {}
            curve.append(Progress(step=step, loss=max(0.02, loss + float(rng.normal(0, 0.03))), validation=held))
        value = self.accuracy(trial, stop) + noise
        parameters = trial.plan.trainable_parameters
        metrics = {
            "accuracy": value,
            "macro_f1": value - 0.006,
            "loss": curve[-1].validation["loss"],
            "trainable_parameters": float(parameters),
            "adapter_bytes": 4.0 * parameters + 900,
            "training_memory": 3.1e7 + 1.4e4 * math.sqrt(parameters + 1),
            "step_seconds": 0.21 + 1.5e-7 * parameters,
            "inference_latency": 0.0081,
        }
        test = {"accuracy": value - 0.004} if purpose != "rung" else {}
        measurement = Measurement(
            step=stop, metrics=metrics, test_metrics=test, curve=tuple(curve), train_seconds=20, total_seconds=22
        )
        self.ledger.finish(record, measurement, {} if purpose == "rung" else {ADAPTER: self.kept(record.id)})
        if purpose != "finalist":
            self.ledger.set_trial(trial, "running", summary={**metrics, "fidelity": stop / STEPS})
        self.completed += 1
        self.seconds += 11.5
        return measurement

    def kept(self, evaluation: str) -> Artifact:
        """What stands for the trained adapter."""
        folder = self.data_dir / "jobs" / self.job / "adapters" / evaluation
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text(json.dumps({"evaluation": evaluation}))
        return ArtifactStore(self.data_dir / "artifacts").put_folder(folder)

    def baseline(self, position: int) -> None:
        found, _ = baselines(self.prepared.table, 10**12)
        each = found[position]
        before = len(self.ledger.trials)
        candidate = each.candidates[len(each.candidates) // 2]
        self.ledger.add_baseline(each.name, [(*candidate, {})], f"hand-made: {each.title}")
        trial = self.ledger.trials[before]
        for seed in (101, 102):
            self.train(trial, "baseline", STEPS, seed)
        self.ledger.set_trial(trial, "completed")
        self.publish()

    def sampled(self, fails: bool = False) -> Trial:
        space = self.prepared.space
        point = space.sample(self.rng)
        strategy, reason = STRATEGIES[int(self.rng.integers(len(STRATEGIES)))]
        before = len(self.ledger.trials)
        self.ledger.add_proposals([Proposal(point, space.decode(point), strategy, reason)], [space.plan(point)])
        trial = self.ledger.trials[before]
        stops = self.spec.fidelity.steps(STEPS)
        audited = trial in self.audit.audited(self.ledger.of_kind("search"))
        if fails:
            record = self.ledger.start(trial, "rung", stops[0] / STEPS, stops[0], 0)
            message = "the training loss is nan at step 14; the learning rate is too high"
            log = log_of(self.data_dir / "logs", record.id)
            log.write_text("step 12: loss 3.1\nstep 13: loss 911.4\nstep 14: loss nan\n")
            self.ledger.fail(record, "nan", message, False)
            self.ledger.set_trial(trial, "failed", failure={"reason": "nan", "message": message})
            return trial
        for stop in stops:
            self.train(trial, "rung", stop, 0)
            if stop < STEPS and self.rng.random() < 0.33 and not audited:
                self.ledger.set_trial(trial, "pruned")
                return trial
        self.ledger.set_trial(trial, "completed")
        self.publish()
        return trial

    def transferred(self) -> None:
        """The sources' points, as `TransferSampler` proposes them."""
        assert self.transfer is not None
        proposals = TransferSampler(
            RandomSampler(self.prepared.space, self.prepared.objectives, 0), self.transfer, self.prepared.space
        ).ask(self.ledger.history(), self.transfer.warm_start)
        before = len(self.ledger.trials)
        self.ledger.add_proposals(proposals, [self.prepared.space.plan(each.point) for each in proposals])
        for number in range(before, before + len(proposals)):
            for seed in (101, 102):
                self.train(self.ledger.trials[number], "rung", STEPS, seed)
            self.ledger.set_trial(self.ledger.trials[number], "completed")
            self.publish()

    def finalists(self) -> None:
        front = build_front(list(self.ledger.trials.values()), self.prepared.objectives, STEPS)
        for trial in finalists(front, 5, 0):
            for seed in (101, 102):
                self.train(trial, "finalist", STEPS, seed)

    def publish(self, phase: str = "searching") -> None:
        front = build_front(list(self.ledger.trials.values()), self.prepared.objectives, STEPS)
        if front.points:
            self.history.append([self.seconds, self.completed, front.hypervolume])
        described = progress_of(self.prepared.spec, self.ledger, front, self.history)
        self.ledger.update(
            {
                "phase": phase,
                "elapsed_seconds": self.seconds,
                "audit": audit_report(self.audit, self.ledger.of_kind("search"), self.audit.steps[0], []),
                **({"transfer": self.transfer.report(self.ledger.history())} if self.transfer else {}),
                **described,
            },
            events=[("front", {"trials": described["front"]["order"]})],
        )


def spec_of(name: str, folder: Path, **fields: Any) -> JobSpec:
    content = {
        "name": name,
        "model": {"path": str(folder / "minilm")},
        "task": {"data": {"path": str(folder / "bbc-news.jsonl")}, "max_length": 64},
        "space": {"preset": "all", "allocator": ["uniform"]},
        "budget": {"trials": 20, "minutes": 30, "steps": STEPS},
        **fields,
    }
    return JobSpec.model_validate(content)


def seed(store: Store, data_dir: Path) -> Search:
    """Fill the store; gives back the search that is still running."""
    budget = {"trials": 36, "minutes": 30, "steps": STEPS}
    done = Search(
        store, data_dir, spec_of("News topics with MiniLM", data_dir, budget=budget, fidelity={"audit": 0.25})
    )
    done.claim()
    for index in range(36):
        if index % 4 == 0 and index < 20:
            done.baseline(index // 4)
        done.sampled(fails=index in (7, 13))
    done.finalists()
    done.publish("completed")
    done.ledger.end("completed", "36 trials are done")

    many = spec_of(
        "Glosses, four objectives",
        data_dir,
        objectives=[
            {"metric": each} for each in ("quality", "trainable_parameters", "training_memory", "step_seconds")
        ],
        constraints=[{"metric": "trainable_parameters", "max": 300_000}],
        space={"preset": "autopeft"},
    )
    wide = Search(store, data_dir, many)
    wide.claim()
    for index in range(12):
        if index % 3 == 0:
            wide.baseline(index // 3)
        wide.sampled()
    wide.publish("completed")
    wide.ledger.end("completed", "12 trials are done")

    level = Search(store, data_dir, spec_of("A flat one", data_dir, space={"preset": "lora"}), flat=True)
    level.claim()
    for index in range(6):
        if index % 2 == 0:
            level.baseline(index // 2)
        level.sampled()
    level.finalists()
    level.publish("completed")
    level.ledger.end("completed", "6 trials are done")

    carried = spec_of("Reviews, from news topics", data_dir, transfer={"jobs": [done.job], "warm_start": 6})
    moved = Search(store, data_dir, carried)
    moved.claim()
    moved.baseline(0)
    moved.baseline(1)
    moved.transferred()
    moved.sampled()
    moved.publish("completed")
    moved.ledger.end("completed", "7 trials are done")

    broken = Search(store, data_dir, spec_of("Broken data", data_dir))
    broken.claim()
    broken.ledger.end(
        "failed", "task.data.path: line 17 of bbc-news.jsonl is not JSON; each line must be one JSON object"
    )

    running = Search(store, data_dir, spec_of("Support tickets", data_dir))
    running.claim()
    running.baseline(0)
    running.publish()
    fresh = Search(store, data_dir, spec_of("Just started", data_dir))
    fresh.claim()
    fresh.ledger.update({"phase": "searching", "sampled": 0})
    Search(store, data_dir, spec_of("Waiting in line", data_dir))
    return running


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(data_dir: str, port: str, host: str = "127.0.0.1") -> None:
    settings = load_settings(data_dir=Path(data_dir), port=int(port), host=host)
    services = make_services(settings)
    running = seed(services.store, settings.data_dir)
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings, services), host=host, port=int(port), log_level="warning")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.05)
    say("ready")
    for line in sys.stdin:
        if line.strip() == "step":
            running.sampled()
            say("stepped")
    server.should_exit = True


if __name__ == "__main__":
    main(*sys.argv[1:])
