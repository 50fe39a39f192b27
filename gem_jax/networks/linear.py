"""Linear layers whose gradients are quick on a CPU."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

from gem_jax.types import Array

_FEW_OUTPUTS = 8  # from 12 on, the other way gains nothing


def head(outputs: int, **settings: Any) -> nn.Dense:
    """A ``flax.linen.Dense``, to be called in a module's compact method.

    With a few outputs, but more than one, its weight gradient is among the slowest
    products of a training step on a CPU, and is taken another way there.
    """
    if 1 < outputs <= _FEW_OUTPUTS:
        settings["dot_general"] = _dot_general
    return nn.Dense(outputs, **settings)


def head_near_zero(outputs: int) -> nn.Dense:
    """A ``head`` that starts within about 0.001 of 0 for inputs of order 1.

    A policy that starts with tanh(0) learns at once also from states that are not
    normalized; elsewhere the slope of the tanh vanishes.
    """
    start = nn.initializers.variance_scaling(1e-6, "fan_in", "uniform")
    return head(outputs, kernel_init=start)


def of_rows(outputs: int, **settings: Any) -> nn.Dense:
    """A ``flax.linen.Dense`` for inputs of several leading axes, otherwise as ``head``.

    It takes them as one: a CPU is slow at the weight gradient's sum over several.
    """
    return nn.Dense(outputs, dot_general=_flat_dot_general, **settings)


def _flat_dot_general(x: Array, kernel: Array, dimensions: Any, precision: Any = None):
    del dimensions, precision
    return (x.reshape(-1, x.shape[-1]) @ kernel).reshape(*x.shape[:-1], -1)


def _dot_general(x: Array, kernel: Array, dimensions: Any, precision: Any = None):
    del dimensions, precision  # a dense layer's: the last axis with the first
    return _product(x, kernel)


@jax.custom_vjp
def _product(x: Array, kernel: Array) -> Array:
    """`[..., I]` times `[I, P]`."""
    return x @ kernel


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return x @ kernel, (x, kernel)


def _backward(saved: tuple[Array, Array], grad: Array) -> tuple[Array, Array]:
    x, kernel = saved
    rows, grads = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1])
    kernel_grad = jax.lax.platform_dependent(
        rows, grads, cpu=_transposed_first, default=lambda x, g: x.T @ g
    )
    return grad @ kernel.T, kernel_grad


def _transposed_first(x: Array, grad: Array) -> Array:
    """x^T g with x^T in memory.

    XLA would fold the transposition into the product, and products along the first axis
    of both factors are slow on a CPU.
    """
    return jax.lax.optimization_barrier(x.T) @ grad


_product.defvjp(_forward, _backward)
