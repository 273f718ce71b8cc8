"""Runs with an initialisation, a procedure or a compression: rungs, seeds, leaks, recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from runs import assert_same, evaluate, known

from evaluator.cache import Cache
from evaluator.data.split import load_split
from evaluator.evaluate import EvaluationFailed, EvaluationRequest
from evaluator.finetune import FineTuneEvaluator
from evaluator.procedures import PROCEDURES as HALVES
from evaluator.recipe import Recipe
from evaluator.recipe_training import train_recipe
from evaluator.task import DataSpec, ModelSpec, TaskSpec, Training
from space.configuration import Component, Configuration
from space.plan import Plan
from space.procedures import PROCEDURES
from space.resolve import resolve
from space.treatments import TREATMENTS

OFTEN: dict[str, dict[str, Any]] = {"lisa": {"layers": 1, "interval": 3}, "ist": {"interval": 2}}
"""Options that make a short run pass through all that a procedure does."""
CASES = [
    *TREATMENTS,
    "pissa+lora-plus",
    "lora-plus+compeft",
]


def configuration(case: str) -> Configuration:
    names = case.split("+")
    method = "full-fine-tuning" if "lisa" in names else "lora"
    component = Component(method=method, size=() if method == "full-fine-tuning" else (2, 4))
    chosen = {TREATMENTS[name].kind: {"name": name, "options": OFTEN.get(name, {})} for name in names}
    return Configuration(components=(component,), learning_rate=2e-3, **chosen)


@pytest.fixture
def treated(plan_of, request_of, tiny_models):
    """`treated(case, **fields)`: a request for a run with the treatments that the case names."""
    from evaluator.backbone import inspect

    def _request(case: str, family: str = "bert", **fields: object) -> EvaluationRequest:
        table = inspect(ModelSpec(path=str(tiny_models[family])))
        plan: Plan = resolve(configuration(case), table)
        return request_of(plan, family=family, **fields)

    return _request


def test_both_halves_know_the_same_procedures() -> None:
    assert HALVES.keys() == PROCEDURES.keys()


@pytest.mark.parametrize(
    ("case", "family"), [*((case, "bert") for case in CASES), ("corda", "gpt2"), ("lora-ggpo", "gpt2")]
)
def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(treated, tmp_path: Path, case: str, family: str) -> None:
    request = treated(case, family, full_steps=20, stop_step=10)
    whole = evaluate(request.model_copy(update={"checkpoint_to": str(tmp_path / "whole")}))
    before = None
    for stop in (3, 7, 10):
        places = {"stop_step": stop, "checkpoint_to": str(tmp_path / str(stop)), "resume_from": before}
        last = evaluate(request.model_copy(update=places))
        before = str(tmp_path / str(stop))
    one, other = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "10"))
    one.pop("curve"), other.pop("curve")
    assert_same(one, other)
    assert known(last) == known(whole)


@pytest.mark.parametrize("case", CASES)
def test_what_ran_before_changes_nothing_and_nothing_is_left_behind(treated, plan_of, request_of, case: str) -> None:
    request = treated(case, test=True)
    alone = evaluate(request)
    cache = Cache()
    evaluator = FineTuneEvaluator(cache)
    plain = request_of(plan_of("lora", size=(2, 4), learning_rate=2e-3))
    first = evaluate(plain, evaluator)
    split = load_split(Path(request.split_file))
    backbone = cache.backbone(request.model, split.labels, "classification", torch.device("cpu"), "float32")
    weights = {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}
    torch.manual_seed(99)
    again = evaluate(request, evaluator)
    assert known(again) == known(alone)
    assert again.test_metrics == alone.test_metrics
    assert_same(dict(backbone.model.state_dict()), weights)
    assert not any(parameter.requires_grad for parameter in backbone.model.parameters())
    assert known(evaluate(plain, evaluator)) == known(first)


@pytest.mark.parametrize("case", CASES)
def test_it_does_not_train_as_without(treated, plan_of, request_of, case: str) -> None:
    treatment = TREATMENTS[case.split("+")[0]]
    methods = ("full-fine-tuning",) if case == "lisa" else ("lora",)
    size = {} if case == "lisa" else {"size": (2, 4)}
    plain = evaluate(request_of(plan_of(*methods, learning_rate=2e-3, **size)))
    other = evaluate(treated(case))
    if treatment.kind == "compression":
        assert [point.loss for point in other.curve] == [point.loss for point in plain.curve]
    else:
        assert [point.loss for point in other.curve] != [point.loss for point in plain.curve]
    assert known(other)["loss"] != known(plain)["loss"]


@pytest.mark.parametrize("case", list(PROCEDURES))
def test_a_failure_in_the_middle_leaves_nothing_behind(treated, case: str) -> None:
    request = treated(case)
    cache = Cache()
    evaluator = FineTuneEvaluator(cache)
    expected = evaluate(request)
    worse = request.model_copy(update={"plan": request.plan.model_copy(update={"learning_rate": 1e30})})
    with pytest.raises(EvaluationFailed):
        evaluate(worse, evaluator)
    assert known(evaluate(request, evaluator)) == known(expected)


@pytest.mark.parametrize("case", ["pissa+lora-plus", "lora-plus+compeft"])
def test_a_recipe_trains_it(tiny_models: dict[str, Path], tiny_data: Path, tmp_path: Path, case: str) -> None:
    recipe = Recipe(
        name=case,
        model=ModelSpec(path=str(tiny_models["bert"])),
        task=TaskSpec(data=DataSpec(path=str(tiny_data)), max_length=16),
        training=Training(batch_size=4, device="cpu"),
        configuration=configuration(case),
        steps=12,
    )
    read = Recipe.model_validate_json(recipe.model_dump_json())
    assert read == recipe
    measurement = train_recipe(read, tmp_path)
    assert measurement.step == 12
    assert (tmp_path / "adapter_model.safetensors").exists()
    assert (tmp_path / "adapter.compressed").exists() == ("compeft" in case)
