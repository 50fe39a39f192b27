"""What IDQL and IFQL share: clone the behavior, execute its best sample.

A generative model clones the behavior, implicit Q-learning judges its samples
(Hansen-Estruch et al., 2023), and nothing else is trained.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from gem_jax import checks, inference
from gem_jax.algorithm import Algorithm, Online, Phase
from gem_jax.algorithms import _sampled
from gem_jax.learners import batch_metrics, expectile_value, exploration, generative
from gem_jax.ops import value as value_ops
from gem_jax.types import ActOutput, Array, EnvSpec, Params, PRNGKey, Transition

RULES = ("best", "implicit")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Knobs:
    """How to choose an action; changing a field recompiles.

    Attributes:
      num_candidates: N, samples of the behavior (static).
      sampling_steps: T, steps of each (static). IDQL's network has seen the times of
        its training alone: with another T it is asked between them.
      rule: ``"best"`` executes the sample of the highest value (static);
        ``"implicit"`` draws one as the policy would that the value belongs to.
    """

    num_candidates: int = dataclasses.field(default=32, metadata=_sampled.STATIC)
    sampling_steps: int = dataclasses.field(default=10, metadata=_sampled.STATIC)
    rule: str = dataclasses.field(default="best", metadata=_sampled.STATIC)

    def validate(self) -> None:
        """Checks concrete knobs.

        Raises:
          ValueError: a knob is out of range.
        """
        _sampled.require_counts(self, "num_candidates", "sampling_steps")
        checks.one_of(self, "rule", RULES)

    @property
    def set_size(self) -> int:
        """How many candidates there are."""
        return self.num_candidates


@flax.struct.dataclass
class State:
    """Attributes:
    behavior: the generative model.
    values: critics and value.
    """

    behavior: Any
    values: expectile_value.ValueState


class ActorParams(NamedTuple):
    """What acting reads."""

    behavior: Params
    critic: Params


def make(
    config: Any,
    spec: EnvSpec,
    behavior: generative.GenerativeLearner,
    values: expectile_value.ValueLearner,
    deployed: Callable[[expectile_value.ValueState], Params],
    value_loss: Callable[[Array], Array],
    online_behavior: generative.GenerativeLearner | None = None,
) -> Algorithm:
    """Trains both on the same batches.

    Args:
      config: with ``num_steps``, ``batch_size``, ``discount``, ``num_candidates``,
        ``sampling_steps`` and ``normalize_observations``.
      spec: sizes of the environment.
      behavior: the generative model.
      values: critics and value.
      deployed: the critics that choose.
      value_loss: what the value minimizes, elementwise in Q - V.
      online_behavior: the model in the environment, where its rate must not decay.
    """

    propose = _sampled.make_propose(behavior)

    def init(key: PRNGKey) -> State:
        behavior_key, value_key = jax.random.split(key)
        return State(behavior.init(behavior_key), values.init(value_key))

    def update(
        learner: generative.GenerativeLearner,
        state: State,
        key: PRNGKey,
        batch: Transition,
        step: Array,
    ):
        del step
        new_values, _, metrics = values.update(state.values, batch)
        new_behavior, rows = learner.update(state.behavior, key, batch)
        metrics = {**metrics, "behavior/loss": rows["loss"]}
        return State(new_behavior, new_values), batch_metrics.means(metrics)

    def act(
        params: ActorParams, key: PRNGKey, observation: Array, t: Array, knobs: Knobs
    ) -> ActOutput:
        del t
        propose_key, draw_key = jax.random.split(key)
        candidates = _sampled.candidates(
            propose, params, propose_key, observation, knobs
        )
        q = values.lowest(params.critic, observation, candidates)
        if knobs.rule == "implicit":
            weight = value_ops.implicit_weight(value_loss, q)
            selection = inference.select(
                candidates, jnp.log(weight), temperature=1.0, key=draw_key
            )
        else:
            selection = inference.select(candidates, q)
        return ActOutput(selection.action, _sampled.audit(q, selection))

    fit = functools.partial(update, behavior)
    phase = Phase("policy", config.num_steps, config.batch_size, fit)
    fit_online = functools.partial(update, online_behavior or behavior)
    knobs = Knobs(config.num_candidates, config.sampling_steps)
    return Algorithm(
        spec,
        init,
        (phase,),
        lambda state: ActorParams(
            behavior.deployed(state.behavior), deployed(state.values)
        ),
        act,
        knobs=knobs,
        normalize_observations=config.normalize_observations,
        n_step_discount=config.discount,
        online=Online(
            exploration.acting(act, knobs), phase._replace(update=fit_online)
        ),
        propose=propose,
    )
