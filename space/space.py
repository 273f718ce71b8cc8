"""Search spaces: the configurations that a search may try on one model, within limits on their parameters."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from space import encode as encoding
from space.choices import RATE, UNION, Choices, MemberChoices
from space.configuration import Configuration
from space.dimension import Condition, Dimension, active, walk
from space.encode import Point
from space.errors import FieldError
from space.extremes import corners, valid_point
from space.features import Features, Place
from space.neighbour import change
from space.parameters import ParameterLimits
from space.placed import EVERYWHERE, PlacedComponent, model_roles, place
from space.placement import Bits, patterns, read_bits
from space.plan import Plan
from space.resolve import assemble
from space.scores import ScoreTable
from space.sites import SiteTable
from space.sparsity import budget, find_allocator
from space.stored import stored_bytes, tell_bytes

__all__ = ["Condition", "Dimension", "Point", "SearchSpace"]

PARAMETERS, BYTES = "trainable_parameters", "adapter_bytes"
SAMPLE_TRIES = 100
WALK_STEPS = 24
KEPT_PLANS = 2048
RANGE_SAMPLES = 64


class SearchSpace:
    """The allowed configurations on the model of `table`, as points of named dimensions.

    A point is valid where `check` returns None: its values are the dimensions', something is adapted, every method fits
    its sites, the treatments fit the methods and each other, and the trainable parameters are within `limits`. Without
    `scores`, an allocator that needs them is counted at its whole budget, of which it never spends more, and its points
    have no plan yet.

    Raises:
        FieldError: no configuration is within the limits (`constraints`).
    """

    def __init__(
        self,
        choices: Choices,
        table: SiteTable,
        limits: ParameterLimits | None = None,
        scores: ScoreTable | None = None,
    ) -> None:
        self.choices = choices
        self.table = table
        self.limits = limits or ParameterLimits()
        self.scores = scores
        self.dimensions: tuple[Dimension, ...] = choices.dimensions(table.depth)
        self._index = {dimension.name: index for index, dimension in enumerate(self.dimensions)}
        self._placed: dict[tuple[object, ...], PlacedComponent] = {}
        self._plans: OrderedDict[tuple[object, ...], Plan] = OrderedDict()
        self._witness = valid_point(self)

    def with_scores(self, scores: ScoreTable) -> SearchSpace:
        """The same space with the scores that its allocators read."""
        return SearchSpace(self.choices, self.table, self.limits, scores)

    @property
    def needs_scores(self) -> bool:
        """Some point's allocator reads scores."""
        sparse = any(share < 1 for share in self.choices.sparsities)
        return sparse and any(find_allocator(name).needs_scores for name in self.choices.allocators)

    def active(self, point: Point) -> list[Dimension]:
        """The dimensions that `point`, perhaps not yet complete, makes active."""
        return active(self.dimensions, point)

    def decode(self, point: Point) -> Configuration:
        """The configuration at a valid `point`."""
        return encoding.decode(point, self.choices, self.table)

    def encode(self, configuration: Configuration) -> Point:
        """The point that trains the same model as `configuration`.

        Raises:
            FieldError: `configuration` is not in the space; names its field.
        """
        return encoding.encode(configuration, self.choices, self.dimensions, self.table)

    def point_of(self, configuration: Configuration) -> Point:
        """The same, where it is a valid point.

        Raises:
            FieldError: `configuration` is not in the space, or its limits refuse it.
        """
        point = self.encode(configuration)
        reason = self.check(point)
        if reason is not None:
            raise FieldError("configuration", reason)
        return point

    def check(self, point: Point) -> str | None:
        """Why `point` is not valid, or None."""
        names = self.active(point)
        for dimension in names:
            reason = dimension.refuses(point[dimension.name]) if dimension.name in point else f"no {dimension.name}"
            if reason:
                return reason
        if len(names) < len(point):
            unknown = next(name for name in point if name not in {dimension.name for dimension in names})
            return f"{unknown} is not a dimension of this point"
        placed, bits = self.placed(point), self.bits(point)
        if not placed:
            return "every method of the union is off"
        if not any(bits):
            return "no layer is on"
        rule = find_allocator(self.choices.allocator(point)) if self.choices.sparsity(point) < 1 else None
        methods = (*(each.method.name for each in placed), *(rule.adds if rule is not None else ()))
        reason = self.choices.treated.check(point, self.choices.group(point), methods)
        if reason:
            return reason
        layers = [layer for layer, on in enumerate(bits) if on]
        for each in placed:
            reason = None if each.fits_everywhere else each.refuses(layers)
            if reason:
                return reason
        if rule is not None:
            for each in placed:
                for role in each.roles:
                    reason = rule.refuses(each.method, role)
                    if reason:
                        return reason
        least, most = self._bounds(point, layers)
        if most == 0:
            return "the sparsity budget is below the smallest unit"
        reason = self.limits.refuses(most)
        if least < most and reason != self.limits.refuses(least):
            return self.limits.refuses(self.parameters(point))
        return reason

    def parameters(self, point: Point) -> int:
        """Trainable parameters at `point`, limits left aside; the whole budget where its allocator lacks scores.

        Raises:
            FieldError: its sparsity budget is below the smallest unit, or a method does not fit.
        """
        sparsity = self.choices.sparsity(point)
        dense = self._dense(point)
        if sparsity == 1:
            return dense
        if self._lacks_scores(point):
            return budget(sparsity, dense)
        return self.plan(point).trainable_parameters

    def _lacks_scores(self, point: Point) -> bool:
        return self.scores is None and find_allocator(self.choices.allocator(point)).needs_scores

    def _bounds(self, point: Point, layers: Sequence[int]) -> tuple[int, int]:
        """Fewest and most parameters that the point's plan can have, without making it; (0, 0) where it would be empty.

        What an allocation leaves of its budget is less than the dearest unit, or it would have bought one more.
        """
        sparsity, dense = self.choices.sparsity(point), self._dense(point)
        if sparsity == 1:
            return dense, dense
        shared = sum(each.shared(layers) for each in self.placed(point))
        total = budget(sparsity, dense) - shared
        rule = find_allocator(self.choices.allocator(point))
        found = [each.prices(rule) for each in self.placed(point)]
        prices = [each[layer] for each in found for layer in (EVERYWHERE, *layers) if layer in each]
        cheapest = min(low for low, _ in prices)
        if total < cheapest:
            return 0, 0
        if self._lacks_scores(point):
            return total + shared, total + shared
        # Fewer sites may share less.
        return max(total - max(high for _, high in prices) + 1, cheapest), total + shared

    def plan(self, point: Point) -> Plan:
        """The plan at `point`; the latest are kept.

        Raises:
            FieldError: the point is not valid for a reason other than limits, or its allocator lacks scores.
        """
        key = tuple(point.items())
        plan = self._plans.get(key)
        if plan is None:
            choices = self.choices
            plan = assemble(
                self.placed(point),
                self.bits(point),
                choices.sparsity(point),
                choices.allocator(point),
                choices.rate(point),
                self.scores,
                choices.treated.applied(point, choices.group(point)),
            )
            self._plans[key] = plan
            if len(self._plans) > KEPT_PLANS:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(key)
        return plan

    def key(self, point: Point) -> str:
        """Names what a valid `point` trains: points of one key train the same model."""
        return self.plan(point).key

    @cached_property
    def known_metrics(self) -> tuple[str, ...]:
        """The metrics that every valid point has for certain, before anything is trained."""
        return (PARAMETERS, *((BYTES,) if tell_bytes(self.choices, self.table) else ()))

    def known(self, point: Point, metric: str) -> float:
        """What a valid `point` has of `metric`, one of `known_metrics`."""
        plan = self.plan(point)
        value = plan.trainable_parameters if metric == PARAMETERS else stored_bytes(plan, self.table)
        if metric not in self.known_metrics or value is None:
            raise ValueError(f"{metric} is not known before training in this space")
        return float(value)

    def sample(self, rng: np.random.Generator) -> Point:
        """A random valid point: every active dimension uniform (on its scale), invalid points drawn again.

        Where limits leave so little that `SAMPLE_TRIES` draws find nothing, the end of a random walk over valid points.
        """
        for _ in range(SAMPLE_TRIES):
            point = walk(self.dimensions, lambda dimension: dimension.at(rng.random()))
            if self.check(point) is None:
                return point
        point = self._witness
        for _ in range(WALK_STEPS):
            point = next(iter(self.neighbours(point, rng, 1)), point)
        return dict(point)

    def from_unit(self, u: NDArray[np.float64]) -> Point | None:
        """The point at `u` of the unit cube (shape [dimensions]; inactive ones ignored); None where it is not valid."""
        point = walk(self.dimensions, lambda dimension: dimension.at(float(u[self._index[dimension.name]])))
        return point if self.check(point) is None else None

    def neighbours(self, point: Point, rng: np.random.Generator, n: int) -> list[Point]:
        """Up to `n` different valid points, one or two changes away from `point`.

        Dimensions that a change makes active take over the value of the one they stand for where it fits (another
        method's size, the same layers), else a random value. Fewer than `n` where 20·n draws found no more.
        """
        own = tuple(point.items())
        found: dict[tuple[object, ...], Point] = {}
        for _ in range(20 * n):
            changed = change(point, self.dimensions, self.choices.layers, self.table.depth, rng)
            key = tuple(changed.items())
            if key != own and key not in found and self.check(changed) is None:
                found[key] = changed
                if len(found) == n:
                    break
        return list(found.values())

    def continuous(self, point: Point) -> dict[int, str]:
        """The learning rate where it is searched for, by the place of its feature, which is its position."""
        name = self.choices.rate_name(self.choices.group(point))
        return {self.feature_names.index(RATE): name} if name in point else {}

    def moved(self, point: Point, positions: Mapping[str, float]) -> Point:
        """`point` with some continuous values at other positions (0 to 1) in their ranges."""
        return {**point, **{name: self.dimensions[self._index[name]].at(at) for name, at in positions.items()}}

    def features(self, points: Sequence[Point]) -> NDArray[np.float64]:
        """What a surrogate model sees, shape [points, len(feature_names)], in [0, 1] (`space.features`)."""
        return self._features.matrix([self._place(point) for point in points])

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self._features.names

    @property
    def shared_features(self) -> tuple[int, ...]:
        """Places of the features that are numbers and mean the same for every configuration."""
        return self._features.shared

    def size(self) -> float:
        """Number of configurations, limits left aside, the learning rate counted as one value."""
        sparse = sum(share < 1 for share in self.choices.sparsities)
        shares = sparse * len(self.choices.allocators) + (1.0 in self.choices.sparsities)
        total = 0.0
        for group in self.choices.groups:
            members = self.choices.members(group)
            count = 1.0
            for member in members:
                count *= _member_count(member)
            if group == UNION and all(member.sizes[:1] == (0,) for member in members):
                count -= 1
            count *= self.choices.treated.count(group)
            total += count * (len(self.choices.profiles) if any(member.has_profile for member in members) else 1)
        return total * patterns(self.choices.layers, self.table.depth) * shares

    def parameter_range(self, rng: np.random.Generator) -> tuple[int, int]:
        """Fewest and most trainable parameters of valid configurations.

        From the corners of the space and random points: exact for dense configurations that no limit cuts, close
        otherwise, and never outside the limits.
        """
        points = [point for point in corners(self) if self.check(point) is None]
        points += [self._witness, *(self.sample(rng) for _ in range(RANGE_SAMPLES))]
        counts = [self.parameters(point) for point in points]
        return min(counts), max(counts)

    def bits(self, point: Point) -> Bits:
        """The layers that `point` switches on, one bit a layer of the model."""
        return read_bits(self.choices.layers, point, self.table.depth)

    def placed(self, point: Point) -> list[PlacedComponent]:
        """The methods at `point` on every layer of the model, absent ones left out."""
        choices = self.choices
        profile = choices.profile(point)
        found = []
        for member in choices.members(choices.group(point)):
            if member.size(point) == 0:
                continue
            key = (profile, *member.key(point))
            known = self._placed.get(key)
            if known is None:
                known = self._placed[key] = place(member.component(point, profile), self.table, "components")
            found.append(known)
        return found

    def _dense(self, point: Point) -> int:
        layers = [layer for layer, on in enumerate(self.bits(point)) if on]
        return sum(each.count(layers) for each in self.placed(point))

    def _place(self, point: Point) -> Place:
        return Place(
            point=point,
            group=self.choices.group(point),
            placed=self.placed(point),
            bits=self.bits(point),
            parameters=self._dense(point) * self.choices.sparsity(point),
        )

    @cached_property
    def _features(self) -> Features:
        roles = {
            member.method.name: [model_roles(each, member.method, self.table, "sites")[0] for each in member.sites]
            for member in self.choices.methods
        }
        most = max(self._dense(point) for point in corners(self))
        return Features(self.choices, self.dimensions, self.table, roles, most)


def _member_count(member: MemberChoices) -> float:
    """Ways to choose a method by itself, or a union's member with its absence as one."""
    inner = float(len(member.sites))
    for values in member.options.values():
        inner *= len(values)
    absent = member.sizes[:1] == (0,)
    return (max(len(member.sizes), 1) - absent) * inner + absent
