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
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax import acting, algorithms
from gem_jax import algorithm as protocol
from gem_jax.algorithm import Algorithm, Phase
from gem_jax.data import tasks
from gem_jax.testing import fakes, recording
from gem_jax.training import admission, checkpoint, loop, results
from gem_jax.types import Metrics, PRNGKey, Transition

_ROWS = 8  # that act side by side
_BOTH = (3, 0)  # seeds, of which most checks train the last


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

    def init(key: PRNGKey) -> Any:
        state = case.algorithm.init(key)
        for leaf in jax.tree.leaves(state):
            assert isinstance(leaf, jax.Array), f"{leaf!r} is no array"
            assert not leaf.weak_type, "a weak type would make the first step retrace"
        return state

    again = case.algorithm._replace(init=init)
    both = _fresh_of_both(case)
    _assert_equal(both, loop.init(again, loop.seed_keys(_BOTH)))
    assert not _equal(_row(both, 0), _row(both, 1))


def updates_keep_the_structure(case: Case, folder: pathlib.Path) -> None:
    """Types too, weak ones included: an update that is jitted is traced once."""
    del folder
    state, dataset = _row(_fresh(case), 0).algorithm, _dataset()
    shapes = jax.eval_shape(lambda: state)
    for phase in case.algorithm.phases:
        after = jax.eval_shape(functools.partial(_update, phase), state, dataset)
        assert after == shapes, f"phase {phase.name} changes shapes or types"


def metrics_are_finite_scalars_with_names(case: Case, folder: pathlib.Path) -> None:
    del folder
    for chunk in whole_run(case):
        for name, value in chunk.metrics.items():
            assert name.count("/") == 1, f"{name} is not component/quantity"
            assert value.shape == (1, 1) and np.isfinite(value).all(), name


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
    if algorithm.judge:
        pairs.append((algorithm.judge, protocol.JudgeFn))
    for function, kind in pairs:
        assert _names(function) == _names(kind.__call__)[1:]
    acts: Any = protocol.ActByMemoryFn if algorithm.observe else protocol.ActFn
    assert _names(algorithm.act) == _names(acts.__call__)[1:]


def acting_is_bounded_repeatable_and_blind_to_neighbours(
    case: Case, folder: pathlib.Path
) -> None:
    del folder
    algorithm, key = case.algorithm, jax.random.key(0)
    state = _row(_fresh(case), 0)
    params = fakes.policy_params(algorithm.actor_params(state.algorithm))
    step = acting.make_step(algorithm)
    act = jax.jit(jax.vmap(step, in_axes=(None, 0, 0, 0, None)))

    def act_on(observation: Any) -> Any:
        size = len(observation)
        memory = acting.init_memory(algorithm, params, algorithm.knobs)
        memory = jax.tree.map(lambda leaf: jnp.stack([leaf] * size), memory)
        spec = algorithm.spec
        last = jnp.zeros((size, spec.action_size)), jnp.zeros(size)
        seen = acting.Seen(observation, jnp.arange(size), *last)
        keys = jax.random.split(key, size)
        return act(params, keys, memory, seen, algorithm.knobs)

    shape = (_ROWS, algorithm.spec.observation_size)
    observation = 10.0 * np.random.default_rng(0).normal(size=shape)
    output, memory = act_on(observation)
    assert output.action.shape == (_ROWS, algorithm.spec.action_size)
    assert np.abs(output.action).max() <= 1.0
    assert all(value.shape == (_ROWS,) for value in output.audit.values())
    assert not set(output.audit) & _eval_fields(), (
        "an audit hides a field of eval.jsonl"
    )
    _assert_equal((output, memory), act_on(observation))
    among_others, _ = act_on(np.concatenate([observation[:3], -observation[3:]]))
    np.testing.assert_array_equal(among_others.action[:3], output.action[:3])


def proposals_are_actions(case: Case, folder: pathlib.Path) -> None:
    """Those of an algorithm that has samples to give."""
    del folder
    algorithm, key = case.algorithm, jax.random.key(0)
    if algorithm.propose is None:
        return
    propose = jax.jit(algorithm.propose, static_argnums=3)
    params = algorithm.actor_params(_row(_fresh(case), 0).algorithm)
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
    state = _row(_fresh(case), 0).algorithm
    leaves = [leaf + 1 if names & unread else leaf for _, names, leaf in _places(state)]
    other = jax.tree.unflatten(jax.tree.structure(state), leaves)
    _assert_equal(algorithm.actor_params(other), algorithm.actor_params(state))
    for path, names, _ in _places(algorithm.actor_params(state)):
        assert not names & unread, path


