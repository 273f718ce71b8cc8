"""What a method tells the search: its fields, the sites it fits, its size formula and where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from space.configuration import OptionValue
from space.sites import Site, SiteKind, SiteTable
from space.size import Size
from space.verification import Verification

if TYPE_CHECKING:
    from space.plan import PlanEntry

Options = Mapping[str, OptionValue]
Tensors = Mapping[str, tuple[int, ...]]
"""Shapes of tensors by their names in a file, the backbone's path left out."""
Placed = tuple["PlanEntry", Site]
"""A plan's entry with the site it stands for."""
Kind = Literal["method", "initialisation", "allocator", "procedure", "compression"]


@dataclass(frozen=True)
class SizeField:
    """The one whole number that says how large a method is at a site."""

    name: str
    """What the field calls it: rank, bottleneck, tokens, frequencies."""
    choices: tuple[Size, ...]
    """Sizes searched when a space names none."""
    default: Size
    limit: Callable[[Site, SiteTable], int]
    """Largest size that makes sense at a site; a larger one is cut to it."""
    plural: str = "ranks"
    """What several of them are called, in sentences."""
    symbol: str = "r"
    """What stands for it in formulas and in short descriptions."""
    uniform: bool = False
    """All sites of a plan share one size, because the code that trains it takes no other; so there is no profile over
    the depth, a size is cut to what fits every site, and a sparsity budget buys whole sites."""


@dataclass(frozen=True)
class Field:
    """One further option of a method."""

    name: str
    description: str
    default: OptionValue
    choices: tuple[OptionValue, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False
    silent: bool = False
    """Plans leave it out where it stands at its default: an option added later changes no plan that lacks it."""

    def refuses(self, value: Any) -> str | None:
        """Why `value` is not allowed here, or None."""
        if self.choices:
            known = any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in self.choices)
            return None if known else f"is none of {', '.join(map(repr, self.choices))}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "is not a number"
        if isinstance(self.default, int) and value != int(value):
            return "is not a whole number"
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            return f"is outside {self.low} to {self.high}"
        return None


@dataclass(frozen=True)
class LearningRate:
    """The range searched on a log scale, and the rate used when a configuration names none."""

    low: float
    high: float
    default: float


@dataclass(frozen=True)
class PeftSteps:
    """What one of peft's own tuners must be told of a run's steps by whoever trains it."""

    fields: Callable[[Options, int], dict[str, Any]]
    """Fields of its `adapter_config.json` that hold for a run of so many steps."""
    call: str
    """What to do after each step of the optimiser, gradients still there: an expression of the peft model `model` and
    of `step`, the steps done."""


@dataclass(frozen=True)
class Method:
    """The torch-free half of a method; the evaluator's half has the same name under `evaluator/methods`."""

    name: str
    title: str
    """The name as its authors spell it."""
    summary: str
    source: str
    """Paper or documentation that defines it."""
    engine: str
    """Which code trains it: "peft", or one of our engines, E1 to E7."""
    site_kind: SiteKind
    default_roles: tuple[str, ...]
    learning_rate: LearningRate
    parameters: Callable[[Site, SiteTable, int, Options], int]
    """Trainable parameters at one site of one size (0 for a method without size), those that sites share left out."""
    shared: Callable[[Sequence[Site], SiteTable, int, Options], int] | None = None
    """Trainable parameters that the sites of a plan have in common (a bank of vectors, say), never more for fewer
    sites; the plan counts them at its first entry. Only for methods that stand alone and have one size."""
    first_layer_only: Callable[[Options], bool] = field(default=lambda _: False)
    """With these options it stands once, where the backbone's input enters its first layer, whichever layers are
    chosen."""
    size: SizeField | None = None
    fields: tuple[Field, ...] = ()
    role_choices: tuple[tuple[str, ...], ...] = ()
    """Placements over roles that a search tries when the space names none; empty: the default only."""
    refuses: Callable[[Site, SiteTable, int, Options], str | None] = field(default=lambda *_: None)
    """Why the method does not fit a site, or None."""
    composable: bool = False
    """May stand beside others in a union."""
    merges: bool = False
    converts_to_lora: bool = False
    starts_at_base: bool = True
    """At initialisation the model's output is the base model's."""
    rewrites_base: bool = False
    """Its start moves part of the base weights into the adapter, so taking it off takes a copy of them: peft's own
    `unload` does not give them back."""
    leaves_head_wrapped: bool = False
    """peft's own `unload` and `merge_and_unload` leave a saved head in the wrappers that it was trained in: the outputs
    are right, the names of its parameters are not."""
    searchable: bool = True
    """False for what no preset lists by itself: baselines, and what must be asked for by name."""
    kind: Kind = "method"
    peft: Callable[[Sequence[Placed]], dict[str, Any]] | None = None
    """For a method that peft trains by itself: the fields of its `adapter_config.json` at these sites, as JSON; fields
    at peft's default may be left out."""
    takes_our_tuner: Callable[[Options], bool] = field(default=lambda _: False)
    """Options with which our own tuner trains it, although peft has a tuner for it."""
    at_site: Callable[[Site, SiteTable], Mapping[str, OptionValue]] | None = None
    """What a component of ours must know of its site beyond the shape; stands beside the options in our tuner's
    configuration."""
    scheduled: bool = False
    """What it trains changes while it trains, so a training loop must tell it the steps: by
    `evaluator.methods.Schedule`, or as `peft_steps` says."""
    peft_loss: str = ""
    """Where peft leaves a term of the loss to the training program: its expression, of the peft model `model` and of
    its trained parameters by name, `trained`."""
    peft_steps: PeftSteps | None = None
    """For a tuner of peft that changes with the steps what it trains."""
    tensors: Callable[[Site, SiteTable, int, bool], Tensors] | None = None
    """What it leaves in the adapter's file at one site of one size, in float32, not quantised: under peft's own names
    where peft trains it (last argument), else under our tuner's (`component_tensors`). None: training decides that, or
    nobody has said it."""
    formula: str = ""
    """The parameter formula in words, for the docs."""
    verified: tuple[Verification, ...] = ()
    """What its update was compared with beside the shared contract suite (and peft, where that trains it)."""


def component_tensors(method: str, module: str, tensors: Tensors) -> Tensors:
    """`tensors` of a component at `module` by their names in our tuner's files."""
    return {f"{module}.paretune_components.{method}.{name}": shape for name, shape in tensors.items()}
