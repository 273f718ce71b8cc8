"""Examples that the OpenAPI document shows."""

from __future__ import annotations

from typing import Any

JOB_ID = "0f8fad5bd9cb469f"

SPEC: dict[str, Any] = {
    "name": "topics",
    "model": {"path": "/models/minilm"},
    "task": {
        "type": "text-classification",
        "data": {"path": "/data/news.jsonl"},
        "text": "text",
        "label": "label",
        "max_length": 128,
    },
    "space": {"preset": "autopeft"},
    "objectives": [
        {"metric": "accuracy", "goal": "maximize"},
        {"metric": "trainable_parameters", "goal": "minimize"},
    ],
    "constraints": [{"metric": "trainable_parameters", "max": 300000}],
    "budget": {"trials": 60, "minutes": 30, "steps": 200},
    "fidelity": {"rungs": [0.11, 0.33, 1.0]},
    "sampler": {"name": "bayes", "seed": 0},
    "workers": 2,
}

JOB: dict[str, Any] = {
    "id": JOB_ID,
    "name": "topics",
    "state": "running",
    "requested": None,
    "reason": None,
    "created_at": "2026-05-04T09:30:00Z",
    "started_at": "2026-05-04T09:30:01Z",
    "ended_at": None,
    "progress": {
        "phase": "searching",
        "sampled": 31,
        "trials": 60,
        "hypervolume": 0.412,
        "gain": {"expected": 0.008, "most": 0.021, "modelled": 0.004},
    },
    "best": {"accuracy": 0.941, "trainable_parameters": 0.0},
    "cost": {
        "evaluations": {"completed": 58, "running": 2, "failed": 0},
        "steps": 2870,
        "elapsed_seconds": 414.8,
        "busy_seconds": 791.2,
    },
    "spec": SPEC,
}

CONFIGURATION: dict[str, Any] = {
    "components": [{"method": "lora", "roles": ["attention.query", "attention.value"], "size": [4], "options": {}}],
    "layers": [False, False, True, True, True, True],
    "sparsity": 1.0,
    "allocator": "uniform",
    "learning_rate": 0.0012,
}

TRIAL: dict[str, Any] = {
    "number": 7,
    "kind": "search",
    "name": None,
    "state": "completed",
    "configuration": CONFIGURATION,
    "trainable_parameters": 24576,
    "strategy": "bayes: qLogNEHVI",
    "reason": "expected to add 0.0042 of hypervolume, judged from 12 measured and 1 running trials",
    "ladder": "runs on: nothing new is sampled, and at step 66 no other is better by more than the noise",
    "summary": {"accuracy": 0.938, "loss": 0.21, "trainable_parameters": 24576.0, "fidelity": 1.0},
    "failure": None,
    "created_at": "2026-05-04T09:31:10Z",
    "started_at": "2026-05-04T09:31:11Z",
    "ended_at": "2026-05-04T09:32:02Z",
}

EVALUATION: dict[str, Any] = {
    "id": "5b1e1c5e6c1d4b6f",
    "purpose": "rung",
    "fidelity": 1.0,
    "stop_step": 200,
    "seed": 0,
    "state": "completed",
    "attempt": 1,
    "metrics": {"accuracy": 0.938, "loss": 0.21},
    "test_metrics": {},
    "curve": [{"step": 200, "loss": 0.19, "validation": {"accuracy": 0.938, "loss": 0.21}}],
    "failure": None,
    "adapter": None,
    "started_at": "2026-05-04T09:31:11Z",
    "ended_at": "2026-05-04T09:32:02Z",
}

PLAN: dict[str, Any] = {
    "entries": [
        {
            "layer": 2,
            "role": "attention.query",
            "method": "lora",
            "size": 4,
            "options": {"dropout": 0.0, "scaling": 2.0},
            "parameters": 3072,
        }
    ],
    "learning_rate": 0.0012,
    "notes": [],
}

POINT: dict[str, Any] = {
    "trial": 7,
    "kind": "search",
    "name": None,
    "methods": ["lora"],
    "configuration": CONFIGURATION,
    "objectives": {"accuracy": 0.938, "trainable_parameters": 24576.0},
    "metrics": {"accuracy": 0.938, "loss": 0.21, "trainable_parameters": 24576.0},
    "intervals": {"accuracy": [0.929, 0.947]},
    "probability": 0.86,
    "seeds": 2,
    "fresh": True,
    "test": {"accuracy": 0.931},
    "feasible": True,
    "on_front": True,
}

FRONT: dict[str, Any] = {
    "objectives": [
        {"metric": "accuracy", "goal": "maximize"},
        {"metric": "trainable_parameters", "goal": "minimize"},
    ],
    "points": [POINT],
    "dominated": [],
    "baselines": [],
    "hypervolume": 0.412,
    "baseline_hypervolume": 0.391,
    "reference": {"accuracy": 0.23, "trainable_parameters": 300000.0},
    "history": [[61.2, 4, 0.31], [214.8, 31, 0.412]],
    "knee": 7,
    "statement": "accuracy goes from 0.912 (head only) to 0.941 (trial 3, lora, 147,456 parameters).",
    "subset": None,
}

PICK_FORMS = "knee, best:accuracy, best:accuracy,trainable_parameters<=50000 or weighted:accuracy=2,loss=1"

PICK: dict[str, Any] = {
    "pick": "best:accuracy,trainable_parameters<=50000",
    "words": "Highest accuracy with trainable parameters at most 50,000",
    "point": POINT,
}

