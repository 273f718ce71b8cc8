"""The evaluator that trains: rungs, seeds, leaks, failures."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from runs import assert_same, evaluate, known

from evaluator.cache import Cache
from evaluator.checkpoint import load_checkpoint
from evaluator.data.split import load_split
from evaluator.evaluate import EvaluationFailed, EvaluationRequest, EvaluationStopped
from evaluator.finetune import FineTuneEvaluator
from search.metrics import METRICS

ATTACHED = [(), ("lora",), ("dora",), ("ia3",), ("serial-adapter", "prefix-tuning"), ("full-fine-tuning",)]


def trained_state(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)


@pytest.mark.parametrize("methods", ATTACHED)
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(plan_of, request_of, tmp_path: Path, family, methods):
    plan = plan_of(*methods, family=family)
    # The curve's regular points are every 2nd of 100 steps; the rungs end between them.
    request = request_of(plan, family=family, full_steps=100, stop_step=14)
    whole = evaluate(request.model_copy(update={"checkpoint_to": str(tmp_path / "whole")}))
    rungs = [{"stop_step": 3}, {"stop_step": 9, "resume_from": "3"}, {"stop_step": 14, "resume_from": "9"}]
    for rung in rungs:
        places = {"checkpoint_to": str(tmp_path / str(rung["stop_step"]))}
        if "resume_from" in rung:
            places["resume_from"] = str(tmp_path / str(rung["resume_from"]))
        last = evaluate(request.model_copy(update=rung | places))
    one, other = trained_state(tmp_path / "whole"), trained_state(tmp_path / "14")
    ends = {rung["stop_step"] for rung in rungs[:-1]}
    other["curve"] = [point for point in other["curve"] if point["step"] not in ends]
    assert_same(one, other)
    assert known(last) == known(whole)
    assert [point.step for point in last.curve] == [2, 3, 4, 6, 8, 9, 10, 12, 14]


def test_dropout_is_on_while_training(request_of, plan_of, tiny_models, tmp_path: Path):
    """Else the tests of resuming would not notice a lost random state."""
    config = (tiny_models["bert"] / "config.json").read_text()
    assert '"hidden_dropout_prob": 0.1' in config
    still = tmp_path / "model"
    still.mkdir()
    for file in tiny_models["bert"].iterdir():
        (still / file.name).write_bytes(file.read_bytes())
    (still / "config.json").write_text(
        config.replace('"hidden_dropout_prob": 0.1', '"hidden_dropout_prob": 0.0').replace(
            '"attention_probs_dropout_prob": 0.1', '"attention_probs_dropout_prob": 0.0'
        )
    )
    request = request_of(plan_of("lora"))
    without = request.model_copy(update={"model": request.model.model_copy(update={"path": str(still)})})
    assert evaluate(request).curve != evaluate(without).curve


@pytest.mark.parametrize("methods", ATTACHED)
def test_what_ran_before_changes_nothing(plan_of, request_of, methods):
    request = request_of(plan_of(*methods), test=True)
    alone = evaluate(request)
    evaluator = FineTuneEvaluator()
    for before in reversed(ATTACHED):
        evaluate(request_of(plan_of(*before, learning_rate=0.01 if before else None), seed=5), evaluator)
    torch.manual_seed(99)
    torch.rand(3)
    after = evaluate(request, evaluator)
    assert known(after) == known(alone)
    assert after.curve == alone.curve
    assert after.test_metrics == alone.test_metrics


def test_evaluations_leave_the_warm_backbone_bit_equal(plan_of, request_of):
    request = request_of(plan_of("lora"))
    cache = Cache()
    evaluator = FineTuneEvaluator(cache)
    split = load_split(Path(request.split_file))
    backbone = cache.backbone(request.model, split.labels, "classification", torch.device("cpu"), "float32")
    before = {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}
    for methods in ATTACHED:
        evaluate(request_of(plan_of(*methods)), evaluator)
    assert cache.backbone(request.model, split.labels, "classification", torch.device("cpu"), "float32") is backbone
    assert_same(dict(backbone.model.state_dict()), before)


def test_seeds_differ(plan_of, request_of):
    assert evaluate(request_of(plan_of("lora"))).curve != evaluate(request_of(plan_of("lora"), seed=1)).curve


@pytest.mark.parametrize("family", ["bert", "llama", "gpt2"])
def test_regression_on_pairs_learns(plan_of, request_of, family):
    task = {"type": "text-regression", "label": "number", "text_pair": "second"}
    request = request_of(
        plan_of("lora", family=family, learning_rate=0.01),
        family=family,
        task=task,
        training={"head_learning_rate": 0.01},
        full_steps=60,
        test=True,
    )
    measurement = evaluate(request)
    assert measurement.metrics["mse"] == measurement.metrics["loss"]
    assert measurement.metrics["r2"] > 0.1
    assert set(measurement.test_metrics) == {"mse", "loss", "r2", "pearson", "spearman"}


def test_classification_learns(plan_of, request_of):
    request = request_of(plan_of("lora", learning_rate=0.03), training={"head_learning_rate": 0.03}, full_steps=100)
    assert evaluate(request).metrics["accuracy"] > 0.9


def test_the_measurement_holds_every_metric(plan_of, request_of):
    plan = plan_of("lora")
    request = request_of(plan)
    measurement = evaluate(request)
    fitting = {
        name: metric for name, metric in METRICS.items() if not metric.tasks or request.task.type in metric.tasks
    }
    assert set(measurement.metrics) == {"head_parameters"} | {
        name for name, metric in fitting.items() if not metric.on_request
    }
    assert measurement.metrics["trainable_parameters"] == plan.trainable_parameters
    assert measurement.metrics["adapter_bytes"] > 4 * plan.trainable_parameters
    assert measurement.metrics["head_parameters"] > 0
    assert measurement.test_metrics == {}
    assert measurement.total_seconds >= measurement.train_seconds
    assert {"torch", "peft", "transformers"} <= set(measurement.provenance["versions"])


def test_long_runs_are_validated_on_the_way(plan_of, request_of):
    curve = evaluate(request_of(plan_of("lora"), full_steps=100)).curve
    assert [point.step for point in curve if point.validation] == [20, 40, 60, 80, 100]
    assert len(curve) == 50


def test_the_saved_adapter_lies_where_it_was_asked_for(plan_of, request_of, tmp_path: Path):
    evaluate(request_of(plan_of("lora"), adapter_to=str(tmp_path / "adapter")))
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {
        each.name for each in (tmp_path / "adapter").iterdir()
    }


def failed(request: EvaluationRequest) -> EvaluationFailed:
    evaluator = FineTuneEvaluator()
    with pytest.raises(EvaluationFailed) as caught:
        evaluate(request, evaluator)
    return caught.value


def test_an_infinite_loss_ends_the_run(plan_of, request_of):
    task = {"type": "text-regression", "label": "number"}
    request = request_of(plan_of("lora", learning_rate=10.0), task=task, training={"head_learning_rate": 1.0})
    steps: list[int] = []
    huge = request.model_copy(
        update={"plan": request.plan.model_copy(update={"learning_rate": 1e30}), "full_steps": 50, "stop_step": 50}
    )
    evaluator = FineTuneEvaluator()
    with pytest.raises(EvaluationFailed) as caught:
        evaluator.evaluate(huge, lambda point: steps.append(point.step), lambda: False)
    assert caught.value.reason == "nan"
    assert "lower the learning rate" in caught.value.message
    assert len(steps) < 50
    assert known(evaluate(request_of(plan_of("lora")), evaluator)) == known(evaluate(request_of(plan_of("lora"))))


def test_stop_between_steps(plan_of, request_of):
    evaluator = FineTuneEvaluator()
    seen: list[int] = []
    with pytest.raises(EvaluationStopped):
        evaluator.evaluate(request_of(plan_of("lora")), lambda p: seen.append(p.step), lambda: len(seen) == 4)
    assert seen == [1, 2, 3, 4]
    assert known(evaluate(request_of(plan_of("ia3")), evaluator)) == known(evaluate(request_of(plan_of("ia3"))))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError("no more"), "out-of-memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out-of-memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), "out-of-memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "out-of-disk"),
        (RuntimeError("something else"), "error"),
    ],
)
def test_reasons_of_failure(plan_of, request_of, error, reason):
    evaluator = FineTuneEvaluator()

    def report(_point: object) -> None:
        raise error

    with pytest.raises(EvaluationFailed) as caught:
        evaluator.evaluate(request_of(plan_of("lora")), report, lambda: False)
    assert caught.value.reason == reason
    assert str(error) in caught.value.message
    assert evaluate(request_of(plan_of("lora")), evaluator).step == 12


def test_invalid_requests(plan_of, request_of, tmp_path: Path):
    request = request_of(plan_of("lora"))
    evaluate(request.model_copy(update={"stop_step": 6, "checkpoint_to": str(tmp_path)}))
    key = trained_state(tmp_path)["run"]
    assert load_checkpoint(tmp_path, key).step == 6
    for changes, says in [
        ({"split_file": str(tmp_path / "none.json")}, "split_file: "),
        ({"stop_step": 13}, "stop_step: 13 is after the last of 12 steps"),
        ({"resume_from": str(tmp_path / "none")}, "resume_from: no checkpoint"),
        ({"resume_from": str(tmp_path), "seed": 1}, "resume_from: the checkpoint"),
        ({"resume_from": str(tmp_path), "stop_step": 6}, "resume_from: the checkpoint is at step 6"),
        ({"task": request.task.model_copy(update={"max_length": 65})}, "task.max_length: 65 is more than"),
        ({"training": request.training.model_copy(update={"device": "cuda"})}, "training.device: no CUDA"),
    ]:
        if "device" in says and torch.cuda.is_available():
            continue
        error = failed(request.model_copy(update=changes))
        assert error.reason == "invalid"
        assert error.message.startswith(says)


def test_bfloat16_runs(plan_of, request_of):
    measurement = evaluate(request_of(plan_of("lora"), training={"precision": "bfloat16"}))
    assert measurement.provenance["precision"] == "bfloat16"
    assert measurement.metrics["loss"] > 0
