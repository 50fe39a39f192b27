"""DT's settings, and its knob of acting."""

from __future__ import annotations

import dataclasses

import jax

from gem_jax import checks
from gem_jax.types import Array

NO_TARGET = 1e9  # as good as none: no data have such a return
_TOKENS = 60  # of the reference's context


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Knobs:
    """What to ask of an episode.

    Attributes:
      target_return: its return, in rewards as the environment gives them; each reward
        is taken off what remains.
    """

    target_return: Array | float = NO_TARGET

    def validate(self) -> None:
        """Checks concrete knobs.

        Raises:
          ValueError: the target is not finite, or absurd.
        """
        if not -NO_TARGET <= self.target_return <= NO_TARGET:
            raise ValueError(
                f"target_return must be between {-NO_TARGET:g} and {NO_TARGET:g}, got "
                f"{self.target_return!r}"
            )

    @property
    def set_size(self) -> int:
        """How many rows the network has for a state, which bounds states at a time."""
        return _TOKENS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """DT's settings; defaults are the reference's for locomotion, without a target.

    Attributes:
      num_steps: gradient steps.
      batch_size: windows a step.
      context: K, steps of a window, in training and when acting.
      num_times: steps of an episode that have an embedding of their own; the reference
        has 1000, and a window more.
      width: of a token, and of every layer.
      num_layers: blocks of attention and a perceptron.
      num_heads: of each attention; they divide ``width``.
      attention_dropout: share of the attention's weights that training leaves out.
      residual_dropout: of what a block adds.
      embedding_dropout: of the tokens.
      learning_rate: of Adam, after the warm-up.
      warmup_steps: gradient steps in which it rises from 0.
      weight_decay: of every parameter, times the learning rate a step.
      max_grad_norm: to which a longer gradient is cut.
      reward_scale: factor on returns where the network sees them.
      target_return: see ``Knobs``.
      normalize_observations: by the dataset's mean and standard deviation.
    """

    num_steps: int = 100_000
    batch_size: int = 4096
    context: int = 20
    num_times: int = 1020
    width: int = 128
    num_layers: int = 3
    num_heads: int = 1
    attention_dropout: float = 0.1
    residual_dropout: float = 0.1
    embedding_dropout: float = 0.1
    learning_rate: float = 8e-4
    warmup_steps: int = 10_000
    weight_decay: float = 1e-4
    max_grad_norm: float = 0.25
    reward_scale: float = 1e-3
    target_return: float = NO_TARGET
    normalize_observations: bool = True

    def __post_init__(self) -> None:
        checks.positive(self, "num_steps", "batch_size", "context", "num_times")
        checks.positive(self, "width", "num_layers", "num_heads")
        checks.positive(self, "learning_rate", "warmup_steps", "max_grad_norm")
        checks.positive(self, "reward_scale")
        checks.not_negative(self, "weight_decay")
        checks.share(self, "attention_dropout", "residual_dropout", "embedding_dropout")
        if self.width % self.num_heads:
            raise ValueError(
                f"width={self.width!r} must be a multiple of num_heads="
                f"{self.num_heads!r}"
            )
        self.knobs().validate()

    @property
    def floats_per_row(self) -> int:
        """What a window leaves in the blocks for the gradient."""
        tokens = 3 * self.context
        kept = 36 * self.width + 4 * self.num_heads * tokens
        return self.num_layers * tokens * kept

    def knobs(self) -> Knobs:
        """The knobs of acting."""
        return Knobs(self.target_return)
