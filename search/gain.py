"""The gain that further trials are expected to bring, and its words. How it is estimated: `search.growth`."""

from __future__ import annotations

from dataclasses import dataclass

AHEAD = 10
"""Further trials that an estimate is for."""


@dataclass(frozen=True)
class Gain:
    """What `AHEAD` further trials bring, as shares of the hypervolume so far."""

    expected: float
    """At the rate of the second half of the search so far."""
    most: float
    """Upper limit of the expected, with 95% certainty."""
    modelled: float | None = None
    """If each brought what the model expected of the last one it chose; None without a model of the hypervolume."""

    @property
    def ceiling(self) -> float:
        """The larger of what the record allows and what the model expects."""
        return max(self.most, self.modelled or 0.0)

    @property
    def words(self) -> str:
        model = "" if self.modelled is None else f" (the model: {self.modelled:.2%})"
        return (
            f"{AHEAD} further trials are expected to bring {self.expected:.2%} of the hypervolume, with 95% certainty "
            f"at most {self.most:.2%}{model}"
        )
