"""Times the way from an observation to an action, and takes it apart."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import gem_jax
from benchmarks import harness
from benchmarks.latency import settings as latency_settings
from gem_jax import acting
from gem_jax import policy as policies
from gem_jax.policy import Policy
from gem_jax.runs import candidate_memory
from gem_jax.training import loop

# Activations of all critics at once, in numbers; beyond it they take turns only.
_MOST_AT_ONCE = 2**28
_BYTES = 4  # of a float
_QUANTILES = (50, 95, 99)
_TURN = 10  # calls in a row, as a control loop makes them
_WARM_UP = 50  # calls before the timed ones, where there is time for them


def measure(setting: latency_settings.Setting) -> dict[str, Any]:
    """Time to the first action, steady latency and its parts, memory, arithmetic."""
    start = time.perf_counter()
    policy, config = make_policy(setting)
    jax.block_until_ready(policy.params)
    loaded = time.perf_counter()
    rng = np.random.default_rng(0)
    shape = (setting.batch_size, policy.spec.observation_size)
    observation = rng.standard_normal(shape, np.float32)
    inputs = step_inputs(policy, observation)
    program = policy.batched.lower(policy.params, *inputs, policy.knobs).compile()
    compiled = time.perf_counter()
    act(policy, inputs)
    acted = time.perf_counter()
    peak_bytes = harness.allocator_peak()  # of this setting: nothing else ran yet

    parts = calls(policy, inputs)
    bare = bare_critics(policy, config, setting, candidate_memory.free_bytes())
    products, product_flops = harness.products()
    times = harness.interleaved(
        {**parts, **bare, "products": products},
        calls=setting.calls,
        seconds=setting.seconds,
        warm_up=_WARM_UP,
        turn=_TURN,
    )
    medians = {name: float(np.median(taken)) for name, taken in times.items()}
    operations = program_flops(policy, inputs)
    rate = operations / times["program"]
    peak = harness.peak(products, product_flops, times["products"])
    return {
        **dataclasses.asdict(setting),
        "load_seconds": loaded - start,
        "compile_seconds": compiled - loaded,
        "first_run_seconds": acted - compiled,
        "calls": len(times["call"]),
        **{f"p{q}": harness.quantile(times["call"], q) for q in _QUANTILES},
        "dispatch": medians["dispatch"],
        "transfer": medians["transfer"],
        "compute": max(medians["program"] - medians["dispatch"], 0.0),
        "bare_critics": min((medians[name] for name in bare), default=None),
        "ratio_to_bare": ratio(times, bare),
        "parameters": harness.count_parameters(policy.params),
        **harness.program_bytes(program),
        "allocator_peak_bytes": peak_bytes,
        "flops": operations,
        "flops_per_second": float(np.median(rate)),
        "matmul_peak": peak,
        "share_of_peak": float(np.median(rate / peak)),
    }


def make_policy(setting: latency_settings.Setting) -> tuple[Policy, Any]:
    """The run's policy, or one with fresh weights; and its configuration."""
    algorithm, _, config = latency_settings.build(setting)
    if setting.workdir:
        policy = gem_jax.load(setting.workdir)
    else:
        state = loop.select_seed(loop.init(algorithm, loop.seed_keys([0])), 0)
        policy = policies.bind(algorithm, loop.policy_params(algorithm, state))
    return policy.with_knobs(**setting.knobs), config


def step_inputs(policy: Policy, observation: np.ndarray) -> tuple[Any, ...]:
    """Key, memory and what is seen at the first step of as many episodes."""
    count = len(observation)
    seen: Any = (
        observation,
        np.zeros(count, np.float32),
        np.zeros((count, policy.spec.action_size), np.float32),
        np.zeros(count, np.float32),
    )
    remembers = policy.algorithm.observe is not None
    shown = acting.Seen(*seen) if remembers else acting.Seen(*seen[:2])
    return jax.random.key(0), policy.init_memory(count), shown