IMPORTANCE: dict[str, Any] = {
    "trials": 52,
    "best": [7, 31, 12, 44, 40, 3],
    "choices": [
        {
            "name": "learning rate",
            "share": 0.41,
            "chance": 0.19,
            "significance": 0.005,
            "matters": True,
            "dimensions": [
                {"name": "lora.learning_rate", "trials": 22, "best": 5, "usual": 0.0017},
                {"name": "ia3.learning_rate", "trials": 9, "best": 1, "usual": 0.012},
            ],
        }
    ],
    "statement": "What sets the best 6 of 52 trials apart from the rest by more than chance: learning rate (41%).",
}

AUDIT: dict[str, Any] = {
    "share": 0.1,
    "metric": "accuracy",
    "audited": [18, 27, 36, 44, 59, 63, 75, 88, 94],
    "counted": 9,
    "wanted": 0.5,
    "rungs": [
        {
            "fidelity": 0.33,
            "step": 66,
            "pairs": 9,
            "agreements": [
                {
                    "metric": "accuracy",
                    "spearman": {"value": 0.83, "low": 0.29, "high": 0.97},
                    "kendall": {"value": 0.67, "low": 0.2, "high": 0.89},
                },
                {
                    "metric": "loss",
                    "spearman": {"value": 0.92, "low": 0.59, "high": 0.99},
                    "kendall": {"value": 0.78, "low": 0.41, "high": 0.93},
                },
            ],
        }
    ],
    "lowest": 0.33,
    "rises": [],
    "statement": "After 33% of the steps, configurations stand in the order of their full accuracy with a Spearman "
    "correlation of 0.83 (95% from 0.29 to 0.97; 9 audited).",
}

PREDICTION_REQUEST: dict[str, Any] = {"configuration": CONFIGURATION}

PREDICTION: dict[str, Any] = {
    "configuration": CONFIGURATION,
    "known": {"trainable_parameters": 24576.0},
    "trial": None,
    "trials": 52,
    "expected": {"accuracy": {"value": 0.935, "low": 0.921, "high": 0.949}},
    "feasible": 1.0,
    "on_front": 0.38,
    "gain": 0.0011,
    "statement": "Accuracy 0.935 expected, 95% of runs from 0.921 to 0.949. On the front with probability 0.38, 0.0011 "
    "hypervolume expected to be added; a Gaussian process on 52 trials.",
}

TRANSFER: dict[str, Any] = {
    "sources": [
        {
            "job": "5b1f0c77a2e94d03",
            "name": "reviews",
            "model": "minilm",
            "data": "reviews.jsonl",
            "trials": 40,
            "carried": 38,
            "statement": "38 of 40 configurations fit this job's space",
            "verdicts": [
                {
                    "metric": "accuracy",
                    "state": "kept",
                    "weight": 1.0,
                    "kendall": 0.58,
                    "interval": [0.32, 0.76],
                    "trials": 20,
                    "statement": "believed after 20 trials: Kendall +0.58 [+0.32, +0.76]",
                }
            ],
        }
    ],
    "points": [
        {
            "trial": 0,
            "source": "5b1f0c77a2e94d03",
            "source_trial": 12,
            "configuration": CONFIGURATION,
            "methods": ["lora"],
            "there": {"accuracy": 0.71, "trainable_parameters": 24576.0},
            "here": {"accuracy": 0.938, "trainable_parameters": 24576.0},
            "intervals": {"accuracy": [0.929, 0.947]},
            "test": {"accuracy": 0.931},
            "seeds": 2,
            "on_front": True,
        }
    ],
    "hypervolume": 0.401,
    "baselines": {
        "against": "the hand-made baselines",
        "hypervolume": 0.352,
        "difference": 0.049,
        "interval": [0.021, 0.077],
        "answer": "transfers",
    },
    "search": None,
    "against": None,
    "ordering": {"kendall": 0.6, "interval": [-1.0, 1.0], "trials": 4},
    "answer": "transfers",
    "statement": "The transferred configuration dominates a hypervolume of 0.4010. Against the hand-made baselines "
    "(0.3520): +0.0490 [+0.0210, +0.0770]. The front transfers.",
}

SPACE_REPORT: dict[str, Any] = {
    "valid": True,
    "size": 1.2e9,
    "parameter_range": [768, 299520],
    "dimensions": [
        {"name": "method", "kind": "categorical", "choices": ["lora", "ia3"], "low": None, "high": None, "log": False}
    ],
    "rows": {"train": 1557, "validation": 334, "test": 334},
    "classes": ["business", "entertainment", "politics", "sport", "tech"],
    "errors": [],
}

METHOD: dict[str, Any] = {
    "name": "ia3",
    "title": "IA3",
    "kind": "method",
    "engine": "peft",
    "summary": "learned scaling of keys, values and feed-forward activations",
    "source": "Liu et al. 2022, arXiv 2205.05638; peft IA3Config",
    "site_kind": "linear",
    "default_roles": ["attention.key", "attention.value", "mlp.down"],
    "role_choices": [],
    "size": None,
    "fields": [],
    "learning_rate": {"low": 0.001, "high": 0.05, "default": 0.005},
    "formula": "in (feed-forward output), out (others)",
    "composable": False,
    "merges": True,
    "converts_to_lora": False,
    "starts_at_base": True,
    "verified": ["peft", "definition"],
    "searchable": True,
}

EVENTS = (
    "id: 41\nevent: state\n"
    'data: {"state":"running","requested":null,"reason":null,"at":"2026-05-04T09:30:01+00:00"}\n\n'
    'id: 42\nevent: trial\ndata: {"number":0,"state":"running","at":"2026-05-04T09:30:02+00:00"}\n\n'
    ": ping\n\n"
)


def answer(example: Any, description: str, media_type: str = "application/json") -> dict[str, Any]:
    """One entry of a route's `responses`."""
    return {"description": description, "content": {media_type: {"example": example}}}
