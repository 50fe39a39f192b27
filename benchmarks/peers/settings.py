"""Our settings of a method, written for d3rlpy.

Where d3rlpy fixes what is a setting here, ours takes d3rlpy's; what cannot be made
equal is said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from gem_jax import errors


@dataclasses.dataclass(frozen=True)
class Peer:
    """One method of d3rlpy.

    Attributes:
      config: name of its class of settings.
      arguments: from our settings to its own, beyond those that all have.
      fixed: fields of our settings, with what d3rlpy's code has in their place.
      encoders: its arguments that take a network, with our field of its widths.
      normed: those of them that follow our ``critic_layer_norm``.
      decaying: its arguments that take an optimizer whose rate decays along a cosine.
      unequal: what differs for all that.
    """

    config: str
    arguments: Callable[[Any], dict[str, Any]]
    encoders: Mapping[str, str]
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    normed: tuple[str, ...] = ()
    decaying: tuple[str, ...] = ()
    unequal: tuple[str, ...] = ()


_ALWAYS = "initial weights: d3rlpy has torch's uniform ones and biases, ours LeCun's"
_LOG_STD = "log-std of the policy: a sigmoid between the bounds in d3rlpy, a clip here"
_ORDER = "the policy's step sees values after their step in d3rlpy, before it here"
_ACTOR_CRITIC = {
    "actor_encoder_factory": "hidden_sizes",
    "critic_encoder_factory": "hidden_sizes",
}


def _critic(config: Any) -> dict[str, Any]:
    return {
        "gamma": config.discount,
        "tau": config.polyak,
        "n_critics": getattr(config, "num_critics", 2),
    }


def _same_rates(config: Any) -> dict[str, Any]:
    rate = config.learning_rate
    return {"actor_learning_rate": rate, "critic_learning_rate": rate}


def _smoothing(config: Any) -> dict[str, Any]:
    return {
        "target_smoothing_sigma": config.policy_noise,
        "target_smoothing_clip": config.noise_clip,
        "update_actor_interval": config.actor_period,
    }


PEERS: Mapping[str, Peer] = {
    "bc": Peer(
        "BCConfig",
        lambda c: {"learning_rate": c.learning_rate, "policy_type": "deterministic"},
        {"encoder_factory": "hidden_sizes"},
    ),
    "td3_bc": Peer(
        "TD3PlusBCConfig",
        lambda c: _critic(c) | _same_rates(c) | _smoothing(c) | {"alpha": c.alpha},
        _ACTOR_CRITIC,
    ),
    "iql": Peer(
        "IQLConfig",
        lambda c: {
            **_critic(c),
            **_same_rates(c),
            "expectile": c.expectile,
            "weight_temp": c.beta,
            "max_weight": c.max_weight,
        },
        {**_ACTOR_CRITIC, "value_encoder_factory": "hidden_sizes"},
        fixed={"log_std_min": -5.0, "log_std_max": 2.0},
        normed=("critic_encoder_factory",),
        decaying=("actor_optim_factory",),
        unequal=(_LOG_STD, _ORDER),
    ),
    "awac": Peer(
        "AWACConfig",
        lambda c: {
            **_critic(c),
            **_same_rates(c),
            "lam": c.temperature,
            "n_action_samples": 1,
        },
        _ACTOR_CRITIC,
        fixed={"log_std_min": -6.0, "log_std_max": 0.0},
        normed=("critic_encoder_factory",),
        unequal=(
            _LOG_STD,
            "weights: a softmax over the batch in d3rlpy, exp(A / lambda) up to a cap "
            "here",
            "targets: in d3rlpy as SAC's, of the policy squashed by a tanh and less "
            "its log-density; here of the policy's value alone",
        ),
    ),
    "rebrac": Peer(
        "ReBRACConfig",
        lambda c: {
            **_critic(c),
            **_smoothing(c),
            "actor_learning_rate": c.actor_learning_rate,
            "critic_learning_rate": c.critic_learning_rate,
            "actor_beta": c.actor_cloning,
            "critic_beta": c.critic_cloning,
        },
        _ACTOR_CRITIC,
        normed=("critic_encoder_factory",),
        unequal=("layer norm: with learned scale and shift in d3rlpy, without here",),
    ),
    "cql": Peer(
        "CQLConfig",
        lambda c: {
            **_critic(c),
            "actor_learning_rate": c.learning_rate,
            "critic_learning_rate": c.critic_learning_rate,
            "temp_learning_rate": c.learning_rate,
            "alpha_learning_rate": 0.0,  # a fixed weight
            "initial_alpha": 1.0,
            "alpha_threshold": 0.0,
            "conservative_weight": c.cql_alpha,
            "n_action_samples": c.num_actions,
            "max_q_backup": c.max_backup,
        },
        {**_ACTOR_CRITIC, "critic_encoder_factory": "critic_hidden_sizes"},
        fixed={"lagrange": False, "log_std_min": -20.0, "log_std_max": 2.0},
        normed=("critic_encoder_factory",),
        unequal=(
            _ORDER,
            "targets: of the policy's mean action in d3rlpy, of a sample here",
        ),
    ),
}


def require(method: str) -> Peer:
    """The peer of a method.

    Raises:
      UserError: d3rlpy has no such method, or it is not compared yet.
    """
    if method not in PEERS:
        raise errors.UserError(
            f"--methods={method!r} has no peer; choose of {', '.join(PEERS)}"
        )
    return PEERS[method]


def translate(method: str, config: Any) -> dict[str, Any]:
    """What d3rlpy's side is to be told, as JSON has it.

    Args:
      method: one of ``PEERS``.
      config: our settings, those that ``fixed`` names with its values.
    """
    peer = require(method)
    assert all(getattr(config, name) == value for name, value in peer.fixed.items())
    layer_norm = getattr(config, "critic_layer_norm", False)
    return {
        "config": peer.config,
        "arguments": {"batch_size": config.batch_size, **peer.arguments(config)},
        "encoders": {
            name: {
                "hidden_units": list(getattr(config, widths)),
                "use_layer_norm": layer_norm and name in peer.normed,
            }
            for name, widths in peer.encoders.items()
        },
        "decaying": list(peer.decaying),
        "unequal": [_ALWAYS, *peer.unequal],
    }
