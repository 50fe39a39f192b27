"""EMPO's settings."""

from __future__ import annotations

import dataclasses
import math

from gem_jax import checks, clustering

_MOST_REWARDS = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(clustering.Settings):
    """EMPO's settings; defaults are those of the paper's Table 4 for D4RL.

    Those of clustering come first; its sizes, rate and batches serve the other parts
    too, and ``cosine_decay`` the high-level policy, whose rate then falls over N_H. The
    paper's "4-layer" is read as three hidden layers.

    Attributes:
      num_steps: N_H, gradient steps of the high-level policy.
      discount: gamma.
      critic_steps: N_Q.
      target_period: n_Q, steps between updates of the target of Q.
      polyak: tau_Q, rate of these updates.
      value_epochs: N_V.
      bootstrap_tail: a trajectory that was cut off ends with Q of its last step instead
        of that step's reward, so that V is not too low before a time limit. The paper
        counts the rewards seen (erratum 5).
      improve_epochs: N_pi; with full batches as many optimizer steps.
      clip: epsilon of PPO. The paper gives none; this is BPPO's.
      full_batch: one PPO step on the gradient of the whole data set, as in the paper;
        otherwise minibatches of ``batch_size``.
      microbatch_size: transitions at a time when that gradient is added up.
      standardize_advantage: by mean and deviation over the data. The paper does not.
      n_step: rewards in a target of Q_H.
      expectile: tau of V_H.
      choice_target_period: n_H, steps between copies of Q_H.
      support_ratio: b of ID(s); 1 leaves the classifier's choice alone.
      normalize_observations: by the dataset's mean and standard deviation.
    """

    num_steps: int = 1_000_000
    discount: float = 0.99
    critic_steps: int = 1_500_000
    target_period: int = 2
    polyak: float = 0.005
    value_epochs: int = 40
    bootstrap_tail: bool = False
    improve_epochs: int = 100
    clip: float = 0.25
    full_batch: bool = True
    microbatch_size: int = 8192
    standardize_advantage: bool = False
    n_step: int = 3
    expectile: float = 0.7
    choice_target_period: int = 500
    support_ratio: float = 5.0
    normalize_observations: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.widths(self, "hidden_sizes")
        checks.positive(self, "num_steps", "em_epochs", "critic_steps")
        checks.positive(self, "target_period", "value_epochs", "improve_epochs")
        if self.n_step > _MOST_REWARDS:  # each is a part of the compiled program
            raise ValueError(
                f"n_step must be at most {_MOST_REWARDS}, got {self.n_step!r}"
            )
        checks.positive(
            self, "clip", "microbatch_size", "n_step", "choice_target_period"
        )
        checks.fraction(self, "discount", "expectile", "polyak")
        if not 1.0 <= self.support_ratio < math.inf:
            raise ValueError(  # erratum 6: below 1 ID(s) could be empty
                "support_ratio must be at least 1 and finite, got "
                f"{self.support_ratio!r}"
            )
