"""Action values, state values, and ensembles of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from gem_jax.networks import mlp
from gem_jax.types import Array, Params, PRNGKey


class Critic(nn.Module):
    """Q(s, a).

    The first layer multiplies state and action separately and adds, which equals one
    layer on their concatenation but computes the state's part once for all candidates.
    """

    hidden_sizes: Sequence[int]
    layer_norm: bool = False

    @nn.compact
    def __call__(self, observation: Array, action: Array) -> Array:
        """`[..., O]` and `[..., A]`, or `[O]` and `[C, A]`, to `[...]` or `[C]`."""
        width, *rest = self.hidden_sizes
        observation_size = observation.shape[-1]
        shape = (observation_size + action.shape[-1], width)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (width,))
        from_state = observation @ kernel[:observation_size] + jnp.broadcast_to(
            bias, (*observation.shape[:-1], width)
        )
        from_action = action @ kernel[observation_size:]
        if action.ndim > observation.ndim:
            from_state = from_state[..., None, :]
        x = mlp.hidden(from_state + from_action, self.layer_norm)
        x = mlp.MLP(rest, self.layer_norm)(x)
        return nn.Dense(1)(x)[..., 0]


class Value(nn.Module):
    """V(s), `[..., O]` to `[...]`."""

    hidden_sizes: Sequence[int]
    layer_norm: bool = False

    @nn.compact
    def __call__(self, observation: Array) -> Array:
        x = mlp.MLP(self.hidden_sizes, self.layer_norm)(observation)
        return nn.Dense(1)(x)[..., 0]


def init_ensemble(
    module: nn.Module, num_members: int, key: PRNGKey, *inputs: Array
) -> Params:
    """Parameters of independent members, a leading axis `E` on every leaf."""
    keys = jax.random.split(key, num_members)
    return jax.vmap(lambda member_key: module.init(member_key, *inputs))(keys)


def apply_ensemble(module: nn.Module) -> Callable[..., Array]:
    """``(params, *inputs) -> [E, ...]``: every member on the same inputs."""

    def apply(params: Params, *inputs: Array) -> Array:
        def member(member_params: Params) -> Array:
            return module.apply(member_params, *inputs)

        return jax.vmap(member)(params)

    return apply
