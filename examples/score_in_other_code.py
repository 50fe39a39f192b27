"""GEM's rule of choice in a program with its own critic and its own sampler.

python examples/score_in_other_code.py
"""

import jax
import jax.numpy as jnp

from gem_jax import inference

GOOD = jnp.array([0.6, 0.2])  # the action that is best
SEEN = jnp.array([-0.2, 0.1])  # what the data do


def critics(actions: jax.Array) -> jax.Array:
    """`[E, C]`: three members, which differ most far from what the data do."""
    value = -jnp.sum((actions - GOOD) ** 2, axis=-1)
    doubt = jnp.sum((actions - SEEN) ** 2, axis=-1)
    return value + jnp.array([-1.0, 0.0, 1.0])[:, None] * doubt


def behavior_log_prob(actions: jax.Array) -> jax.Array:
    """`[C]`, nats up to a constant."""
    return -jnp.sum((actions - SEEN) ** 2, axis=-1) / (2 * 0.3**2)


def sampler(key: jax.Array, count: int) -> jax.Array:
    """`[count, 2]`; a diffusion model, say, would stand here."""
    return jax.random.uniform(key, (count, 2), minval=-1.0)


@jax.jit
def choose(key: jax.Array, kappa: float, lam: float) -> jax.Array:
    """One action; other kappa and lambda do not compile anew."""
    candidates = inference.propose(key, sampler, 256, anchor=SEEN)
    scores = inference.score(
        critics(candidates), behavior_log_prob(candidates), kappa=kappa, lam=lam
    )
    return inference.select(candidates, scores.total).action


def main() -> None:
    """More pessimism or more support: nearer to what the data do."""
    for kappa, lam in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        action = choose(jax.random.key(0), kappa, lam)
        near = float(jnp.linalg.norm(action - SEEN))
        print(f"kappa {kappa}, lambda {lam}: {action}, {near:.2f} from the data")


if __name__ == "__main__":
    main()
