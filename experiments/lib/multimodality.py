"""How many modes a behavior has: what eight Gaussians explain better than one."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gem_jax.data import episodes, transitions
from gem_jax.networks import bundle
from gem_jax.networks.mixture import MixtureNetwork
from gem_jax.ops import mixture
from gem_jax.types import Params, PRNGKey

COMPONENTS = (1, 8)

_HIDDEN_SIZES = (256, 256)
_BATCH_SIZE = 256
_LOG_STD_BOUNDS = (-5.0, 0.5)  # as GEM's behavior model has them
_EVERY = 10  # each tenth episode is held out
_MAX_HELD_OUT = 100_000  # transitions


def held_out_nll(
    recorded: Sequence[episodes.Episode],
    num_steps: int,
    seed: int = 0,
    learning_rate: float = 1e-3,
) -> dict[str, float]:
    """Fits mixtures to nine tenths of the episodes and tests them on the rest.

    Args:
      recorded: at least ten episodes, none of them empty.
      num_steps: gradient steps for each mixture. Log-stds move by at most the
        learning rate a step.
      seed: of parameters and minibatches.
      learning_rate: at the start; a cosine takes it to a tenth.

    Returns:
      Mean negative log-likelihood (nats per action) on the held-out episodes by number
      of components, and `gap`, by how much the last is lower than the first.
    """
    held_out = transitions.flatten(recorded[::_EVERY])
    train = transitions.flatten([e for i, e in enumerate(recorded) if i % _EVERY])
    # Evenly over all episodes: policies may have acted one after the other.
    size = len(held_out.action)
    tested = np.linspace(0, size - 1, min(size, _MAX_HELD_OUT)).astype(int)
    mean = train.observation.mean(axis=0)
    scale = train.observation.std(axis=0) + 1e-3
    key = jax.random.key(seed)
    nlls = {}
    for count in COMPONENTS:
        sizes = _HIDDEN_SIZES, count, train.action.shape[1]
        network = bundle.from_module(MixtureNetwork(*sizes, *_LOG_STD_BOUNDS))
        params = _fit(
            network,
            key,
            jnp.asarray((train.observation - mean) / scale),
            jnp.asarray(train.action),
            num_steps,
            learning_rate,
        )
        nlls[str(count)] = float(
            _nll(
                network,
                params,
                jnp.asarray((held_out.observation[tested] - mean) / scale),
                jnp.asarray(held_out.action[tested]),
            )
        )
    first, last = (nlls[str(count)] for count in (COMPONENTS[0], COMPONENTS[-1]))
    return {**nlls, "gap": first - last}


@functools.partial(jax.jit, static_argnums=(0, 4, 5))
def _fit(
    network: bundle.Network,
    key: PRNGKey,
    observations: jax.Array,
    actions: jax.Array,
    num_steps: int,
    learning_rate: float,
) -> Params:
    rate = optax.cosine_decay_schedule(learning_rate, num_steps, alpha=0.1)
    optimizer = optax.adam(rate)
    init_key, loop_key = jax.random.split(key)
    params = network.init(init_key, observations[0])

    def step(carry, i):
        params, opt_state = carry
        shape = (_BATCH_SIZE,)
        rows = jax.random.randint(
            jax.random.fold_in(loop_key, i), shape, 0, len(observations)
        )
        grads = jax.grad(_nll, argnums=1)(
            network, params, observations[rows], actions[rows]
        )
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), None

    start = params, optimizer.init(params)
    (params, _), _ = jax.lax.scan(step, start, jnp.arange(num_steps))
    return params


@functools.partial(jax.jit, static_argnums=0)
def _nll(
    network: bundle.Network, params: Params, observations: jax.Array, actions: jax.Array
) -> jax.Array:
    return -jnp.mean(mixture.log_prob(network.apply(params, observations), actions))
