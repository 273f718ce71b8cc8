"""What a search space chooses from on one model, checked and canonical: the source of its dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import geometric_mean

from space.configuration import Component, OptionValue
from space.dimension import Condition, Dimension, Value
from space.methods import Method
from space.placement import layer_dimensions
from space.size import MAX_DIVISOR, Size
from space.treatment import TreatmentKind
from space.treatment_choices import Treated, TreatmentChoices

UNION = "union"
METHOD, PROFILE, SPARSITY, ALLOCATOR, RATE = "method", "profile", "sparsity", "allocator", "learning_rate"
PROFILES = ("falling", "flat", "rising")
"""The size over the depth: `rising` goes from a quarter of the size at the first layer to the size at the last."""


@dataclass(frozen=True)
class MemberChoices:
    """One method's choices, by itself or as a member of the union. `prefix` starts its dimensions' names."""

    method: Method
    prefix: str
    sizes: tuple[Size, ...] = ()
    """Ascending; 0 (the member is absent) first, in a union. For a method without size: empty, or (0, 1) in a union."""
    sites: tuple[tuple[str, ...], ...] = ((),)
    options: Mapping[str, tuple[OptionValue, ...]] = field(default_factory=dict)

    @property
    def size_name(self) -> str:
        return f"{self.prefix}.size"

    @property
    def sites_name(self) -> str:
        return f"{self.prefix}.sites"

    def option_name(self, option: str) -> str:
        return f"{self.prefix}.{option}"

    @property
    def has_profile(self) -> bool:
        """Its size may change over the depth."""
        return self.method.size is not None and not self.method.size.uniform

    def size(self, point: Mapping[str, Value]) -> Size:
        """The size at `point`; 0 where the member is absent."""
        found = point.get(self.size_name, self.sizes[0] if self.sizes else 1)
        return found if isinstance(found, str) else int(found)

    def key(self, point: Mapping[str, Value]) -> tuple[Value, ...]:
        """The values at `point` that say what the member is there, its profile left out."""
        chosen = [point.get(self.size_name, ""), point.get(self.sites_name, "")]
        chosen += [point.get(self.option_name(option), "") for option in self.options]
        return (self.prefix, *chosen)

    def component(self, point: Mapping[str, Value], profile: str) -> Component:
        """The component at `point`, where the member is not absent."""
        sites = point.get(self.sites_name)
        roles = self.sites[0] if sites is None else next(each for each in self.sites if sites_label(each) == sites)
        return Component(
            method=self.method.name,
            roles=roles,
            size=self.shape(self.size(point), profile) if self.method.size else (),
            options={option: point.get(self.option_name(option), values[0]) for option, values in self.options.items()},
        )

    def shape(self, size: Size, profile: str) -> tuple[Size, ...]:
        """`size` over the depth, as the method's `Component.size`."""
        return shape(size, profile if self.has_profile else "flat")

    def dimensions(self, condition: Condition | None) -> Iterator[Dimension]:
        inner = condition
        if len(self.sizes) > 1:
            yield Dimension(self.size_name, "ordinal", choices=self.sizes, condition=condition)
            if self.sizes[0] == 0:
                inner = Condition(self.size_name, self.sizes[1:])
        if len(self.sites) > 1:
            labels = tuple(sites_label(each) for each in self.sites)
            yield Dimension(self.sites_name, "categorical", choices=labels, condition=inner)
        for option, values in self.options.items():
            if len(values) > 1:
                ordered = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
                yield Dimension(
                    self.option_name(option), "ordinal" if ordered else "categorical", choices=values, condition=inner
                )


