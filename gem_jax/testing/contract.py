# ruff: noqa: D103 - the names of the checks say what they check
"""What every algorithm must do, for the tests of whoever registers one.

    @pytest.mark.parametrize("check", contract.CHECKS)
    def test_contract(check, tmp_path):
        check(contract.case("my_algorithm"), tmp_path)

A check raises ``AssertionError``. It needs no more than ``TINY``, the sizes beside the
algorithm; what one check has trained serves the others.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax import acting, algorithms
from gem_jax import algorithm as protocol
from gem_jax.algorithm import Algorithm, Phase
from gem_jax.data import tasks
from gem_jax.testing import fakes, recording
from gem_jax.training import checkpoint, loop, results
from gem_jax.types import PRNGKey, Transition

_ROWS = 8  # of a batch


class Case(NamedTuple):
    """An algorithm with tiny settings, on ``fakes.SPEC``."""

    name: str
    algorithm: Algorithm


@functools.cache
def case(name: str) -> Case:
    """The algorithm registered under ``name``."""
    config = algorithms.tiny_config(name)
    return Case(name, algorithms.make(name, config, fakes.SPEC))


def init_is_a_function_of_the_key(case: Case, folder: pathlib.Path) -> None:
    del folder
    key = jax.random.key(0)
    first, second = case.algorithm.init(key), case.algorithm.init(key)
    for leaf in jax.tree.leaves(first):
        assert isinstance(leaf, jax.Array), f"{leaf!r} is no array"
        assert not leaf.weak_type, "a weak type would make the first step retrace"
    _assert_equal(first, second)
    assert not _equal(first, case.algorithm.init(jax.random.key(1)))


def updates_keep_the_structure(case: Case, folder: pathlib.Path) -> None:
    del folder
    state, step = case.algorithm.init(jax.random.key(0)), jnp.int32(0)
    for phase in case.algorithm.phases:
        batch = _batch_of(phase, state)
        after, _ = jax.eval_shape(phase.update, state, jax.random.key(0), batch, step)
        shapes = jax.eval_shape(lambda: state)  # noqa: B023 - called at once
        assert after == shapes, f"phase {phase.name} changes shapes or types"


def updates_do_not_retrace(case: Case, folder: pathlib.Path) -> None:
    del folder
    for phase, update, state in _phases(case):
        batch = _batch_of(phase, state)
        for step in range(3):
            state, _ = update(state, jax.random.key(0), batch, jnp.int32(step))


def metrics_are_finite_scalars_with_names(case: Case, folder: pathlib.Path) -> None:
    del folder
    key = jax.random.key(0)
    for phase, update, state in _phases(case):
        batch = _batch_of(phase, state)
        state, first = update(state, key, batch, jnp.int32(0))
        _, second = update(state, key, batch, jnp.int32(1))
        assert first.keys() == second.keys()
        for name in first:
            assert name.count("/") == 1, f"{name} is not component/quantity"
            for value in (first[name], second[name]):
                assert value.shape == () and np.isfinite(value), name


def arguments_are_named_as_in_the_protocol(case: Case, folder: pathlib.Path) -> None:
    del folder
    algorithm = case.algorithm
    pairs: list[tuple[Any, Any]] = [(algorithm.init, protocol.InitFn)]
    for phase in algorithm.phases:
        pairs += [
            (phase.update, protocol.UpdateFn),
            (phase.prepare, protocol.PrepareFn),
            (phase.sample, protocol.SampleFn),
        ]
        if phase.refresh:
            pairs.append((phase.refresh, protocol.RefreshFn))
            assert 1 <= phase.refresh_every <= phase.num_steps
    assert (algorithm.init_memory is None) == (algorithm.observe is None)
    if algorithm.init_memory and algorithm.observe:
        pairs += [
            (algorithm.init_memory, protocol.InitMemoryFn),
            (algorithm.observe, protocol.ObserveFn),
        ]
    if algorithm.propose:
        pairs.append((algorithm.propose, protocol.ProposeFn))
    for function, kind in pairs:
        assert _names(function) == _names(kind.__call__)[1:]
    acts: Any = protocol.ActByMemoryFn if algorithm.observe else protocol.ActFn
    assert _names(algorithm.act) == _names(acts.__call__)[1:]


def acting_is_bounded_repeatable_and_blind_to_neighbours(
    case: Case, folder: pathlib.Path
) -> None:
    del folder
    algorithm, key = case.algorithm, jax.random.key(0)
    params = fakes.policy_params(algorithm.actor_params(algorithm.init(key)))
    step = acting.make_step(algorithm)
    act = jax.jit(jax.vmap(step, in_axes=(None, 0, 0, 0, None)))

    def act_on(observation: Any) -> Any:
        size = len(observation)
        memory = acting.init_memory(algorithm, params, algorithm.knobs)
        memory = jax.tree.map(lambda leaf: jnp.stack([leaf] * size), memory)
        spec = algorithm.spec
        last = jnp.zeros((size, spec.action_size)), jnp.zeros(size)
        seen = acting.Seen(observation, jnp.arange(size), *last)
        keys = jax.random.split(key, 32)[:size]
        return act(params, keys, memory, seen, algorithm.knobs)

    observation = 10.0 * jax.random.normal(key, (8, algorithm.spec.observation_size))
    output, memory = act_on(observation)
    assert output.action.shape == (8, algorithm.spec.action_size)
    assert np.abs(output.action).max() <= 1.0
    assert all(value.shape == (8,) for value in output.audit.values())
    assert not set(output.audit) & _eval_fields(), (
        "an audit hides a field of eval.jsonl"
    )
    _assert_equal((output, memory), act_on(observation))
    fewer, _ = act_on(observation[:3])
    np.testing.assert_allclose(fewer.action, output.action[:3], rtol=1e-5, atol=1e-6)


def proposals_are_actions(case: Case, folder: pathlib.Path) -> None:
    """Those of an algorithm that has samples to give."""
    del folder
    algorithm, key = case.algorithm, jax.random.key(0)
    if algorithm.propose is None:
        return
    propose = jax.jit(algorithm.propose, static_argnums=3)
    params = algorithm.actor_params(algorithm.init(key))
    observation = jnp.zeros(algorithm.spec.observation_size)
    knobs = algorithm.knobs
    samples = propose(params, key, observation, 32, knobs)
    assert samples.shape == (32, algorithm.spec.action_size)
    assert np.isfinite(samples).all()
    assert (np.ptp(samples, axis=0) > 0.0).any(), "all samples are the same"
    _assert_equal(samples, propose(params, key, observation, 32, knobs))


def knobs_have_defaults_that_tell_their_types(case: Case, folder: pathlib.Path) -> None:
    """Commands make a flag of each, and take its type from the default."""
    del folder
    knobs = case.algorithm.knobs
    if dataclasses.is_dataclass(knobs):
        for field in dataclasses.fields(knobs):
            assert isinstance(field.default, bool | int | float | str), field.name


def acting_reads_neither_optimizers_nor_state_values(
    case: Case, folder: pathlib.Path
) -> None:
    del folder
    algorithm, unread = case.algorithm, {"opt_state", "value"}
    state = algorithm.init(jax.random.key(0))
    leaves = [leaf + 1 if names & unread else leaf for _, names, leaf in _places(state)]
    other = jax.tree.unflatten(jax.tree.structure(state), leaves)
    _assert_equal(algorithm.actor_params(other), algorithm.actor_params(state))
    for path, names, _ in _places(algorithm.actor_params(state)):
        assert not names & unread, path


def a_phase_changes_the_components_its_metrics_name(
    case: Case, folder: pathlib.Path
) -> None:
    del folder
    for phase, update, state in _phases(case):
        before = {path: leaf for path, _, leaf in _places(state)}
        batch = _batch_of(phase, state)
        after, metrics = update(state, jax.random.key(0), batch, jnp.int32(0))
        claimed = {metric.split("/")[0] for metric in metrics}
        moved = set()
        for path, names, leaf in _places(after):
            owners = claimed & {name.removeprefix("target_") for name in names}
            if not np.array_equal(leaf, before[path]):
                assert owners, f"{path} changes in phase {phase.name}"
                moved |= owners
        assert moved == claimed


def resuming_inside_each_phase_is_bit_exact(case: Case, folder: pathlib.Path) -> None:
    algorithm, whole = case.algorithm, _whole_run(case.name)
    inside = [chunk for chunk in whole if chunk.phase_step == 2]
    assert len(inside) == len(algorithm.phases), "TINY needs 3 steps in every phase"
    like = jax.eval_shape(lambda: loop.init(algorithm, loop.seed_keys([0])))
    for chunk in inside:
        assert not chunk.phase_done
        with checkpoint.open_store(folder, {"config": 1}) as store:
            checkpoint.save(store, chunk.step, chunk.state)
            restored = checkpoint.restore(store, like)
        assert restored is not None and restored.step == chunk.step
        _assert_equal(restored.state, chunk.state)
        # To the end of the phase; from there on both are the same run.
        end = next(c for c in whole if c.phase == chunk.phase and c.phase_done)
        place = dict(start_step=restored.step, end_step=end.step)
        rest = _train(algorithm, [0], state=restored.state, **place)
        _assert_equal(rest[-1].state, end.state)


def neither_other_seeds_nor_steps_per_dispatch_matter(
    case: Case, folder: pathlib.Path
) -> None:
    del folder
    chunks = _train(case.algorithm, [3, 0], steps_per_dispatch=100)
    beside = jax.tree.map(lambda leaf: leaf[1:], chunks[-1].state)
    _assert_close(beside, _whole_run(case.name)[-1].state)


def bad_settings_name_the_field(case: Case, folder: pathlib.Path) -> None:
    """No number may be infinite or NaN, and none of the steps may be 0."""
    del folder
    _assert_refused(case.name, "num_steps", 0)
    config = algorithms.tiny_config(case.name)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            for bad in (math.inf, -math.inf, math.nan):
                _assert_refused(case.name, field.name, bad)


def another_algorithms_config_is_refused(case: Case, folder: pathlib.Path) -> None:
    del folder
    try:
        algorithms.make(case.name, object(), fakes.SPEC)
    except TypeError as error:
        assert case.name in str(error)
    else:
        raise AssertionError("made from another algorithm's configuration")


CHECKS: tuple[Callable[[Case, pathlib.Path], None], ...] = (
    init_is_a_function_of_the_key,
    updates_keep_the_structure,
    updates_do_not_retrace,
    metrics_are_finite_scalars_with_names,
    arguments_are_named_as_in_the_protocol,
    acting_is_bounded_repeatable_and_blind_to_neighbours,
    proposals_are_actions,
    knobs_have_defaults_that_tell_their_types,
    acting_reads_neither_optimizers_nor_state_values,
    a_phase_changes_the_components_its_metrics_name,
    resuming_inside_each_phase_is_bit_exact,
    neither_other_seeds_nor_steps_per_dispatch_matter,
    bad_settings_name_the_field,
    another_algorithms_config_is_refused,
)


def _eval_fields() -> set[str]:
    """What a line of ``eval.jsonl`` holds beside the diagnostics."""
    nothing = results.EvalResult(np.zeros(1), np.ones(1), None, {}, 0.0)
    return {"step", "seed", *results.to_row(nothing, tasks.get("navigation-v0"), ())}


def _train(
    algorithm: Algorithm,
    seeds: list[int],
    *,
    state: Any = None,
    start_step: int = 0,
    end_step: int | None = None,
    steps_per_dispatch: int = 2,
) -> list[loop.Chunk]:
    keys = loop.seed_keys(seeds)
    dataset = fakes.random_transitions(jax.random.key(7))
    state = loop.init(algorithm, keys) if state is None else state
    place = dict(start_step=start_step, steps_per_dispatch=steps_per_dispatch)
    chunks = loop.run(algorithm, keys, dataset, state, **place)
    return recording.keep(chunks, end_step)


@functools.cache
def _whole_run(name: str) -> list[loop.Chunk]:
    """The chunks of seed 0, never interrupted."""
    return _train(case(name).algorithm, [0])


@functools.cache
def _updates(name: str) -> list[tuple[Phase, Callable[..., Any]]]:
    phases = case(name).algorithm.phases
    return [(phase, _jitted_once(phase.update)) for phase in phases]


def _phases(case: Case) -> Iterator[tuple[Phase, Callable[..., Any], Any]]:
    """Each phase, its jitted update, and a fresh state."""
    state = case.algorithm.init(jax.random.key(0))
    for phase, update in _updates(case.name):
        yield phase, update, state


def _jitted_once(update: Callable[..., Any]) -> Callable[..., Any]:
    """``update`` under jit; phases may share a function, so each counts by itself."""
    traces: list[None] = []

    def counted(state: Any, key: PRNGKey, batch: Transition, step: Any) -> Any:
        traces.append(None)
        assert len(traces) == 1, "traced again"
        return update(state, key, batch, step)

    return jax.jit(counted)


def _batch_of(phase: Phase, state: Any) -> Transition:
    """A batch as the loop would hand it to an update of the phase."""
    key = jax.random.key(0)
    dataset, _ = loop.normalized(fakes.random_transitions(key))
    _, extras = phase.prepare(state, key, dataset)
    dataset = dataset._replace(extras={**dataset.extras, **extras})
    return phase.sample(key, dataset, _ROWS, 0)


def _places(tree: Any) -> Iterator[tuple[str, set[str], Any]]:
    """For each leaf its path, the names on that path, and the leaf."""
    for path, leaf in jax.tree.leaves_with_path(tree):
        text = jax.tree_util.keystr(path, simple=True, separator="/")
        yield text, set(text.split("/")), leaf


def _names(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def _assert_refused(name: str, field: str, value: float) -> None:
    try:
        algorithms.tiny_config(name, **{field: value})
    except ValueError as error:
        assert field in str(error), f"{error} does not name {field}"
    else:
        raise AssertionError(f"{field}={value} is accepted")


def _equal(a: Any, b: Any) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


def _assert_equal(a: Any, b: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


def _assert_close(a: Any, b: Any) -> None:
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-5), a, b
    )
