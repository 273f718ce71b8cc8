"""Charts: what is drawn of a front."""

from __future__ import annotations

import numpy as np
import pytest

from api.dashboard.axes import axis_of
from api.dashboard.chart import error_bars
from api.dashboard.curve_chart import longest_runs, loss_traces
from api.dashboard.front_chart import axes_update, default_axes, front_axes, front_layout, front_traces, hover
from api.dashboard.hypervolume_chart import hypervolume_traces
from api.dashboard.parallel_chart import parallel_layout, parallel_traces
from api.schemas import EvaluationView, FrontView


def traces(front: FrontView) -> dict[str, dict]:
    across, up = front_axes(front, *default_axes(front))
    drawn = front_traces(front, across, up, depth=6)
    return {f"{trace['name']}/{trace['mode']}": trace for trace in drawn}


def test_costs_go_across_and_quality_up(front: FrontView):
    assert default_axes(front) == ("trainable_parameters", "accuracy")
    layout = front_layout(*front_axes(front, *default_axes(front)))
    assert layout["xaxis"]["title"]["text"] == "Trainable parameters (lower is better)"
    assert layout["yaxis"]["title"]["text"] == "Accuracy (higher is better)"


def test_each_point_is_drawn_once_in_its_own_way(front: FrontView):
    drawn = traces(front)
    assert drawn["Pareto front/markers"]["customdata"].tolist() == [1, 2]
    assert drawn["Dominated/markers"]["customdata"].tolist() == [3]
    assert drawn["Breaks a constraint/markers"]["customdata"].tolist() == [4]
    assert drawn["Head only/markers"]["marker"]["symbol"] == ["diamond"]
    assert drawn["Other baseline/markers"]["marker"]["symbol"] == ["cross-open"]
    assert drawn["Full fine-tuning/markers"]["visible"] is False
    assert drawn["Knee/markers+text"]["customdata"].tolist() == [1]


def test_the_step_line_runs_through_the_front_baselines_included(front: FrontView):
    line = traces(front)["Pareto front/lines"]
    assert line["customdata"].tolist() == [0, 1, 2]
    assert line["line"]["shape"] == "hv"
    assert np.all(np.diff(line["x"]) > 0)


def test_intervals_are_error_bars(front: FrontView):
    bars = traces(front)["Pareto front/markers"]["error_y"]
    assert bars["array"] == pytest.approx([0.03, 0.0])
    assert bars["arrayminus"] == pytest.approx([0.02, 0.0])


def test_error_bars_end_where_the_axis_draws_their_ends():
    axis = axis_of("adapter_bytes", [100.0, 1000.0])
    bars = error_bars(axis, [100.0, 1000.0], [(10.0, 1000.0), None], "red")
    assert bars["array"] == pytest.approx([1.0, 0.0])
    assert bars["arrayminus"] == pytest.approx([1.0, 0.0])


def test_hovering_says_the_configuration_and_what_was_measured(front: FrontView):
    text = hover(front.points[1], front, 6)
    assert "LoRA r=4 on query and value, all 6 layers" in text.replace("<br>", " ")
    assert "Accuracy: 0.8 (0.78 to 0.83)" in text
    assert "probability 90%" in text


def test_a_name_is_shown_as_text_not_as_markup(front: FrontView):
    nasty = front.baselines[1].model_copy(update={"name": "<a href='x'>here</a>"})
    assert "<a" not in hover(nasty, front, 6)


def test_the_update_names_every_field_that_follows_the_points(front: FrontView):
    across, up = front_axes(front, *default_axes(front))
    changed = axes_update(across, up)
    assert changed["xaxis.range"] == [across.low, across.high]
    assert changed["yaxis.title.text"] == up.title


def test_an_empty_front_draws_nothing_and_does_not_fail(front: FrontView):
    empty = front.model_copy(update={"points": [], "dominated": [], "baselines": [], "knee": None, "history": []})
    assert all(len(trace["x"]) == 0 for trace in traces(empty).values())
    assert all(len(trace["x"]) == 0 for trace in hypervolume_traces(empty))
    assert all(len(trace["x"]) == 0 for trace in parallel_traces(empty, None))


def test_hypervolume_is_drawn_over_minutes_beside_the_baselines(front: FrontView):
    search, baselines = hypervolume_traces(front)
    assert search["x"] == pytest.approx([1 / 60, 1.0])
    assert baselines["y"].tolist() == [0.4, 0.4]


def test_parallel_coordinates_put_the_better_end_up(front: FrontView):
    _, _, best = parallel_traces(front, None)
    heights = best["y"].reshape(3, 3)
    # Rows: head only, trial 1, trial 2. Columns: accuracy, parameters, the gap that ends a line.
    assert heights[0, 0] == 0.0
    assert heights[0, 1] == 1.0
    assert np.isnan(heights[:, 2]).all()
    labels = [label["text"] for label in parallel_layout(front)["annotations"]]
    assert "<b>Accuracy</b><br>0.95" in labels
    assert "1,000,000" in labels


def evaluation(seed: int, stop: int, purpose: str = "rung") -> EvaluationView:
    return EvaluationView.model_validate(
        {
            "id": f"{seed}-{stop}",
            "purpose": purpose,
            "fidelity": stop / 100,
            "stop_step": stop,
            "seed": seed,
            "state": "completed",
            "attempt": 1,
            "metrics": {},
            "test_metrics": {},
            "curve": [
                {"step": step, "loss": 1 / step, "validation": {"loss": 2 / step}} for step in range(10, stop + 1, 10)
            ],
            "failure": None,
            "started_at": None,
            "ended_at": None,
        }
    )


def test_each_seed_shows_its_longest_run():
    runs = longest_runs([evaluation(0, 10), evaluation(0, 30), evaluation(7, 20, "finalist")])
    assert [run.id for run in runs] == ["0-30", "7-20"]
    assert [len(trace["x"]) for trace in loss_traces(runs)] == [3, 3, 2, 2]
