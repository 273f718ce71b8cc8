"""Configurations and numbers in words, for people: dashboard, recipes, command line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from api.schemas import ChoiceView
from search.analysis.picks import Pick
from search.metrics import METRICS
from space.configuration import Applied, Component, Configuration
from space.methods import METHODS
from space.treatments import TREATMENTS, chosen

METRIC_TITLES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "matthews": "Matthews correlation",
    "mse": "Mean squared error",
    "r2": "R²",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "loss": "Held-out loss",
    "calibration_error": "Calibration error",
    "memorisation_gap": "Memorisation gap",
    "forgetting": "Forgetting",
    "weight_sparsity": "Zeros among the weights",
    "trainable_parameters": "Trainable parameters",
    "adapter_bytes": "Adapter size",
    "training_memory": "Training memory",
    "peak_memory": "Peak memory",
    "step_seconds": "Time a training step",
    "inference_latency": "Inference latency",
    "merged_latency": "Inference latency, merged",
}
BYTES = frozenset({"adapter_bytes", "training_memory", "peak_memory"})
SECONDS = frozenset({"step_seconds", "inference_latency", "merged_latency"})


def job_inputs(spec: Mapping[str, Any]) -> str:
    """A job's model and data by their last names."""
    model = (spec["model"].get("path") or spec["model"].get("hub") or "").rstrip("/").rpartition("/")[2]
    data = (spec["task"]["data"].get("path") or spec["task"]["data"].get("file") or "").rpartition("/")[2]
    return f"{model} on {data}"


def method_title(name: str) -> str:
    """The method as its authors spell it; another name as it is."""
    return METHODS[name].title if name in METHODS else name


def metric_title(name: str) -> str:
    return METRIC_TITLES.get(name, name.replace("_", " ").capitalize())


def configuration_title(configuration: Configuration) -> str:
    """The methods and their sizes, short enough for a table's cell."""
    if not configuration.components:
        return "Head only"
    treated = list(map(_treatment_title, _applied(configuration)))
    return " + ".join(map(_sized, configuration.components)) + (f" ({', '.join(treated)})" if treated else "")


def configuration_words(configuration: Configuration, depth: int | None = None) -> str:
    """One sentence part that says the whole configuration; `depth` is the model's number of layers, if known."""
    if not configuration.components:
        return "Head only, on frozen features"
    if all(METHODS[each.method].site_kind == "model" for each in configuration.components if each.method in METHODS):
        return f"Full fine-tuning{_treatment_words(configuration)}{_rate_words(configuration.learning_rate)}"
    parts = [" + ".join(_component_words(component) for component in configuration.components)]
    parts.append(_layers_words(configuration.layers, depth))
    if configuration.sparsity < 1:
        parts.append(f"{configuration.sparsity:.0%} of its parameters kept ({configuration.allocator})")
    return ", ".join(parts) + _treatment_words(configuration) + _rate_words(configuration.learning_rate)


def _sized(component: Component) -> str:
    method = METHODS.get(component.method)
    title = method_title(component.method)
    if method is None or method.size is None:
        return title
    sizes = component.size or (method.size.default,)
    return f"{title} {method.size.symbol}={'→'.join(map(str, sizes))}"


def _component_words(component: Component) -> str:
    method = METHODS.get(component.method)
    roles = component.roles or (method.default_roles if method else ())
    options = {
        name: value
        for name, value in component.options.items()
        if method and any(field.name == name and field.default != value for field in method.fields)
    }
    words = _sized(component)
    if roles:
        words += f" on {_list(map(_role_words, roles))}"
    if options:
        named = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in options.items())
        words += f" ({named})"
    return words


def _role_words(role: str) -> str:
    return role.removeprefix("attention.").replace("-linear", " linear sites").replace("-norms", " norms")


def _applied(configuration: Configuration) -> list[Applied]:
    return [each for each in chosen(configuration).values() if each is not None]


def _treatment_title(applied: Applied) -> str:
    return TREATMENTS[applied.name].title if applied.name in TREATMENTS else applied.name


