"""Jobs that learn from earlier ones, through the loop: read once, begun with, gone on with."""

from __future__ import annotations

from loop_setting import Setting


def test_an_earlier_front_is_trained_in_full_on_another_task(setting: Setting) -> None:
    lora = {"preset": "lora"}
    earlier = setting.run(setting.submit(space=lora, budget={"trials": 8, "steps": 18}, baselines=False))
    job = setting.submit(
        space=lora,
        budget={"trials": 3, "steps": 24},
        transfer={"jobs": [earlier.id], "only": True},
    )
    setting.store.delete_job(earlier.id)
    ended = setting.run(job)
    assert ended.state == "completed"
    trials = [trial for trial in setting.store.all_trials(job.id) if trial.kind == "search"]
    assert 0 < len(trials) <= 3
    wanted = {(trial.number, "rung", 24, seed) for trial in trials for seed in (1, 2)}
    assert {
        each for each in setting.completed(job) if each[1] == "rung" and each[0] in {t.number for t in trials}
    } == wanted
    points = {point["trial"]: point for point in ended.progress["front"]["points"]}
    for trial in trials:
        assert trial.strategy == f"transfer: front of {earlier.id}"
        assert points[trial.number]["seeds"] == 2
        assert "accuracy" in points[trial.number]["test"]
    (source,) = ended.progress["transfer"]
    assert source["job"] == earlier.id
    if len(trials) < 3:
        assert ended.reason == "the sources' fronts hold no further configuration"


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
