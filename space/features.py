"""Points as numbers for a surrogate model: what methods share stands in shared columns, inactive ones are constant."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from space.choices import ALLOCATOR, METHOD, PROFILE, PROFILES, SPARSITY, UNION, Choices, MemberChoices
from space.dimension import Dimension, Value
from space.placed import PlacedComponent
from space.placement import Bits
from space.sites import SiteTable
from space.size import absolute
from space.treatment import KINDS, TreatmentKind
from space.treatments import NONE

INACTIVE = 0.5
SHARED = ("size", "layers.share", "layers.height", "sparsity", "learning_rate", "log_parameters")
"""Columns that are numbers and mean the same whatever is chosen otherwise."""


@dataclass(frozen=True)
class Place:
    """A point with what was worked out from it."""

    point: Mapping[str, Value]
    group: str
    placed: Sequence[PlacedComponent]
    bits: Bits
    parameters: float
    """Dense trainable parameters times the share kept."""


Column = tuple[str, Callable[[Place], float]]


class Features:
    """The columns of one space, each in [0, 1]; `names` says what they are, `shared` where the `SHARED` ones stand.

    Columns: one-hot method; log size, shared by all methods; a flag and a log size for each member of the union; a flag
    for each site role that the space chooses; options; profile over depth; a bit for each layer, the share of layers
    and their mean height; treatments and their options; share kept and allocator; position of the learning rate in
    the method's range, on a log scale; log of the trainable parameters. What the space does not choose has no
    column.
    """

    def __init__(
        self,
        choices: Choices,
        dimensions: Sequence[Dimension],
        table: SiteTable,
        roles: Mapping[str, Sequence[tuple[str, ...]]],
        most_parameters: int,
    ) -> None:
        """`roles`: the model's roles of each placement choice, by method, for methods that choose by themselves."""
        self._choices = choices
        self._table = table
        self._dimensions = {dimension.name: dimension for dimension in dimensions}
        columns = self._method() + self._sizes() + self._union() + _roles(roles) + self._options() + self._layers()
        columns += self._treatments() + self._sparsity() + self._rate()
        scale = math.log1p(max(most_parameters, 1))
        columns.append(("log_parameters", lambda place: min(math.log1p(place.parameters) / scale, 1.0)))
        self.names = tuple(name for name, _ in columns)
        self.shared = tuple(place for place, name in enumerate(self.names) if name in SHARED)
        self._columns = [value for _, value in columns]

    def matrix(self, places: Sequence[Place]) -> NDArray[np.float64]:
        """Shape [places, columns]."""
        rows = [[value(place) for value in self._columns] for place in places]
        return np.array(rows, dtype=np.float64).reshape(len(places), len(self._columns)).clip(0.0, 1.0)

    def _method(self) -> list[Column]:
        if METHOD not in self._dimensions:
            return []
        return [(f"method={group}", _equals_group(group)) for group in self._choices.groups]

    def _sizes(self) -> list[Column]:
        """One column for every method by itself: log of the absolute size between the space's smallest and largest."""
        absolutes = {
            member.method.name: {size: absolute(size, self._table.hidden_size) for size in member.sizes}
            for member in self._choices.methods
        }
        every = [math.log(number) for sizes in absolutes.values() for number in sizes.values()]
        if not every or min(every) == max(every):
            return []
        low, high = min(every), max(every)
        members = {member.method.name: member for member in self._choices.methods}

        def value(place: Place) -> float:
            sizes = absolutes.get(place.group)
            if not sizes:
                return INACTIVE
            return (math.log(sizes[members[place.group].size(place.point)]) - low) / (high - low)

        return [("size", value)]

    def _union(self) -> list[Column]:
        columns: list[Column] = []
        for member in self._choices.union:
            if len(member.sizes) > 1:
                columns += self._member(member)
            if member.sites_name in self._dimensions:
                columns += _one_hot(self._dimensions[member.sites_name])
        return columns

    def _member(self, member: MemberChoices) -> list[Column]:
        numbers = {size: absolute(size, self._table.hidden_size) for size in member.sizes}
        most = math.log1p(max(numbers.values()))

        def on(place: Place) -> float:
            return float(place.group == UNION and member.size(place.point) != 0)

        def size(place: Place) -> float:
            return math.log1p(numbers[member.size(place.point)]) / most if place.group == UNION else 0.0

        columns: list[Column] = [(f"{member.prefix}.on", on)] if member.sizes[0] == 0 else []
        return columns + ([(member.size_name, size)] if member.method.size else [])

    def _options(self) -> list[Column]:
        columns: list[Column] = []
        for member in (*self._choices.methods, *self._choices.union):
            for option in member.options:
                dimension = self._dimensions.get(member.option_name(option))
                if dimension is not None:
                    columns += _position(dimension) if dimension.kind == "ordinal" else _one_hot(dimension)
        if PROFILE in self._dimensions:
            heights = {profile: index / (len(PROFILES) - 1) for index, profile in enumerate(PROFILES)}
            columns.append((PROFILE, lambda place: heights[str(place.point.get(PROFILE, "flat"))]))
        return columns

    def _layers(self) -> list[Column]:
        if self._choices.layers == ("all",):
            return []
        depth = self._table.depth
        columns: list[Column] = [(f"layer.{layer}", _bit(layer)) for layer in range(depth)]
        columns.append(("layers.share", lambda place: sum(place.bits) / depth))
        columns.append(("layers.height", lambda place: _height(place.bits)))
        return columns

    def _treatments(self) -> list[Column]:
        treated = self._choices.treated

        def is_chosen(kind: TreatmentKind, name: str) -> Callable[[Place], float]:
            return lambda place: float(treated.names(place.point, place.group).get(kind, NONE) == name)

        columns: list[Column] = []
        for kind, names in treated.varied().items():
            columns += [(f"{kind}={name}", is_chosen(kind, name)) for name in names]
        own = [each.name for each in treated.dimensions() if each.name.rpartition(".")[2] not in KINDS]
        for name in own:
            dimension = self._dimensions[name]
            columns += _position(dimension) if dimension.kind == "ordinal" else _one_hot(dimension)
        return columns

    def _sparsity(self) -> list[Column]:
        columns: list[Column] = []
        if SPARSITY in self._dimensions:
            columns.append((SPARSITY, lambda place: self._choices.sparsity(place.point)))
        if ALLOCATOR in self._dimensions:
            columns += _one_hot(self._dimensions[ALLOCATOR])
        return columns

    def _rate(self) -> list[Column]:
        names = {group: self._choices.rate_name(group) for group in self._choices.groups}
        dimensions = {group: self._dimensions[name] for group, name in names.items() if name in self._dimensions}
        if not dimensions:
            return []

        def value(place: Place) -> float:
            dimension = dimensions.get(place.group)
            return INACTIVE if dimension is None else dimension.position(place.point[dimension.name])

        return [("learning_rate", value)]


