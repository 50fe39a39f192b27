"""Environment steps per second of the evaluator, and where the time goes."""

from __future__ import annotations

import concurrent.futures
import os
import time
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from gem_jax import algorithms, configs, envs, policy
from gem_jax.algorithm import Algorithm
from gem_jax.data import tasks
from gem_jax.training import evaluation, loop
from gem_jax.types import ActOutput, EnvSpec, PolicyParams

_PHYSICS_STEPS = 300  # of each environment


def measure(
    env: str, num_candidates: int, *, preset: str, episodes: int
) -> dict[str, Any]:
    """Evaluates GEM with fresh weights; the shares add up to one.

    Physics is the environments stepped alone on as many threads; the policy is what an
    evaluation takes beyond that of one that always does nothing; Python is the rest. An
    untrained hopper falls soon, so its rate is that of a shrinking batch.
    """
    task = tasks.get(env)
    spec = EnvSpec(task.observation_size, task.action_size, task.horizon)
    config = configs.get_config("gem", task, preset)
    algorithm = algorithms.make("gem", config, spec)
    state = loop.select_seed(loop.init(algorithm, loop.seed_keys([0])), 0)
    params = loop.policy_params(algorithm, state)
    knobs = policy.change_knobs(algorithm.knobs, {"num_candidates": num_candidates})

    def do_nothing(params, key, observation, t, knobs):
        del params, key, observation, t, knobs
        return ActOutput(jnp.zeros(spec.action_size), {})

    idler = algorithm._replace(act=do_nothing)
    acting = seconds_per_step(env, algorithm, params, knobs, episodes)
    idle = seconds_per_step(env, idler, params, (), episodes)
    physics = min(physics_seconds(env, episodes), idle)
    return {
        "env": env,
        "num_candidates": num_candidates,
        "steps_per_second": 1.0 / acting,
        "share_policy": max(acting - idle, 0.0) / max(acting, idle),
        "share_physics": physics / max(acting, idle),
        "share_python": (idle - physics) / max(acting, idle),
    }


def seconds_per_step(
    env: str, algorithm: Algorithm, params: PolicyParams, knobs: Any, episodes: int
) -> float:
    """Of the real evaluator, compiled and warm."""
    with evaluation.make_evaluator(tasks.get(env), algorithm) as evaluate:
        for _ in range(2):  # the first call compiles
            [result] = evaluate(params, jax.random.key(0), [knobs], episodes)
    return 1.0 / result.steps_per_second


def physics_seconds(env: str, count: int) -> float:
    """Per step, of ``count`` environments on all cores with nothing around them."""
    env_id = tasks.get(env).env_id
    assert env_id is not None  # a name of D4RL's
    environments = [envs.make(env_id) for _ in range(count)]
    for environment in environments:
        environment.reset(seed=0)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        start = time.perf_counter()
        list(pool.map(_step_often, environments))
        seconds = time.perf_counter() - start
    for environment in environments:
        environment.close()
    return seconds / (count * _PHYSICS_STEPS)


def _step_often(environment: gymnasium.Env) -> None:
    assert environment.action_space.shape is not None
    action = np.zeros(environment.action_space.shape, np.float32)
    for _ in range(_PHYSICS_STEPS):
        *_, terminated, truncated, _ = environment.step(action)
        if terminated or truncated:
            environment.reset(seed=0)
