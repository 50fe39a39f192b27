"""Inference as whole programs with results on the host.

Called by hand it runs operation by operation, each of which is compiled for itself.
"""

import jax

from gem_jax import inference

_LABELS = ("normalization", "value_scale")
_score = jax.jit(inference.score, static_argnames=_LABELS)
_select = jax.jit(inference.select, static_argnames="top_m")
_propose = jax.jit(inference.propose, static_argnums=2, static_argnames="denoise_steps")
_audit = jax.jit(inference.audit)


def score(*arguments, **options):
    return jax.device_get(_score(*arguments, **options))


def select(*arguments, **options):
    return jax.device_get(_select(*arguments, **options))


def propose(*arguments, **options):
    """Of a mixture."""
    return jax.device_get(_propose(*arguments, **options))


def audit(*arguments, **options):
    return jax.device_get(_audit(*arguments, **options))
