"""The networks by their parameters' names. Branches look at real parts alone."""

import numpy as np


def clipped(x, low, high):
    """With derivative 0 beyond the bounds."""
    x = np.where(x.real < low, low, x)
    return np.where(x.real > high, high, x)


def dense(params, x):
    return x @ params["kernel"] + params["bias"]


def relu(x):
    return np.where(x.real > 0, x, 0)


def hidden(x, layer_norm, activation=relu):
    x = activation(x)
    if not layer_norm:
        return x
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)


def trunk(params, x, layer_norm=False, activation=relu):
    for name in sorted(params):
        x = hidden(dense(params[name], x), layer_norm, activation)
    return x


def policy(params, observation):
    """Deterministic actions `[B, A]`."""
    return np.tanh(dense(params["Dense_0"], trunk(params["MLP_0"], observation)))


def value(params, observation):
    """V, `[B]`."""
    return dense(params["Dense_0"], trunk(params["MLP_0"], observation))[:, 0]


def pair(params, observation, action, layer_norm=False, activation=relu):
    """A perceptron of state and action, `[B, P]`."""
    x = dense(params, np.concatenate([observation, action], 1))
    x = hidden(x, layer_norm, activation)
    x = trunk(params["MLP_0"], x, layer_norm, activation)
    return dense(params["Dense_0"], x)


def critics(params, observation, action, layer_norm=False, activation=relu):
    """Q of every member, `[E, B]`; the leading axis of each parameter is `E`."""

    def member(params, e):
        if isinstance(params, dict):
            return {name: member(branch, e) for name, branch in params.items()}
        return params[e]

    inputs = observation, action, layer_norm, activation
    members = range(len(params["kernel"]))
    return np.stack([pair(member(params, e), *inputs)[:, 0] for e in members])


def slopes(params, observation, action):
    """dQ/da of every member `[E, B, A]`, layer by layer backwards."""
    found = []
    for e in range(len(params["kernel"])):
        layers = [
            (params["kernel"][e], params["bias"][e]),
            *(
                (layer["kernel"][e], layer["bias"][e])
                for _, layer in sorted(params["MLP_0"].items())
            ),
        ]
        x, passed = np.concatenate([observation, action], 1), []
        for kernel, bias in layers:
            x = x @ kernel + bias
            passed.append(x.real > 0)
            x = np.where(passed[-1], x, 0)
        slope = np.ones((len(x), 1)) @ params["Dense_0"]["kernel"][e].T
        for (kernel, _), open_ in zip(layers[::-1], passed[::-1], strict=True):
            slope = np.where(open_, slope, 0) @ kernel.T
        found.append(slope[:, observation.shape[1] :])
    return np.stack(found)


def tanh_gaussian(params, observation, low, high):
    """Mean and log-std `[B, A]` before the tanh."""
    x = trunk(params["MLP_0"], observation)
    mean, log_std = (dense(params[name], x) for name in ("Dense_0", "Dense_1"))
    return mean, clipped(log_std, low, high)


def smallest(q):
    """The lowest member of each row, `[E, B]` to `[B]`."""
    return np.take_along_axis(q, q.real.argmin(0)[None], 0)[0]


def mixture(params, observation, low, high):
    """log pi `[B, K]`, means `[B, K, A]` and log-std `[K, A]`, or `[B, K, A]`."""
    x = trunk(params["MLP_0"], observation)
    heads = [params[name] for name in sorted(params) if name.startswith("Dense")]
    if "log_stds" in params:
        raw = params["log_stds"]
        components = len(raw)
    else:
        *heads, scales = heads
        components = len(heads[0]["bias"]) if len(heads) > 1 else 1
        raw = dense(scales, x).reshape(len(x), components, -1)
    logits = dense(heads[0], x) if components > 1 else np.zeros((len(x), 1))
    log_weight = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    means = np.tanh(dense(heads[-1], x)).reshape(len(x), components, -1)
    return log_weight, means, clipped(raw, low, high)


def score(params, observation, action, time):
    """The noise in actions `[B, A]` at times `[B]`."""
    angles = time[:, None] * np.geomspace(1.0, 200.0, 16)
    embedded = [np.concatenate([np.sin(angles), np.cos(angles)], 1), observation]
    layers = [params[f"Dense_{i}"] for i in range(len(params))]
    embedded = [silu(dense(layers.pop(0), x)) for x in embedded]
    context, head = np.concatenate(embedded, 1), layers.pop()
    widths = [layer["kernel"].shape[1] for layer in layers[::2]]
    half, seen, x = (len(widths) + 1) // 2, [], action
    for i, (shift, layer) in enumerate(zip(layers[::2], layers[1::2], strict=True)):
        if i >= half:
            x = np.concatenate([x, seen[2 * half - 2 - i]], 1)
        x = silu(dense(layer, x) + context @ shift["kernel"])
        seen.append(x)
    return dense(head, np.concatenate([x, action], 1))


def silu(x):
    return 0.5 * x * (1 + np.tanh(0.5 * x))


def gelu(x):
    """The approximation by tanh, flax's default."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def mish(x):
    return x * np.tanh(np.log1p(np.exp(x)))
