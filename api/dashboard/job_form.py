"""The form of a new search: inputs by the field of the spec that they fill, and the spec they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement

from api.dashboard.elements import block, button, card, heading, icon_button, text
from api.dashboard.method_list import add_method_list
from api.words import metric_title
from evaluator.task import TaskType
from search.job import JobSpec, SamplerSpec
from search.metrics import METRICS
from space.errors import FieldError
from space.presets import PRESETS

Input = ValidationElement[Any]
SAMPLERS: tuple[str, ...] = get_args(SamplerSpec.model_fields["name"].annotation)
SAMPLER_TITLES = {
    "bayes": "Bayesian (hypervolume improvement)",
    "tpe": "TPE (Optuna)",
    "nsga2": "NSGA-II (Optuna)",
    "sobol": "Sobol sequence",
    "random": "Random",
}
DEFAULTS = JobSpec.model_validate({"model": {"path": "."}, "task": {"data": {"path": "."}}})


class Rows:
    """A list of rows of inputs, each with a button that takes it away."""

    def __init__(self, name: str, build: Callable[[dict[str, Any]], dict[str, Input]], classes: str) -> None:
        self.name = name
        self._build = build
        self._classes = classes
        self._box = ui.element("div").classes("stack")
        self.rows: list[dict[str, Input]] = []

    def add(self, values: dict[str, Any]) -> None:
        with self._box, ui.element("div").classes(f"item {self._classes}") as line:
            inputs = self._build(values)

            def drop() -> None:
                self.rows.remove(inputs)
                line.delete()

            icon_button("close", f"Remove this {self.name.removesuffix('s')}").on_click(drop)
        self.rows.append(inputs)


class JobForm:
    """`spec()` is what the user has filled in; `show_errors` puts each error at its input."""

    def __init__(self, earlier: Mapping[str, str]) -> None:
        """`earlier`: titles of the searches that this one may learn from, by id."""
        self._inputs: dict[str, Input] = {}
        with card("Model and data"):
            heading(2, "Model and data")
            with block("form"):
                self._text("name", "Name of the search", value=DEFAULTS.name, wide=True)
                self._source("model", "Model folder", "/models/minilm")
                self._source("task.data", "Data file (csv, jsonl or parquet)", "/data/news.jsonl")
                self._select(
                    "task.type",
                    "Task",
                    {name: name.replace("-", " ") for name in get_args(TaskType)},
                    DEFAULTS.task.type,
                )
                self._number("task.max_length", "Longest text, in tokens", DEFAULTS.task.max_length)
                self._text("task.text", "Text column", value=DEFAULTS.task.text)
                self._text("task.label", "Label column", value=DEFAULTS.task.label)
                self._text("task.text_pair", "Second text column (for pairs)")
                self._text("task.image", "Image column (for images)")
                self._text(
                    "task.general_text", "General text file (to measure forgetting)", placeholder="/data/text.txt"
                )
        with card("What to search"):
            heading(2, "What to search")
            with block("form"):
                presets = {name: f"{name}: {preset.summary}" for name, preset in PRESETS.items()}
                self._select("space", "Search space", presets, DEFAULTS.space["preset"], wide=True)
            add_method_list()
        with card("What matters"):
            heading(2, "What matters")
            text(
                "Objectives are traded off against each other; quality stands for the task's own metric.", "muted small"
            )
            self._objectives = Rows("objectives", self._objective, "two")
            for objective in DEFAULTS.objectives:
                self._objectives.add({"metric": objective.metric})
            button("Add an objective", icon="add").on_click(lambda: self._objectives.add({})).style("align-self: start")
            heading(3, "Constraints")
            self._constraints = Rows("constraints", self._constraint, "")
            add = button("Add a constraint", icon="add").style("align-self: start")
            add.on_click(lambda: self._constraints.add({"metric": "trainable_parameters"}))
        with card("Budget"):
            heading(2, "Budget")
            with block("form"):
                self._number("budget.trials", "Configurations to try", DEFAULTS.budget.trials)
                self._number("budget.steps", "Training steps of a full run", DEFAULTS.budget.steps)
                self._number("budget.minutes", "Minutes at most (empty: no limit)", None, whole=False)
                self._number("workers", "Workers", DEFAULTS.workers)
                samplers = {name: SAMPLER_TITLES.get(name, name) for name in SAMPLERS}
                self._select("sampler.name", "Sampler", samplers, DEFAULTS.sampler.name)
                self._number("sampler.seed", "Seed", DEFAULTS.sampler.seed)
            self._baselines = ui.checkbox("Train hand-made baselines beside the search", value=True)
        with card("Earlier searches") as transfer:
            heading(2, "Earlier searches")
            text(
                "Their fronts are tried first, and their trials teach the model, whatever their task and model. "
                "A search that the new trials contradict is dropped.",
                "muted small",
            )
            with block("form"):
                sources = ui.select(dict(earlier), label="Learn from", multiple=True, value=[])
                self._keep("transfer.jobs", sources.props("use-chips"), wide=True)
            self._same_model = ui.checkbox("Learn from the latest searches of the same model", value=False)
        transfer.set_visibility(bool(earlier))

    def spec(self) -> dict[str, Any]:
        """The spec as JSON, with what the user left empty left out."""
        spec: dict[str, Any] = {"name": "", "model": {}, "task": {"type": None, "data": {}}}
        for field in self._inputs:
            value = self._value(field)
            if value is not None:
                _put(spec, field, value)
        spec["objectives"] = [_filled(row) for row in self._objectives.rows]
        if self._constraints.rows:
            spec["constraints"] = [_filled(row) for row in self._constraints.rows]
        if not self._baselines.value:
            spec["baselines"] = False
        if self._same_model.value:
            _put(spec, "transfer.same_model", True)
        return spec

    def missing(self) -> list[FieldError]:
        """What a form cannot do without."""
        wanted = {
            "name": "give the search a name",
            "model.path": "name the model's folder; a model of the hub goes into the YAML",
            "task.data.path": "name the data file; a data set of the hub goes into the YAML",
            "task.text": "name the column that holds the text",
            "task.label": "name the column that holds the label",
        }
        return [FieldError(field, message) for field, message in wanted.items() if self._value(field) is None]

    def clear_errors(self) -> None:
        for element in self._all().values():
            element.error = None

    def show_errors(self, errors: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Put each (field, message) at its input; those that have none come back."""
        inputs = self._all()
        left = []
        for field, message in errors:
            place = next((name for name in _upwards(field) if name in inputs), None)
            if place is None:
                left.append((field, message))
            else:
                inputs[place].error = message if place == field else f"{field}: {message}"
        return left

    def _all(self) -> dict[str, Input]:
        """Every input by its field. Errors about a whole stand where it is named."""
        wholes = {"model": "model.path", "task.data": "task.data.path", "transfer": "transfer.jobs"}
        places = {**self._inputs, **{whole: self._inputs[part] for whole, part in wholes.items()}}
        for rows in (self._objectives, self._constraints):
            for index, row in enumerate(rows.rows):
                places[f"{rows.name}.{index}"] = row["metric"]
                places |= {f"{rows.name}.{index}.{part}": element for part, element in row.items()}
        return places

    def _value(self, field: str) -> Any:
        value = self._inputs[field].value
        if isinstance(value, str):
            value = value.strip()
        if value in (None, "", []):
            return None
        if field == "space":
            return {"preset": value}
        return int(value) if isinstance(value, float) and value.is_integer() and field != "budget.minutes" else value

    def _keep(self, field: str, element: Input, wide: bool = False) -> None:
        element.props("outlined dense")
        element.props["data-field"] = field
        if wide:
            element.classes("wide")
        self._inputs[field] = element

    def _text(self, field: str, label: str, value: str = "", placeholder: str = "", wide: bool = False) -> None:
        self._keep(field, ui.input(label, value=value, placeholder=placeholder), wide)

    def _number(self, field: str, label: str, value: float | None, whole: bool = True) -> None:
        self._keep(field, ui.number(label, value=value, precision=0 if whole else None))

    def _select(self, field: str, label: str, options: dict[str, str], value: str, wide: bool = False) -> None:
        self._keep(field, ui.select(options, label=label, value=value), wide)

    def _source(self, field: str, label: str, example: str) -> None:
        self._text(f"{field}.path", label, placeholder=example, wide=True)

    def _objective(self, values: dict[str, Any]) -> dict[str, Input]:
        return {"metric": _metric_select("Objective", values.get("metric"))}

    def _constraint(self, values: dict[str, Any]) -> dict[str, Input]:
        return {
            "metric": _metric_select("Metric", values.get("metric")),
            "min": ui.number("At least", value=values.get("min")).props("outlined dense"),
            "max": ui.number("At most", value=values.get("max")).props("outlined dense"),
        }


def _metric_select(label: str, value: str | None) -> Input:
    titles = {"quality": "Quality (the task's own metric)", **{name: metric_title(name) for name in METRICS}}
    return ui.select(titles, label=label, value=value).props("outlined dense")


def _filled(row: dict[str, Input]) -> dict[str, Any]:
    return {name: element.value for name, element in row.items() if element.value not in (None, "")}


def _put(spec: dict[str, Any], field: str, value: Any) -> None:
    *outer, last = field.split(".")
    for part in outer:
        spec = spec.setdefault(part, {})
    spec[last] = value


def _upwards(field: str) -> list[str]:
    """The field's path, then those of what holds it, nearest first."""
    parts = field.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
