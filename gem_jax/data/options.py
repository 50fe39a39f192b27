"""Which data a run trains on, and what is made of them: one record."""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax import errors
from gem_jax.data import repairs, transforms

TOLD_BY_REWARDS = 0  # of ``n_step``


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """A task and an algorithm have choices of their own, which these override.

    Attributes:
      num_transitions: size of locally made data, of others the leading transitions;
        ``None`` is D4RL's size, or all.
      repair: names of repairs, made in this order; see ``gem_jax.data.repairs``.
      reward_transform: a name of ``gem_jax.data.transforms``, or the numbers; ``None``
        is the task's.
      best_share: the episodes with the highest returns, as a share of all; 0.1 is what
        the field calls 10 % BC.
      n_step: steps that a transition spans, so that its target has as many rewards; 0
        lets the rewards tell, see ``gem_jax.training.n_step.told_by``.
    """

    num_transitions: int | None = None
    repair: tuple[str, ...] = ()
    reward_transform: str | transforms.RewardTransform | None = None
    best_share: float = 1.0
    n_step: int = 1

    def __post_init__(self) -> None:
        for name, kind in (("num_transitions", int), ("n_step", int)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise errors.UserError(f"{name}={value!r} must be a whole number")
        if not isinstance(self.best_share, int | float):
            raise errors.UserError(f"best_share={self.best_share!r} must be a number")
        if isinstance(self.repair, str):
            raise errors.UserError(
                f"repair={self.repair!r} must be a tuple of names, ({self.repair!r},)"
            )
        if self.num_transitions is not None and self.num_transitions < 1:
            raise errors.UserError(
                f"num_transitions={self.num_transitions} must be at least 1"
            )
        if not 0.0 < self.best_share <= 1.0:
            raise errors.UserError(
                f"best_share={self.best_share} must be above 0 and at most 1"
            )
        if not TOLD_BY_REWARDS <= self.n_step < 2**31:
            raise errors.UserError(
                f"n_step={self.n_step} must be at least 0 and below 2^31"
            )
        repairs.check_names(self.repair)
        if self.reward_transform is not None:
            transforms.check(self.reward_transform)

    def override(self, **asked: Any) -> DataOptions:
        """These, but for what is asked for; ``None`` asks for nothing.

        Raises:
          UserError: a value is out of range, or names nothing.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in asked:
            if name not in known:
                raise errors.UserError(
                    f"no data option {name}; there are {', '.join(known)}"
                )
        given = {name: value for name, value in asked.items() if value is not None}
        return dataclasses.replace(self, **given)
