"""A policy that chooses among another policy's actions."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import jax.numpy as jnp

from gem_jax import acting, algorithms, errors, policy, run_settings
from gem_jax.algorithm import Algorithm, Joint, Proposer
from gem_jax.ops import normalize
from gem_jax.policy import Policy
from gem_jax.training import rundir
from gem_jax.types import Array, PolicyParams, PRNGKey


def load(
    workdir: os.PathLike[str] | str,
    proposer: os.PathLike[str] | str,
    step: int | None = None,
    seed: int = 0,
    proposer_seed: int = 0,
) -> Policy:
    """A run's policy with candidates of another run's.

    The proposer is asked with its own knobs: a model for samples, a policy of one
    action for that action, as often as candidates are wanted. Weights, statistics of
    observations and settings stay each one's own.

    Args:
      workdir: of a run of an algorithm that scores candidates, as GEM.
      proposer: of a run of any algorithm without memory, on the same task.
      step: of ``workdir``'s checkpoint; the newest good one when ``None``.
      seed: which of its seeds, counted from 0.
      proposer_seed: the same of ``proposer``, whose newest checkpoint is taken.

    Raises:
      UserError: a run cannot be loaded, or the two do not fit.
    """
    scorer = policy.load(workdir, step, seed)
    other = policy.load(proposer, seed=proposer_seed)
    folders = [pathlib.Path(folder).expanduser() for folder in (workdir, proposer)]
    record, of_other = (rundir.read_json(folder / rundir.CONFIG) for folder in folders)
    module = algorithms.lookup(record["algo"])
    if not hasattr(module, "with_proposer"):
        raise errors.UserError(
            f"{record['algo']} cannot choose among another policy's actions; gem can"
        )
    if other.algorithm.observe is not None:
        raise errors.UserError(
            f"{of_other['algo']} cannot propose, since it acts by memory"
        )
    if record["env"] != of_other["env"]:
        raise errors.UserError(
            f"the proposer {proposer} was trained on {of_other['env']}, and {workdir} "
            f"on {record['env']}; take runs of one task"
        )
    config, spec = run_settings.settings(record)
    sampler = _make_sampler(other.algorithm, other.knobs)
    algorithm = module.with_proposer(config, spec, sampler)
    as_it_comes = normalize.identity_normalizer(spec.observation_size)
    params = PolicyParams(as_it_comes, Joint(scorer.params, other.params))
    return policy.bind(algorithm, params, scorer.step)


def _make_sampler(algorithm: Algorithm, knobs: Any) -> Proposer:
    propose, step = algorithm.propose, acting.make_step(algorithm)

    def sampler(
        params: PolicyParams, key: PRNGKey, observation: Array, t: Array, n: int
    ) -> Array:
        if propose is not None:
            normalized = params.normalizer(observation)
            return propose(params.params, key, normalized, n, knobs)
        output, _ = step(params, key, (), acting.Seen(observation, t), knobs)
        return jnp.broadcast_to(output.action, (n, *output.action.shape))

    return sampler
