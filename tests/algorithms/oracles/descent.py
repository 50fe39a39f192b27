"""Parameters under Adam, with exact gradients of functions that need no autograd."""

import numpy as np

_STEP = 1e-30  # so small that the square of it vanishes: no truncation, no cancelling


def float64(tree):
    """Nested dictionaries of arrays, without flax's outermost key."""
    if not isinstance(tree, dict):
        return np.array(tree, np.float64)
    tree = tree.get("params", tree)
    return {name: float64(branch) for name, branch in tree.items()}


def leaves(tree, path=""):
    """Pairs of path and array, in the order of the names."""
    if not isinstance(tree, dict):
        return [(path, tree)]
    return [
        leaf for name in sorted(tree) for leaf in leaves(tree[name], f"{path}/{name}")
    ]


def mapped(function, tree):
    if not isinstance(tree, dict):
        return function(tree)
    return {name: mapped(function, branch) for name, branch in tree.items()}


def gradient(loss, params):
    """By the complex step: f(x + ih) = f(x) + ih f'(x), one coordinate at a time."""
    moved = mapped(lambda leaf: leaf.astype(complex), params)
    grads = mapped(np.zeros_like, params)
    for (_, leaf), (_, grad) in zip(leaves(moved), leaves(grads), strict=True):
        for place in np.ndindex(leaf.shape):
            real = leaf[place]
            leaf[place] = real + 1j * _STEP
            grad[place] = loss(moved).imag / _STEP
            leaf[place] = real
    return grads


class Adam:
    """Kingma and Ba (2015), algorithm 1; with decay as Loshchilov and Hutter (2019).

    Attributes:
      params: moved in place.
      first: running mean of the gradients.
      second: running mean of their squares.
      shrunk: whether the last gradient was beyond its bound.
    """

    def __init__(self, params):
        self.params = float64(params)
        self.first = mapped(np.zeros_like, self.params)
        self.second = mapped(np.zeros_like, self.params)
        self.count = 0

    def descend(self, loss, rate, max_norm=np.inf, decay=0.0):
        grads = gradient(loss, self.params)
        norm = np.sqrt(sum((leaf**2).sum() for _, leaf in leaves(grads)))
        self.shrunk = norm > max_norm
        if self.shrunk:
            grads = mapped(lambda leaf: leaf * max_norm / norm, grads)
        self.count += 1
        trees = (self.params, self.first, self.second, grads)
        for (_, p), (_, m), (_, v), (_, g) in zip(*map(leaves, trees), strict=True):
            m[...] = 0.9 * m + 0.1 * g
            v[...] = 0.999 * v + 0.001 * g**2
            mean = m / (1 - 0.9**self.count)
            square = v / (1 - 0.999**self.count)
            p -= rate * (mean / (np.sqrt(square) + 1e-8) + decay * p)


def cosine_decay(rate, step, steps, floor):
    """From ``rate`` to ``floor * rate`` along half a cosine."""
    height = 0.5 * (1 + np.cos(np.pi * min(step, steps) / steps))
    return rate * (floor + (1 - floor) * height)


def polyak(target, online, rate):
    for (_, t), (_, o) in zip(leaves(target), leaves(online), strict=True):
        t[...] = (1 - rate) * t + rate * o
