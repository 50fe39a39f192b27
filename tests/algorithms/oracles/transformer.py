"""Decision Transformer, each token of which is given those before it and no mask."""

import numpy as np
from scipy import special

from oracles import networks


def norm(params, x):
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    return x * params["scale"] + params["bias"]


def attention(params, tokens, heads):
    """Tokens `[B, T, W]` to the same."""
    rows, count, width = tokens.shape
    joint = networks.dense(params["Dense_0"], tokens)
    query, key, content = (
        joint[..., i * width : (i + 1) * width].reshape(rows, count, heads, -1)
        for i in range(3)
    )
    found = []
    for place in range(count):
        before = slice(0, place + 1)
        products = (query[:, place, None] * key[:, before]).sum(-1)
        weights = np.exp(products / np.sqrt(width // heads))  # [B, place + 1, heads]
        weights = weights / weights.sum(1, keepdims=True)
        found.append((weights[..., None] * content[:, before]).sum(1))
    mixed = np.stack(found, 1).reshape(tokens.shape)
    return networks.dense(params["Dense_1"], mixed)


def block(params, x, heads):
    x = x + attention(
        params["CausalAttention_0"], norm(params["LayerNorm_0"], x), heads
    )
    y = networks.dense(params["Dense_0"], norm(params["LayerNorm_1"], x))
    y = 0.5 * y * (1 + special.erf(y / np.sqrt(2)))
    return x + networks.dense(params["Dense_1"], y)


def actions(params, return_to_go, observation, action, time, heads):
    """Predictions `[B, T, A]` for windows of `B` episodes."""
    parts = {
        "return_to_go": return_to_go[..., None],
        "observation": observation,
        "action": action,
    }
    of_time, tokens = params["time"]["embedding"][time], []
    embedded = [networks.dense(params[name], part) for name, part in parts.items()]
    for i in range(time.shape[1]):
        tokens += [part[:, i] + of_time[:, i] for part in embedded]
    x = norm(params["LayerNorm_0"], np.stack(tokens, 1))
    for name in sorted(name for name in params if name.startswith("Block")):
        x = block(params[name], x, heads)
    states = norm(params["LayerNorm_1"], x[:, 1::3])
    return np.tanh(networks.dense(params["Dense_0"], states))