def _treatment_words(configuration: Configuration) -> str:
    verbs = {"initialisation": "started by", "procedure": "trained by", "compression": "kept by"}
    words = ""
    for kind, applied in chosen(configuration).items():
        if applied is not None:
            words += f", {verbs[kind]} {_treatment_title(applied)}"
            options = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in applied.options.items())
            words += f" ({options})" if options else ""
    return words


def _list(items: Any) -> str:
    *most, last = list(items)
    return f"{', '.join(most)} and {last}" if most else last


def _layers_words(bits: Sequence[bool], depth: int | None) -> str:
    if not bits:
        return "all layers" if depth is None else f"all {depth} layers"
    on = [index for index, bit in enumerate(bits) if bit]
    length = len(bits)
    if on == list(range(length - len(on), length)):
        return f"last {len(on)} of {length} layers" if len(on) > 1 else f"last of {length} layers"
    if on == list(range(on[0], on[-1] + 1)):
        return f"layers {on[0] + 1} to {on[-1] + 1} of {length}" if len(on) > 1 else f"layer {on[0] + 1} of {length}"
    return f"layers {_list(str(index + 1) for index in on)} of {length}"


def _rate_words(rate: float | None) -> str:
    return "" if rate is None else f", learning rate {number(rate)}"


def pick_words(pick: Pick) -> str:
    """What a pick takes from a front."""
    if pick.kind == "knee":
        return "Knee: past it, paying more stops buying much"
    if pick.kind == "weighted":
        return "Balance of " + ", ".join(
            f"{weight:g} × {inside(metric_title(metric))}" for metric, weight in pick.weights
        )
    end = "Highest" if METRICS[pick.metric].goal == "maximize" else "Lowest"
    limits = [
        f"{inside(metric_title(limit.metric))} {'at most' if limit.bound == '<=' else 'at least'} "
        f"{metric_value(limit.metric, limit.value)}"
        for limit in pick.limits
    ]
    return f"{end} {inside(metric_title(pick.metric))}" + (f" with {_list(limits)}" if limits else "")


def inside(title: str) -> str:
    """A title inside a sentence."""
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def choice_title(name: str) -> str:
    """A choice of a space as a person would write it, methods as their authors do."""
    words = " ".join(METHODS[word].title if word in METHODS else word for word in name.split(" "))
    return words[:1].upper() + words[1:]


def usual_words(choice: ChoiceView) -> str:
    """What the best trials have: the layers that are on, or the value under the method that most of them have."""
    bits = [use for use in choice.dimensions if use.name.startswith("layer.") and use.best]
    if bits:
        on = sorted(int(use.name.removeprefix("layer.")) + 1 for use in bits if use.usual is True)
        return f"layers {_list(map(str, on))} on" if on else "few layers on"
    use = next((each for each in choice.dimensions if each.usual is not None), None)
    if use is None:
        return ""
    method = use.name.split(".")[0]
    value = "off" if use.usual == 0 and use.name.endswith(".size") else number(use.usual)
    if use.name == "method":
        value = method_title(value)
    return f"{value} ({method_title(method)})" if method in METHODS else value


def number(value: Any) -> str:
    """Three significant digits, two of a small one; very small ones as 1.2e-6."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if 1e-5 <= abs(value) < 1e-2:
        # No exponent: a line may break at its hyphen.
        return f"{value:.{1 - math.floor(math.log10(abs(value)))}f}".rstrip("0")
    if value != 0 and abs(value) < 1e-5:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.3g}"


def count(value: float) -> str:
    """A whole number, short: 940, 12.3k, 1.2M."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def metric_value(name: str, value: float | None) -> str:
    """A metric's value as a person would write it."""
    if value is None or not math.isfinite(value):
        return "–"
    if name == "trainable_parameters":
        return f"{int(value):,}"
    if name in BYTES:
        for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
            if value >= size:
                return f"{value / size:.3g} {unit}"
        return f"{value:.0f} B"
    if name in SECONDS:
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) >= 1e-4 else number(float(value))


def duration(seconds: float) -> str:
    """41 s, 3 min 20 s, 2 h 5 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def metrics_words(values: Mapping[str, float]) -> str:
    return ", ".join(f"{metric_title(name).lower()} {metric_value(name, value)}" for name, value in values.items())