@dataclass(frozen=True)
class Choices:
    """Everything a space chooses from. What has one choice is fixed and makes no dimension."""

    methods: tuple[MemberChoices, ...]
    union: tuple[MemberChoices, ...] = ()
    profiles: tuple[str, ...] = ("flat",)
    layers: tuple[str, ...] = ("all",)
    sparsities: tuple[float, ...] = (1.0,)
    """Ascending."""
    allocators: tuple[str, ...] = ("uniform",)
    rates: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Learning-rate range of each group; equal ends: fixed."""
    treatments: Mapping[TreatmentKind, TreatmentChoices] = field(default_factory=dict)
    """Of the kinds that the space names; the others are left out of every configuration."""

    @property
    def groups(self) -> tuple[str, ...]:
        """What the dimension `method` chooses from: each method by itself, and the union."""
        return (*(member.method.name for member in self.methods), *((UNION,) if self.union else ()))

    def group(self, point: Mapping[str, Value]) -> str:
        return str(point[METHOD]) if len(self.groups) > 1 else self.groups[0]

    def members(self, group: str) -> tuple[MemberChoices, ...]:
        """The method `group`, or the union's members, absent ones included."""
        if group == UNION:
            return self.union
        return tuple(member for member in self.methods if member.method.name == group)

    def profile(self, point: Mapping[str, Value]) -> str:
        return str(point.get(PROFILE, self.profiles[0]))

    def sparsity(self, point: Mapping[str, Value]) -> float:
        return float(point.get(SPARSITY, self.sparsities[0]))

    def allocator(self, point: Mapping[str, Value]) -> str:
        return str(point.get(ALLOCATOR, self.allocators[0]))

    @cached_property
    def treated(self) -> Treated:
        """Which treatments go with which group.

        Raises:
            FieldError: see `Treated`.
        """
        groups = {group: tuple(each.method.name for each in self.members(group)) for group in self.groups}
        return Treated(self.treatments, groups, self._in_groups)

    def rate_name(self, group: str) -> str:
        """Name of the dimension that holds the group's learning rate: one for all where all search the same range."""
        return RATE if len(set(self.rates.values())) == 1 else f"{group}.{RATE}"

    def usual_rates(self) -> dict[str, float]:
        """By learning-rate dimension: the methods' own default, the geometric mean where groups share the dimension."""
        found: dict[str, list[float]] = {}
        for group in self.groups:
            default = min(member.method.learning_rate.default for member in self.members(group))
            found.setdefault(self.rate_name(group), []).append(default)
        return {name: geometric_mean(defaults) for name, defaults in found.items()}

    def rate(self, point: Mapping[str, Value]) -> float:
        group = self.group(point)
        return float(point.get(self.rate_name(group), self.rates[group][0]))

    def dimensions(self, depth: int) -> tuple[Dimension, ...]:
        """Every dimension on a model of `depth` layers, each after those that its condition names."""
        found: list[Dimension] = []
        if len(self.groups) > 1:
            found.append(Dimension(METHOD, "categorical", choices=self.groups))
        for member in self.methods:
            found += member.dimensions(self._in_groups((member.method.name,)))
        for member in self.union:
            found += member.dimensions(self._in_groups((UNION,)))
        if len(self.profiles) > 1:
            sized = tuple(name for name in self.groups if any(member.has_profile for member in self.members(name)))
            if sized:
                found.append(Dimension(PROFILE, "categorical", choices=self.profiles, condition=self._in_groups(sized)))
        found += self.treated.dimensions()
        found += layer_dimensions(self.layers, depth)
        if len(self.sparsities) > 1:
            found.append(Dimension(SPARSITY, "ordinal", choices=self.sparsities))
        sparse = tuple(share for share in self.sparsities if share < 1)
        if sparse and len(self.allocators) > 1:
            condition = Condition(SPARSITY, sparse) if len(self.sparsities) > 1 else None
            found.append(Dimension(ALLOCATOR, "categorical", choices=self.allocators, condition=condition))
        names = dict.fromkeys(self.rate_name(group) for group in self.groups)
        for name in names:
            groups = tuple(group for group in self.groups if self.rate_name(group) == name)
            low, high = self.rates[groups[0]]
            if low < high:
                condition = self._in_groups(groups)
                found.append(Dimension(name, "float", low=low, high=high, log=True, condition=condition))
        return tuple(found)

    def _in_groups(self, groups: tuple[str, ...]) -> Condition | None:
        return None if set(groups) == set(self.groups) else Condition(METHOD, groups)


def sites_label(roles: tuple[str, ...]) -> str:
    """The roles of one placement as one choice of a dimension."""
    return "+".join(roles) or "default"


def shape(size: Size, profile: str) -> tuple[Size, ...]:
    """`size` as points over the depth, from the first layer to the last."""
    if profile == "flat":
        return (size,)
    quarter: Size = max(1, size // 4) if isinstance(size, int) else f"d/{min(4 * int(size[2:] or 1), MAX_DIVISOR)}"
    return (quarter, size) if profile == "rising" else (size, quarter)