def _equals_group(group: str) -> Callable[[Place], float]:
    return lambda place: float(place.group == group)


def _bit(layer: int) -> Callable[[Place], float]:
    return lambda place: float(place.bits[layer])


def _height(bits: Bits) -> float:
    """Mean relative height of the layers that are on: 0 at the input, 1 at the output."""
    return sum(layer for layer, on in enumerate(bits) if on) / max(sum(bits) * (len(bits) - 1), 1)


def _roles(roles: Mapping[str, Sequence[tuple[str, ...]]]) -> list[Column]:
    """A flag for each role that some method by itself may or may not adapt."""
    varied: dict[str, None] = {}
    for placements in roles.values():
        sets = [set(placement) for placement in placements]
        varied |= dict.fromkeys(sorted(role for role in set().union(*sets) if not all(role in each for each in sets)))

    def flag(role: str) -> Callable[[Place], float]:
        return lambda place: float(any(role in each.roles for each in place.placed))

    return [(f"sites.{role}", flag(role)) for role in varied]


def _one_hot(dimension: Dimension) -> list[Column]:
    def column(choice: Value) -> Column:
        return f"{dimension.name}={choice}", lambda place: float(place.point.get(dimension.name) == choice)

    return [column(choice) for choice in dimension.choices]


def _position(dimension: Dimension) -> list[Column]:
    def value(place: Place) -> float:
        return dimension.position(place.point[dimension.name]) if dimension.name in place.point else INACTIVE

    return [(dimension.name, value)]
