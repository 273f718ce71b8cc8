"""Jobs that learn from earlier ones, through the loop: read once, begun with, gone on with."""

from __future__ import annotations

import shutil
from pathlib import Path

from loop_setting import Setting


def deeper(model: Path, folder: Path) -> Path:
    """A BERT of twice the depth and width of the tiny one, its weights drawn at random."""
    from transformers import BertConfig, BertForMaskedLM

    shutil.copytree(model, folder)
    small = BertConfig.from_pretrained(model)
    sizes = {"num_hidden_layers": 6, "hidden_size": 64, "intermediate_size": 128}
    BertForMaskedLM(BertConfig.from_dict({**small.to_dict(), **sizes})).save_pretrained(folder)
    return folder


def test_an_earlier_front_is_trained_in_full_on_a_larger_model(setting: Setting, tmp_path: Path) -> None:
    space = {"methods": ["serial-adapter"], "size": {"serial-adapter": ["d/16", "d/8", "d/4"]}, "layers": "last"}
    earlier = setting.run(setting.submit(space=space, budget={"trials": 8, "steps": 18}, baselines=False))
    job = setting.submit(
        model={"path": str(deeper(setting.model, tmp_path / "deeper"))},
        space=space,
        budget={"trials": 3, "steps": 24},
        transfer={"jobs": [earlier.id], "only": True},
    )
    there = {trial.number: trial for trial in setting.store.all_trials(earlier.id)}
    setting.store.delete_job(earlier.id)
    ended = setting.run(job)
    assert ended.state == "completed"
    trials = [trial for trial in setting.store.all_trials(job.id) if trial.kind == "search"]
    assert 0 < len(trials) <= 3
    if len(trials) < 3:
        assert ended.reason == "the sources' fronts hold no further configuration"
    points = {point["trial"]: point for point in ended.progress["front"]["points"]}
    for trial in trials:
        assert trial.strategy == f"transfer: front of {earlier.id}"
        done = [each for each in setting.completed(job) if each[0] == trial.number]
        assert sorted(done) == [(trial.number, "rung", 24, 1), (trial.number, "rung", 24, 2)]
        assert points[trial.number]["seeds"] == 2
        assert "accuracy" in points[trial.number]["test"]
        # The same configuration is twice as deep and its adapters twice as wide here.
        old = there[trial.attributes["source_trial"]].plan["entries"]
        assert len(trial.plan["entries"]) == 2 * len(old)
        assert {entry["size"] for entry in trial.plan["entries"]} == {2 * entry["size"] for entry in old}
    (source,) = ended.progress["transfer"]
    assert source["job"] == earlier.id


def test_a_killed_transfer_goes_on_with_the_points_that_are_left(setting: Setting) -> None:
    earlier = setting.run(setting.submit(budget={"trials": 6, "steps": 18}, baselines=False))
    job = setting.submit(transfer={"jobs": [earlier.id], "warm_start": 2}, baselines=False)
    with setting.service() as service:
        claimed = setting.store.claim_job(service.owner, 30)
        assert claimed is not None
        left = service.run(claimed, lambda: "leave" if setting.store.all_trials(job.id) else None)
        assert left.state == "queued"
    begun = setting.store.all_trials(job.id)
    ended = setting.run(job)
    trials = setting.store.all_trials(job.id)
    assert [trials[each.number].key for each in begun] == [each.key for each in begun]
    assert [trial.strategy.startswith("transfer") for trial in trials] == [True, True, *[False] * 4]
    assert ended.progress["transfer"][0]["verdicts"][0]["trials"] == 6
