"""The head's own gradient against that of an ordinary dense layer."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax.networks import linear


class Net(nn.Module):
    outputs: int
    ours: bool

    @nn.compact
    def __call__(self, x):
        layer = linear.head(self.outputs) if self.ours else nn.Dense(self.outputs)
        return layer(x)


def gradients(outputs, ours, x, target):
    network = Net(outputs, ours)
    params = jax.jit(network.init)(jax.random.key(1), x)

    def loss(params, x):
        return jnp.sum((network.apply(params, x) - target) ** 2)

    return params, jax.jit(jax.grad(loss, argnums=(0, 1)))(params, x)


@pytest.mark.parametrize("batch_shape", [(), (7,), (2, 3)])
@pytest.mark.parametrize("outputs", [1, 3, 9])
def test_gradients_are_those_of_a_dense_layer(batch_shape, outputs):
    x = jax.random.normal(jax.random.key(2), (*batch_shape, 5))
    target = jax.random.normal(jax.random.key(3), (*batch_shape, outputs))
    params, ours = gradients(outputs, True, x, target)
    same_params, dense = gradients(outputs, False, x, target)
    jax.tree.map(np.testing.assert_array_equal, params, same_params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), ours, dense
    )


def test_members_side_by_side_have_the_gradients_of_each_alone():
    x = jax.random.normal(jax.random.key(2), (7, 5))
    kernels = jax.random.normal(jax.random.key(3), (4, 5, 3))
    layer = linear.head(3, use_bias=False)

    def loss(kernel):
        return jnp.sum(layer.apply({"params": {"kernel": kernel}}, x) ** 3)

    together = jax.jit(jax.vmap(jax.grad(loss)))(kernels)
    alone = np.stack(
        [jax.jit(jax.grad(loss))(kernel) for kernel in np.asarray(kernels)]
    )
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-4)
