"""The networks by their parameters' names. Branches look at real parts alone."""

import numpy as np


def clipped(x, low, high):
    """With derivative 0 beyond the bounds."""
    x = np.where(x.real < low, low, x)
    return np.where(x.real > high, high, x)


def dense(params, x):
    return x @ params["kernel"] + params["bias"]


def hidden(x, layer_norm):
    x = np.where(x.real > 0, x, 0)
    if not layer_norm:
        return x
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)


def trunk(params, x, layer_norm=False):
    for name in sorted(params):
        x = hidden(dense(params[name], x), layer_norm)
    return x


def policy(params, observation):
    """Deterministic actions `[B, A]`."""
    return np.tanh(dense(params["Dense_0"], trunk(params["MLP_0"], observation)))


def value(params, observation):
    """V, `[B]`."""
    return dense(params["Dense_0"], trunk(params["MLP_0"], observation))[:, 0]


def critics(params, observation, action, layer_norm=False):
    """Q of every member, `[E, B]`; the leading axis of each parameter is `E`."""

    def member(params, e):
        if isinstance(params, dict):
            return {name: member(branch, e) for name, branch in params.items()}
        return params[e]

    def one(params):
        x = hidden(dense(params, np.concatenate([observation, action], 1)), layer_norm)
        return dense(params["Dense_0"], trunk(params["MLP_0"], x, layer_norm))[:, 0]

    return np.stack([one(member(params, e)) for e in range(len(params["kernel"]))])


def smallest(q):
    """The lowest member of each row, `[E, B]` to `[B]`."""
    return np.take_along_axis(q, q.real.argmin(0)[None], 0)[0]


def mixture(params, observation, low, high):
    """log pi `[B, K]`, means `[B, K, A]` and log-std `[K, A]`."""
    x = trunk(params["MLP_0"], observation)
    log_std = clipped(params["log_stds"], low, high)
    components, size = log_std.shape
    heads = [params[name] for name in sorted(params) if name.startswith("Dense")]
    logits = dense(heads[0], x) if components > 1 else np.zeros((len(x), 1))
    log_weight = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    means = np.tanh(dense(heads[-1], x)).reshape(-1, components, size)
    return log_weight, means, log_std
