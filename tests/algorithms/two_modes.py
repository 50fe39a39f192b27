"""Training on two modes of which one is rewarded, and acting on many states."""

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax.testing import fakes
from gem_jax.training import loop


def train(algorithm):
    """Returns ``act(knobs)``: 400 actions, each from a key and a state of its own."""
    data = fakes.two_mode_bandit(jax.random.key(1))
    data = data._replace(extras={"episode": jnp.arange(len(data.reward))})
    keys = loop.seed_keys([0])
    state = loop.init(algorithm, keys)
    for chunk in loop.run(algorithm, keys, data, state, steps_per_dispatch=2000):
        state = chunk.state
    params = algorithm.actor_params(loop.select_seed(state, 0).algorithm)

    def act(knobs):
        keys = jax.random.split(jax.random.key(2), 400)
        observations = jax.random.normal(jax.random.key(3), (400, 1))
        one = jax.vmap(lambda k, o: algorithm.act(params, k, o, 0, knobs).action)
        return np.asarray(jax.jit(one)(keys, observations))[:, 0]

    return act
