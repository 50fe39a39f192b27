"""How trajectories are clustered: sizes, lengths, and which heuristics.

Symbols follow the paper (EMPO, Algorithm 1).
"""

from __future__ import annotations

import dataclasses
import math

import optax

from gem_jax import checks, sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Attributes:
    num_clusters: K.
    hidden_sizes: widths of the policies and of the classifier.
    learning_rate: of Adam.
    averaging_rate: of the averaged policies, which E-steps and the final assignment
      look at, in (0, 1]; 1 is the policies themselves, as in the paper. The noise of
      the last gradients, added up over a trajectory, may outweigh what tells clusters
      apart.
    cosine_decay: whether the classifier's rate falls to 0 over the EM epochs, so that
      its last step's noise does not decide; in the paper it is constant.
    batch_size: steps a gradient.
    biased_epochs: N_b, on random assignments; 0 switches heuristic III off.
    uniform_epochs: N_p, on even ones; 0 switches heuristic II off.
    em_epochs: N_E.
    epoch_steps: gradients an epoch; 0 is a pass over the data, as in the paper. Fewer
      on large data leave the posterior more E-steps for the same number of gradients.
    posterior_window: steps of each trajectory that an E-step looks at, which stand for
      all of them; others from one E-step to the next. 0 is all steps, as in the paper.
      The final assignment looks at all.
    window_start: number of the first E-step, from 0, that looks at steps in a row;
      those before and after look at steps spread over the whole trajectory. In a row, a
      stretch that one policy alone has learned yet is outvoted by other stretches, and
      meanwhile taught to all; spread, a trajectory goes to its cluster as a whole.
    window_stop: number of the first E-step after them.
    momentum: mu of the posterior; 0 switches heuristic I off.
    log_std_min: lower bound of the policies' log-stds.
    log_std_max: upper bound.
    """

    num_clusters: int = 2
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    learning_rate: float = 3e-4
    averaging_rate: float = 1.0
    cosine_decay: bool = False
    batch_size: int = 256
    biased_epochs: int = 3
    uniform_epochs: int = 20
    em_epochs: int = 100
    epoch_steps: int = 0
    posterior_window: int = 0
    window_start: int = 0
    window_stop: int = 0
    momentum: float = 0.9
    log_std_min: float = -5.0
    log_std_max: float = 0.0

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes")
        checks.positive(self, "num_clusters", "batch_size", "learning_rate")
        checks.not_negative(self, "biased_epochs", "uniform_epochs", "em_epochs")
        checks.not_negative(self, "epoch_steps", "posterior_window")
        checks.not_negative(self, "window_start", "window_stop")
        if self.window_start > self.window_stop:
            raise ValueError(
                "window_start must not exceed window_stop, got "
                f"{self.window_start} and {self.window_stop}"
            )
        if not -math.inf < self.log_std_min < self.log_std_max < math.inf:
            raise ValueError(
                "log_std_min must be below log_std_max, both finite, got "
                f"{self.log_std_min} and {self.log_std_max}"
            )
        if not 0.0 < self.averaging_rate <= 1.0:
            raise ValueError(
                f"averaging_rate must be in (0, 1], got {self.averaging_rate}"
            )
        checks.share(self, "momentum")

    def steps_per_epoch(self, num_transitions: int) -> int:
        """Gradients an epoch on data of that size."""
        return self.epoch_steps or sampling.num_batches(
            num_transitions, self.batch_size
        )

    def optimizer(self, num_steps: int) -> optax.GradientTransformation:
        """Adam; with ``cosine_decay`` its rate falls to 0 over that many steps."""
        rate: float | optax.Schedule = self.learning_rate
        if self.cosine_decay:
            rate = optax.cosine_decay_schedule(self.learning_rate, max(num_steps, 1))
        return optax.adam(rate)
