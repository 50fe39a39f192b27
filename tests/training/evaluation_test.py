"""The evaluator: whole episodes, one result for one key, whatever the batching."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import errors
from gem_jax.data import tasks
from gem_jax.testing import fakes
from gem_jax.training import evaluation, results
from gem_jax.types import ActOutput, EnvSpec

TASK = tasks.get("maze2d-umaze-v1")
SPEC = EnvSpec(TASK.observation_size, TASK.action_size, TASK.horizon)


def params(drift):
    return fakes.policy_params(drift, SPEC)


def noisy_act(params, key, observation, t, knobs):
    """Random actions with a drift, and the step as an audit."""
    del knobs
    action = jnp.tanh(params + jax.random.normal(key, (2,)) + 0 * observation[:2])
    return ActOutput(action, {"support_z": t.astype(jnp.float32)})


def play(num_episodes, *, key=0, num_threads=None):
    with evaluation.make_evaluator(
        TASK, fakes.acts_by(noisy_act, SPEC), num_threads=num_threads
    ) as evaluate:
        arguments = params(jnp.array([0.3, 0.0])), jax.random.key(key)
        return evaluate(*arguments, [()], num_episodes)[0]


def test_same_key_same_result_for_any_number_of_threads_and_episodes():
    one = play(5, num_threads=1)
    two = play(5, num_threads=2)
    np.testing.assert_array_equal(one.returns, two.returns)
    more = play(40)
    np.testing.assert_allclose(more.returns[:5], one.returns)
    other = play(40, key=1)
    assert not np.array_equal(more.returns, other.returns)


def test_episodes_are_whole_and_audits_are_means_over_decisions():
    result = play(3)
    assert (result.lengths == TASK.horizon).all()
    assert result.successes.dtype == bool
    np.testing.assert_allclose(result.audit["support_z"], (TASK.horizon - 1) / 2)


def test_variants_play_the_same_episodes_side_by_side_as_alone(monkeypatch):
    def drifting(params, key, observation, t, knobs):
        output = noisy_act(params, key, observation, t, knobs)
        return ActOutput(output.action.at[0].add(knobs["drift"]), output.audit)

    monkeypatch.setattr(evaluation, "MAX_ENVS", 8)
    variants = [{"drift": drift} for drift in (0.0, 0.5, 0.0)]
    with evaluation.make_evaluator(TASK, fakes.acts_by(drifting, SPEC)) as evaluate:
        arguments = params(jnp.zeros(2)), jax.random.key(0)
        # More rows than environments, so that waves cut variants apart.
        first, second, third = evaluate(*arguments, variants, 5)
        [alone] = evaluate(*arguments, variants[1:2], 5)
    np.testing.assert_array_equal(first.returns, third.returns)
    np.testing.assert_allclose(second.returns, alone.returns)
    assert second.audit == pytest.approx(alone.audit)
    assert not np.array_equal(first.returns, second.returns)


@pytest.mark.parametrize("num_episodes", [3, 40])
def test_memory_is_that_of_the_episode_whatever_the_batching(monkeypatch, num_episodes):
    """More episodes than environments, so that a later wave begins anew."""
    monkeypatch.setattr(evaluation, "MAX_ENVS", 16)
    algorithm = fakes.remembers(SPEC)
    with evaluation.make_evaluator(TASK, algorithm) as evaluate:
        arguments = params(jnp.array([0.3, -0.2])), jax.random.key(0), [()]
        [result] = evaluate(*arguments, num_episodes)
        [fewer] = evaluate(*arguments, 2)
    np.testing.assert_allclose(result.returns[:2], fewer.returns)
    assert result.audit["late"] == 0.0  # memory begins with its episode
    # At step t the sum of rewards before it; the last reward is never told. Few
    # episodes may bring none.
    most = result.returns.mean()
    assert 0.0 < result.audit["rewards"] < most or num_episodes == 3 and most == 0.0
    assert result.audit["actions"] != 0.0


def test_rows_hold_score_and_audits():
    row = evaluation.to_row(play(3), TASK, ())
    expected = 100 * (row["return_mean"] - 23.85) / (161.86 - 23.85)
    np.testing.assert_allclose(row["normalized_score"], expected)
    assert row["episodes"] == 3 and row["support_z"] > 0


def test_rows_hold_every_audit():
    audit = {"support_z": 0.5, "bad_candidates": 0.25, "bad_set": 0.125, "other": 2.0}
    zero = np.zeros(2)
    row = evaluation.to_row(
        evaluation.EvalResult(zero, zero, None, audit, 1.0), TASK, ()
    )
    assert audit.items() <= row.items() and "violation_rate" not in row


def test_an_environment_may_report_successes_alone():
    """Where they are the score, a policy that never succeeds then has the rate 0."""
    zero = np.zeros(2)
    silent = evaluation.EvalResult(zero, zero, None, {}, 1.0)
    scored = dataclasses.replace(TASK, scored_by="success")
    assert evaluation.to_row(silent, scored, ())["success_rate"] == 0.0
    np.testing.assert_array_equal(silent.values(scored), zero)
    unscored = evaluation.to_row(silent, TASK, ())
    assert unscored["success_rate"] is None
    reported = unscored | {"success_rate": 0.5}
    assert results.of_seeds([unscored, reported], "success_rate") == [0.0, 0.5]
    assert results.of_seeds([unscored], "success_rate") is None


def test_finished_episodes_leave_the_batch():
    """Episodes end at their own times; each is counted once and in full."""

    class Short:
        """A gymnasium-like environment whose episodes last as long as its seed says."""

        def reset(self, seed):
            self.left = self.length = seed % 7 + 1
            return np.zeros(2, np.float32), {}

        def step(self, action):
            self.left -= 1
            return np.zeros(2, np.float32), 1.0, self.left == 0, False, {}

    import concurrent.futures
    import functools

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        environments = [Short() for _ in range(50)]
        tally = evaluation._run_wave(
            environments,
            np.arange(50),
            50,
            np.zeros(2),
            lambda numbers: (),
            lambda numbers, **inputs: (ActOutput(np.zeros((len(numbers), 2)), {}), ()),
            3,
            functools.partial(evaluation._map_slices, pool, 2),
            lambda: False,
        )
    lengths = [environment.length for environment in environments]
    np.testing.assert_array_equal(tally.returns, lengths)
    np.testing.assert_array_equal(tally.lengths, lengths)


def test_stopping_and_bad_input():
    with evaluation.make_evaluator(TASK, fakes.acts_by(noisy_act, SPEC)) as evaluate:
        arguments = (params(jnp.zeros(2)), jax.random.key(0), [()])
        with pytest.raises(evaluation.Cancelled):
            evaluate(*arguments, 2, lambda: True)
        for asked in (1, 2, 3, 4, 5):  # environments, resets, a step
            answers = iter([False] * (asked - 1))
            with pytest.raises(evaluation.Cancelled):
                evaluate(*arguments, 2, lambda left=answers: next(left, True))
        with pytest.raises(errors.UserError, match="at least 1"):
            evaluate(*arguments, 0)
        with pytest.raises(errors.UserError, match="lower --episodes"):
            evaluate(*arguments, 2**31)
        with pytest.raises(FloatingPointError, match="non-finite action at step 0"):
            evaluate(params(jnp.full(2, jnp.nan)), *arguments[1:], 2)
