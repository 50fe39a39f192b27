"""GEM's settings."""

from __future__ import annotations

import dataclasses
import math

from gem_jax import checks, inference
from gem_jax.inference import knobs as knob_rules
from gem_jax.inference import scoring


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """GEM's settings. The paper hides most values; the defaults are IQL's reference.

    Attributes:
      num_steps: gradient steps of critic, value and actor.
      batch_size: transitions a step.
      hidden_sizes: widths of every network.
      learning_rate: of Adam for critic, value and actor; the actor's decays to 0 along
        a cosine.
      num_critics: E, ensemble size; its minimum trains, its LCB deploys.
      critic_targets: ``"shared"``, the paper's: V of the ensemble's minimum is every
        member's target; or ``"own"``: each has a V and a target of its own.
      backup: value of the next state in targets: ``"expectile"``, the paper's V; or
        ``"select"``, the best of samples of the behavior by the target critics.
      backup_candidates: N', how many samples those are.
      critic_layer_norm: standardize the critics' hidden layers. Not in the paper.
      deploy_critic: ``"online"`` or ``"target"`` parameters when acting.
      discount: of the return.
      expectile: tau_e (Eq. 65).
      beta: inverse temperature of the advantage weights (Eq. 41).
      advantage_unit: what an advantage of 1 is there: ``"reward"``, the paper's, 1 of
        return; or ``"data"``, the standard deviation of the data's own advantages, so
        that one beta means the same for any scale of rewards and any ``n_step``.
      max_weight: w_max, their cap (Eq. 41).
      polyak: tau_P, rate of the target ensemble (Eq. 62).
      num_components: K of the actor.
      log_std_min: lower bound of the actor's log-stds (Eq. 49).
      log_std_max: upper bound.
      gating_entropy: c_H (Eq. 44).
      detach_responsibilities: stop the gradient through gamma (Eq. 35).
      gradient_cloning: weight of cloning in a deterministic policy that is trained by
        the critics' gradient beside the mixture, for ``anchor="gradient"``; 0, the
        paper's, trains none. See ``learners.gradient_policy``.
      behavior_steps: gradient steps of the behavior mixture before all else (Eq. 54).
      behavior_batch_size: transitions a step of it.
      behavior_learning_rate: decays to a tenth along a cosine.
      behavior_freeze: leave the behavior alone afterwards; otherwise it takes one more
        step with each step of the actor.
      behavior_held_out: one trajectory in so many is left out of its training, to log
        its NLL on them; 0, or fewer trajectories than that, leaves out none. The
        default leaves out 5 %, in the ``paper`` settings too.
      behavior_keep_best: of up to 21 parameters, evenly spaced over its training, go on
        with those whose NLL on the held-out trajectories was lowest; asks for
        ``behavior_freeze``.
      behavior_components: K of the behavior.
      behavior_log_std_min: lower bound of its log-stds; keeps spikes out.
      behavior_log_std_max: upper bound.
      normalize_observations: by the dataset's mean and standard deviation.
      num_candidates: N, see ``inference.Knobs`` for this and what follows.
      top_m: M.
      candidates: source of the samples.
      anchor: the deterministic candidate.
      normalization: of support.
      value_scale: of the lower confidence bound. ``"reward"`` is the paper's.
      kappa: pessimism.
      kappa_growth: with the size of the set.
      lambda_start: support weight at the first step of an episode, where it decays.
      lambda_end: support weight at the horizon.
      lambda_schedule: ``"decay"``, ``"rise"`` (from 0) or ``"constant"`` (at the end).
      horizon: H_T in steps; 0 takes the environment's time limit.
      support_cap: support above it earns no more. The paper has no cap.
      temperature: factor on the samples' standard deviations.
      denoise_steps: steps of each sample towards the density's mode.
      refine_steps: steps of the best candidates along the score's gradient.
      refine_size: length of such a step.
      anchor_margin: by how much a candidate must exceed the anchor.
      violation_threshold: z of the violation audit.
    """

    num_steps: int = 1_000_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (256, 256)
    learning_rate: float = 3e-4
    num_critics: int = 10
    critic_targets: str = "shared"
    backup: str = "expectile"
    backup_candidates: int = 8
    critic_layer_norm: bool = False
    deploy_critic: str = "online"
    discount: float = 0.99
    expectile: float = 0.7
    beta: float = 3.0
    advantage_unit: str = "reward"
    max_weight: float = 100.0
    polyak: float = 0.005
    num_components: int = 8
    log_std_min: float = -5.0
    log_std_max: float = 2.0
    gating_entropy: float = 1e-3
    detach_responsibilities: bool = True
    gradient_cloning: float = 0.0
    behavior_steps: int = 100_000
    behavior_batch_size: int = 512
    behavior_learning_rate: float = 1e-3
    behavior_freeze: bool = True
    behavior_held_out: int = 20
    behavior_keep_best: bool = False
    behavior_components: int = 8
    behavior_log_std_min: float = -5.0
    behavior_log_std_max: float = 0.5
    normalize_observations: bool = True
    num_candidates: int = 1024
    top_m: int = 1
    candidates: str = "actor"
    anchor: str = "mode"
    normalization: str = "zscore"
    value_scale: str = "reward"
    kappa: float = 1.0
    kappa_growth: str = "none"
    lambda_start: float = 1.0
    lambda_end: float = 0.1
    lambda_schedule: str = "decay"
    horizon: int = 0
    support_cap: float = scoring.NO_CAP
    temperature: float = 1.0
    denoise_steps: int = 0
    refine_steps: int = 0
    refine_size: float = 0.05
    anchor_margin: float = 0.0
    violation_threshold: float = -2.0

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes")
        checks.ordered(self, "log_std_min", "log_std_max")
        checks.ordered(self, "behavior_log_std_min", "behavior_log_std_max")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")
        checks.positive(self, "behavior_steps", "behavior_batch_size")
        checks.positive(self, "behavior_learning_rate", "num_components")
        checks.positive(self, "behavior_components", "num_critics", "max_weight")
        checks.positive(self, "backup_candidates")
        checks.fraction(self, "discount", "expectile", "polyak")
        checks.not_negative(
            self, "beta", "gating_entropy", "gradient_cloning", "horizon"
        )
        if self.behavior_held_out != 0 and not (2 <= self.behavior_held_out < math.inf):
            raise ValueError(
                f"behavior_held_out must be 0 or >= 2, got {self.behavior_held_out!r}"
            )
        if self.behavior_keep_best and not (
            self.behavior_freeze and self.behavior_held_out
        ):
            raise ValueError(
                "behavior_keep_best needs behavior_freeze and behavior_held_out"
            )
        checks.one_of(self, "deploy_critic", ("online", "target"))
        checks.one_of(self, "advantage_unit", ("reward", "data"))
        checks.one_of(self, "critic_targets", ("shared", "own"))
        checks.one_of(self, "backup", ("expectile", "select"))
        if self.backup == "select" and self.critic_targets == "own":
            raise ValueError("backup=select gives all critics one target; not own ones")
        self.knobs(horizon=1).validate()

    def knobs(self, horizon: int) -> inference.Knobs:
        """The knobs of acting; ``horizon`` is the environment's, used when unset."""
        shared = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(inference.Knobs)
            if field.name not in knob_rules.MACHINE
        }
        return inference.Knobs(**shared | {"horizon": float(self.horizon or horizon)})
