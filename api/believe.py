"""One question to a job's surrogate model: `python -m api.believe`, settings from the environment.

Reads `{"job": id, "point": {...}}` from standard input and writes a `search.analysis.belief.Belief` as one line of
JSON. Its own process, because fitting loads the tensor library.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import numpy as np
import torch

from api import analysis, views
from api.settings import load_settings
from search.analysis.belief import believe
from search.ledger import history_of, read_trials
from storage.open import open_store


def main() -> None:
    torch.set_num_threads(1)
    question = json.load(sys.stdin)
    store = open_store(load_settings().url)
    try:
        job = store.job(question["job"])
        history = history_of(read_trials(store, job.id).values())
    finally:
        store.close()
    prepared = analysis.prepared_of(job)
    objectives = prepared.objectives
    made = analysis.baselines_on_front(views.front_view(job).baselines, objectives)
    baselines = np.array(made, dtype=np.float64).reshape(len(made), len(objectives.names))
    space = analysis.planned_space(job, prepared)
    (belief,) = believe(space, objectives, history, baselines, [question["point"]], prepared.spec.sampler.surrogate)
    sys.stdout.write(json.dumps(asdict(belief)) + "\n")


if __name__ == "__main__":
    main()