def act(policy: Policy, inputs: tuple[Any, ...]) -> np.ndarray:
    """The call that a control loop makes, from numpy to numpy."""
    key, memory, seen = inputs
    if policy.algorithm.observe is None:
        return np.asarray(policy.act(key, seen.observation, seen.t).action)
    last = dict(last_action=seen.last_action, last_reward=seen.last_reward)
    output, _ = policy.take_step(key, memory, seen.observation, seen.t, **last)
    return np.asarray(output.action)


def calls(policy: Policy, inputs: tuple[Any, ...]) -> dict[str, Callable[[], Any]]:
    """The whole call, from numpy to numpy, and its parts."""
    on_device = jax.device_put(inputs)
    arguments = (policy.params, *on_device, policy.knobs)
    # Takes what acting takes and does nothing: what remains is the dispatch.
    nothing = jax.jit(lambda params, key, memory, seen, knobs: seen.t, keep_unused=True)
    result = jax.block_until_ready(policy.batched(*arguments)[0].action)

    def transfer() -> None:
        jax.block_until_ready(jax.device_put(inputs[1:]))
        np.array(result)

    return {
        "call": lambda: act(policy, inputs),
        "program": harness.waited(policy.batched, *arguments),
        "dispatch": harness.waited(nothing, *arguments),
        "transfer": transfer,
    }


def bare_critics(
    policy: Policy, config: Any, setting: latency_settings.Setting, free: int
) -> dict[str, Callable[[], Any]]:
    """The critics' matrix products alone, in one program: the floor of selection.

    The state's part of the first layer is not among them, since it does not grow with
    the candidates. Two layouts, of which the faster counts: all members at once, and
    one after the other. Without samples, or an ensemble of critics, there is nothing to
    compare; nor where all candidates at once, which these products take, exceed the
    ``free`` bytes.
    """
    size = getattr(policy.knobs, "set_size", 1)
    if size == 1 or not hasattr(config, "num_critics"):
        return {}
    rows, members = setting.batch_size * size, config.num_critics
    widths = (policy.spec.action_size, *config.hidden_sizes, 1)

    def fits(at_once: int) -> bool:
        return _BYTES * rows * (widths[0] + 2 * at_once * max(widths)) <= free

    if not fits(1):
        return {}
    keys = jax.random.split(jax.random.key(0), len(widths))
    actions = jax.random.normal(keys[0], (rows, widths[0]))
    weights = [
        jax.random.normal(key, (members, before, after)) / before**0.5
        for key, before, after in zip(keys[1:], widths[:-1], widths[1:], strict=True)
    ]

    def one(weights: list[jax.Array]) -> jax.Array:
        return functools.reduce(jnp.matmul, weights, actions)

    layouts = {"bare_in_turn": lambda weights: jax.lax.map(one, weights)}
    if rows * members * max(widths) <= _MOST_AT_ONCE and fits(members):
        layouts["bare_at_once"] = jax.vmap(one)
    return {
        name: harness.waited(jax.jit(layout), weights)
        for name, layout in layouts.items()
    }


def ratio(times: Mapping[str, np.ndarray], bare: Mapping[str, Any]) -> float | None:
    """Median over the calls of program / faster bare layout, each pair adjacent."""
    if not bare:
        return None
    fastest = min(bare, key=lambda name: np.median(times[name]))
    return float(np.median(times["program"] / times[fastest]))


def program_flops(policy: Policy, inputs: tuple[Any, ...]) -> float:
    """Operations of a call, from the same function compiled without loops.

    The compiler counts the body of a loop once, so rows and candidates must not be
    taken in tiles. The program is compiled and not run.
    """
    key, memory, seen = inputs
    knobs = policy.knobs
    if hasattr(knobs, "chunk_size"):
        knobs = dataclasses.replace(knobs, chunk_size=knobs.set_size)
    keys = jax.random.split(key, len(seen.t))
    step = acting.make_step(policy.algorithm)
    at_once = jax.jit(jax.vmap(step, in_axes=(None, 0, 0, 0, None)))
    return harness.flops(
        at_once.lower(policy.params, keys, memory, seen, knobs).compile()
    )
