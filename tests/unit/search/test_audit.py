"""The audit of short runs: who is drawn, what is counted, and what is decided by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_trials import OBJECTIVES, trial
from scipy import stats

from search.audit import ENOUGH, SHORT, STEPS_PER_SHARE, Audit, is_audited
from search.audit_report import audit_report
from search.ledger import Trial
from storage.states import EvaluationState, TrialState

STEPS = (11, 33, 100)
ALL = Audit(STEPS, OBJECTIVES, seed=0, share=1.0)


def ladder_trial(number: int, losses: dict[int, float], accuracy: dict[int, float] | None = None) -> Trial:
    """A running trial, measured at the steps that `losses` names; its accuracy is 1 - loss unless given."""
    accuracies = {step: 1 - loss for step, loss in losses.items()} | (accuracy or {})
    made = trial(number, 1000, {("rung", step, 0): accuracies[step] for step in losses})
    for evaluation in made.evaluations.values():
        assert evaluation.measurement is not None
        evaluation.measurement["metrics"]["loss"] = losses[evaluation.stop_step]
    return with_state(made, "running")


def with_state(made: Trial, state: TrialState) -> Trial:
    made.record = replace(made.record, state=state)
    return made


def last_state(made: Trial, state: EvaluationState) -> Trial:
    """The longest evaluation as one that has not ended, or failed."""
    last = max(made.evaluations.values(), key=lambda record: record.stop_step)
    made.evaluations[last.id] = replace(last, state=state, measurement=None)
    return made


def test_who_is_audited_is_a_function_of_seed_and_place() -> None:
    drawn = [place for place in range(1000) if is_audited(3, place, 0.1)]
    assert drawn == [place for place in range(1000) if is_audited(3, place, 0.1)]
    assert drawn != [place for place in range(1000) if is_audited(4, place, 0.1)]
    assert [place // 10 for place in drawn] == list(range(100))  # one in each stretch of ten
    assert stats.kstest([place % 10 for place in drawn], stats.randint(0, 10).cdf).pvalue > 0.01


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (1.0, 60), (0.3, 18), (0.05, 3)])
def test_as_many_are_audited_as_the_share_says(share: float, count: int) -> None:
    assert sum(is_audited(0, place, share) for place in range(60)) == count


def test_one_rung_has_nothing_to_audit() -> None:
    single = Audit((100,), OBJECTIVES, seed=0, share=0.5)
    trials = [ladder_trial(number, {100: 0.5}) for number in range(10)]
    assert single.audited(trials) == []
    assert single.climb(trials) is None
    assert audit_report(single, trials, 100, [])["rungs"] == []


def test_an_audited_trial_climbs_rung_by_rung_whatever_its_rank() -> None:
    """There is room for one: a fifth of the steps of all."""
    others = [ladder_trial(number, {11: 0.1, 33: 0.1, 100: 0.1}) for number in range(10)]
    audit = replace(ALL, share=0.1)
    worst = next(place for place in range(10, 20) if is_audited(0, place, 0.1))
    trials = [*others, *(ladder_trial(number, {11: 0.9}) for number in range(10, 20))]
    first = audit.climb(trials)
    assert first is not None
    assert (first.trial.number, first.stop_step) == (worst, 33)
    trials[worst] = ladder_trial(worst, {11: 0.9, 33: 0.9})
    second = audit.climb(trials)
    assert second is not None
    assert (second.trial.number, second.stop_step) == (worst, 100)
    trials[worst] = last_state(ladder_trial(worst, {11: 0.9, 33: 0.9, 100: 0.9}), "running")
    assert audit.climb(trials) is None


def test_audits_take_no_more_than_their_share_of_the_steps() -> None:
    """A fifth of the trials is drawn, which would take two thirds of the steps."""
    audit = replace(ALL, share=0.2)
    trials = [ladder_trial(number, {11: 0.5}) for number in range(200)]
    climbs = 0
    while (climb := audit.climb(trials)) is not None:
        number = climb.trial.number
        trials[number] = ladder_trial(number, {step: 0.5 for step in STEPS if step <= climb.stop_step})
        climbs += 1
    longest = [max(record.stop_step for record in each.evaluations.values()) for each in trials]
    taken = sum(longest) - 200 * 11
    assert climbs
    most = STEPS_PER_SHARE * 0.2
    assert taken <= most * sum(longest)
    assert taken + 67 > most * (sum(longest) + 67)  # nor less: there is no room for another
    reached = [longest[trial.number] for trial in audit.audited(trials)]
    assert reached == sorted(reached, reverse=True)


def test_correlations_are_of_the_rungs_loss_with_accuracy_and_loss_in_full() -> None:
    rng = np.random.default_rng(0)
    low, full, quality = rng.random(12), rng.random(12), rng.random(12)
    trials = [
        ladder_trial(number, {11: low[number], 33: full[number], 100: full[number]}, {100: quality[number]})
        for number in range(12)
    ]
    lowest, middle = ALL.rungs(trials)
    with_accuracy, with_loss = lowest.agreements
    assert (lowest.pairs, with_accuracy.metric, with_loss.metric) == (12, "accuracy", "loss")
    assert with_accuracy.spearman is not None
    assert with_accuracy.kendall is not None
    assert with_loss.spearman is not None
    # A low loss and a high accuracy are both good.
    assert with_accuracy.spearman.value == pytest.approx(stats.spearmanr(low, -quality).statistic)
    assert with_accuracy.kendall.value == pytest.approx(stats.kendalltau(low, -quality).statistic)
    assert with_loss.spearman.value == pytest.approx(stats.spearmanr(low, full).statistic)
    assert middle.agreements[1].spearman is not None
    assert middle.agreements[1].spearman.value == pytest.approx(1.0)


def test_those_that_got_to_the_top_by_their_rank_do_not_count_before_those_that_did_not() -> None:
    """Selected early, they would make short runs look better or worse than they are."""
    trials = [ladder_trial(number, {11: 0.5, 33: 0.5, 100: 0.5}) for number in range(4)]
    trials[2] = ladder_trial(2, {11: 0.9})
    assert [each.number for each in ALL.counted(trials)] == [0, 1]
    trials[2] = with_state(last_state(ladder_trial(2, {11: 0.9, 33: 0.9}), "failed"), "failed")
    assert [each.number for each in ALL.counted(trials)] == [0, 1, 3]


def test_the_correlation_of_the_audited_is_that_of_all_and_that_of_the_promoted_is_not() -> None:
    """1,000 configurations, of which the best third by their short run is trained in full, and a tenth is audited."""
    rng = np.random.default_rng(5)
    truth = rng.standard_normal(1000)
    short = 0.6 * truth + 0.8 * rng.standard_normal(1000)
    everyone = stats.spearmanr(short, truth).statistic
    chosen = short < np.quantile(short, 1 / 3)
    drawn = np.array([is_audited(0, place, 0.1) for place in range(1000)])
    trials = [
        ladder_trial(number, {11: short[number], 33: 0.0, 100: truth[number]})
        if drawn[number] or chosen[number]
        else ladder_trial(number, {11: short[number]})
        for number in range(1000)
    ]
    found = replace(ALL, share=0.1).rungs(trials)[0].agreements[1].spearman
    assert found is not None
    assert found.low < everyone < found.high
    assert found.value == pytest.approx(everyone, abs=0.15)
    assert stats.spearmanr(short[chosen], truth[chosen]).statistic < everyone - 0.15


def trials_with(order: list[float], count: int) -> list[Trial]:
    """Whose losses at 11% of the steps stand in this order, and otherwise in that of their full accuracy."""
    return [
        ladder_trial(number, {11: order[number], 33: number / count, 100: number / count}) for number in range(count)
    ]


def test_the_lowest_rung_is_left_when_it_orders_otherwise_than_full_runs() -> None:
    backwards = trials_with([1 - number / 20 for number in range(20)], 20)
    rise = ALL.rise(backwards, 11)
    assert rise is not None
    assert rise.step == 33
    assert "over 20 audited trials, where 0.5 is wanted; new configurations start at 33%" in rise.words
    found = ALL.rungs(backwards)[0].agreements[0].spearman
    assert found is not None
    assert found.high < SHORT


def test_the_lowest_rung_stays_while_it_may_be_good_enough() -> None:
    rng = np.random.default_rng(1)
    right = trials_with([number / 20 for number in range(20)], 20)
    few = trials_with([1 - number / 20 for number in range(20)], ENOUGH - 1)
    unclear = trials_with(list(rng.permutation(ENOUGH).astype(float)), ENOUGH)
    for trials in (right, few, unclear):
        assert ALL.rise(trials, 11) is None


def test_a_next_rung_that_is_no_better_is_no_reason_to_rise() -> None:
    both = [ladder_trial(number, {11: -number / 20, 33: -number / 20, 100: number / 20}) for number in range(20)]
    assert ALL.rise(both, 11) is None


def test_the_last_rung_but_one_is_never_left() -> None:
    backwards = trials_with([1 - number / 20 for number in range(20)], 20)
    assert ALL.rise(backwards, 33) is None
    assert replace(ALL, steps=(11, 100)).rise(backwards, 11) is None


def test_the_report_says_what_is_known_in_words() -> None:
    few = audit_report(ALL, trials_with([number / 20 for number in range(20)], 3), 11, [])
    assert few["statement"].startswith("3 audited configurations measured in full so far: too few")
    assert few["rungs"][0]["agreements"][0]["spearman"] is None
    many = audit_report(ALL, trials_with([number / 20 for number in range(20)], 20), 33, ["why"])
    assert "Spearman correlation of 1.00 (95% from 1.00 to 1.00; 20 audited)" in many["statement"]
    assert (many["lowest"], many["rises"], many["counted"]) == (0.33, ["why"], 20)
    off = audit_report(replace(ALL, share=0.0), [], 11, [])
    assert (off["share"], off["audited"], "is off" in off["statement"]) == (0.0, [], True)
