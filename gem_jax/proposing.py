"""A policy that chooses among another policy's actions."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from gem_jax import acting, algorithms, errors, policy, run_settings
from gem_jax.algorithm import Joint, Proposer
from gem_jax.ops import normalize
from gem_jax.policy import Policy
from gem_jax.training import rundir
from gem_jax.types import Array, PolicyParams, PRNGKey

# Knobs that shape samples of GEM's own mixtures.
_OF_OWN_SAMPLES = ("candidates", "temperature", "denoise_steps")


def load(
    workdir: os.PathLike[str] | str,
    proposer: os.PathLike[str] | str,
    step: int | None = None,
    seed: int = 0,
    proposer_step: int | None = None,
    proposer_seed: int = 0,
) -> Policy:
    """A run's policy that chooses among another run's actions.

    A model is asked for samples, with its own knobs; a policy of one action for that,
    as the one candidate. Weights, statistics of observations and settings stay each
    one's own. The knobs of the policy that chooses are its run's; of those that shape
    its own samples, ``candidates``, ``temperature`` and ``denoise_steps``, none counts.

    Args:
      workdir: of a run of an algorithm that scores candidates, as GEM.
      proposer: of a run of any algorithm without memory, on the same task.
      step: of ``workdir``'s checkpoint; the newest good one when ``None``.
      seed: which of its seeds, counted from 0.
      proposer_step: the same of ``proposer``.
      proposer_seed: the same of ``proposer``.

    Raises:
      UserError: a run cannot be loaded, or the two do not fit.
    """
    require_fit(workdir, proposer)
    scorers = policy.load_seeds(workdir, step, [seed])
    others = policy.load_seeds(proposer, proposer_step, [proposer_seed])
    return join(workdir, scorers, proposer, others)[0]


def require_fit(
    workdir: os.PathLike[str] | str, proposer: os.PathLike[str] | str
) -> None:
    """Refuses, before anything is loaded, runs of which one cannot serve the other.

    Raises:
      UserError: the first cannot choose, or the two are of different tasks.
    """
    record, of_other = _record(workdir), _record(proposer)
    if not hasattr(algorithms.lookup(record["algo"]), "with_proposer"):
        raise errors.UserError(
            f"{record['algo']} cannot choose among another policy's actions; that "
            "takes an algorithm with with_proposer, as gem"
        )
    if record["env"] != of_other["env"]:
        raise errors.UserError(
            f"the proposer {proposer} was trained on {of_other['env']}, and {workdir} "
            f"on {record['env']}; take runs of one task"
        )


def join(
    workdir: os.PathLike[str] | str,
    scorers: Sequence[Policy],
    proposer: os.PathLike[str] | str,
    others: Sequence[Policy],
) -> tuple[Policy, ...]:
    """Policies of a run, each choosing among the actions of one of another run.

    Args:
      workdir: whose policies ``scorers`` are, seed by seed.
      scorers: of one checkpoint.
      proposer: whose policies ``others`` are.
      others: one for each scorer.

    Raises:
      UserError: the proposer acts by memory, or the two differ in sizes or bounds.
    """
    record, of_other = _record(workdir), _record(proposer)
    module: Any = algorithms.lookup(record["algo"])
    scorer, other = scorers[0], others[0]
    if other.algorithm.observe is not None:
        raise errors.UserError(
            f"{of_other['algo']} cannot propose, since it acts by memory"
        )
    for name in ("observation_size", "action_size", "action_box"):
        # Tasks of one's own may have one name and other contents.
        mine, there = getattr(scorer.spec, name), getattr(other.spec, name)
        if mine != there:
            raise errors.UserError(
                f"the proposer {proposer} has {name} {there}, and {workdir} {mine}; "
                "take runs of one task"
            )
    config, spec = run_settings.settings(record)
    sampler = _make_sampler(of_other["algo"], other)
    algorithm = module.with_proposer(config, spec, sampler)
    as_it_comes = normalize.identity_normalizer(spec.observation_size)
    params = [
        PolicyParams(as_it_comes, Joint(own.params, its.params))
        for own, its in zip(scorers, others, strict=True)
    ]
    joint = policy.bind(algorithm, params[0], scorer.step)
    if other.algorithm.propose is None and joint.knobs.num_candidates > 1:
        joint = joint.with_knobs(num_candidates=1)
    return tuple(dataclasses.replace(joint, params=own) for own in params)


def _record(folder: os.PathLike[str] | str) -> dict[str, Any]:
    path = pathlib.Path(folder).expanduser() / rundir.CONFIG
    return rundir.require_format(rundir.read_json(path))


def without_effect(knobs: Iterable[str]) -> list[str]:
    """Those of the names that another run's proposals leave idle."""
    return [name for name in knobs if name in _OF_OWN_SAMPLES]


def _make_sampler(name: str, proposer: Policy) -> Proposer:
    unit = proposer.spec._replace(action_low=(), action_high=())
    algorithm = proposer.algorithm._replace(spec=unit)  # in [-1, 1], as a candidate is
    knobs = proposer.knobs
    propose, step = algorithm.propose, acting.make_step(algorithm)

    def sampler(
        params: PolicyParams, key: PRNGKey, observation: Array, t: Array, n: int
    ) -> Array:
        if propose is not None:
            normalized = params.normalizer(observation)
            return propose(params.params, key, normalized, n, knobs)
        if n > 1:  # copies would only make each other likely
            raise errors.UserError(f"{name} proposes one action; take num_candidates=1")
        output, _ = step(params, key, (), acting.Seen(observation, t), knobs)
        return output.action[None]

    return sampler