def a_phase_changes_the_components_its_metrics_name(
    case: Case, folder: pathlib.Path
) -> None:
    del folder
    before = {path: leaf for path, _, leaf in _places(_fresh(case).algorithm)}
    for phase, start in _phases(case):
        after, metrics = _first_update(case, phase, start)
        claimed = {metric.split("/")[0] for metric in metrics}
        moved = set()
        for path, names, leaf in _places(after.algorithm):
            owners = claimed & {name.removeprefix("target_") for name in names}
            if not np.array_equal(leaf, before[path]):
                assert owners, f"{path} changes in phase {phase.name}"
                moved |= owners
        assert moved == claimed


def resuming_inside_each_phase_is_bit_exact(case: Case, folder: pathlib.Path) -> None:
    algorithm, whole = case.algorithm, whole_run(case)
    inside = [chunk for chunk in whole if chunk.phase_step == 2]
    assert len(inside) == len(algorithm.phases), "TINY needs 3 steps in every phase"
    for chunk in inside:
        assert not chunk.phase_done
        with checkpoint.open_store(folder, {"config": 1}) as store:
            checkpoint.save(store, chunk.step, chunk.state)
            restored = checkpoint.restore(store, _fresh(case))
        assert restored is not None and restored.step == chunk.step
        _assert_equal(restored.state, chunk.state)
        # To the end of the phase; from there on both are the same run.
        end = next(c for c in whole if c.phase == chunk.phase and c.phase_done)
        place = dict(start_step=restored.step, end_step=end.step)
        rest = _train(algorithm, (0,), restored.state, **place)
        _assert_equal(rest[-1].state, end.state)


def neither_other_seeds_nor_steps_per_dispatch_matter(
    case: Case, folder: pathlib.Path
) -> None:
    del folder
    fresh = _fresh_of_both(case)
    chunks = _train(case.algorithm, _BOTH, fresh, steps_per_dispatch=100)
    beside = jax.tree.map(lambda leaf: leaf[1:], chunks[-1].state)
    _assert_close(beside, whole_run(case)[-1].state)


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
    seeds: Sequence[int],
    state: loop.State,
    *,
    start_step: int = 0,
    end_step: int | None = None,
    steps_per_dispatch: int = 1,
) -> list[loop.Chunk]:
    place = dict(start_step=start_step, steps_per_dispatch=steps_per_dispatch)
    chunks = loop.run(algorithm, loop.seed_keys(seeds), _dataset(), state, **place)
    return recording.keep(chunks, end_step)


@functools.cache
def _dataset() -> Transition:
    return fakes.random_transitions(jax.random.key(7))


@functools.cache
def _fresh_of_both(case: Case) -> loop.State:
    """The states before training; on the host, for updates donate theirs."""
    return jax.device_get(loop.init(case.algorithm, loop.seed_keys(_BOTH)))


def _fresh(case: Case) -> loop.State:
    """That of seed 0 alone."""
    return jax.tree.map(lambda leaf: leaf[1:], _fresh_of_both(case))


def _row(tree: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)


@functools.cache
def whole_run(case: Case) -> list[loop.Chunk]:
    """The chunks of seed 0, an update each, never interrupted."""
    return _train(case.algorithm, (0,), _fresh(case))


def _phases(case: Case) -> Iterator[tuple[Phase, int]]:
    """Each phase, and the updates before it."""
    start = 0
    for phase in case.algorithm.phases:
        yield phase, start
        start += phase.num_steps


def _first_update(case: Case, phase: Phase, start: int) -> tuple[loop.State, Metrics]:
    """That of a fresh state in a phase, by the programs that the whole run compiled."""
    keys, fresh = loop.seed_keys([0]), _fresh(case)
    state = fresh._replace(step=jnp.full_like(fresh.step, start))
    dataset, _ = loop.normalized(admission.admit(_dataset()))
    _, dataset, extras = loop.prepare(phase, state, keys, dataset)
    run_chunk = loop.make_chunk(phase, start)
    return run_chunk(state, keys, dataset, extras, length=1)


def _update(phase: Phase, state: Any, dataset: Transition) -> Any:
    """The state after an update on a batch as the loop would draw it."""
    key, step = jax.random.key(0), jnp.int32(0)
    dataset, _ = loop.normalized(dataset)
    _, extras = phase.prepare(state, key, dataset)
    dataset = dataset._replace(extras={**dataset.extras, **extras})
    batch = phase.sample(key, dataset, phase.batch_size, step)
    return phase.update(state, key, batch, step)[0]


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
