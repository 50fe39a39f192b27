"""Trying the candidates of a state: scripted episodes, the sums, the command."""

import csv
import dataclasses

import numpy as np
import pytest

from experiments.ranking import branches, report
from gem_jax.data import tasks
from gem_jax.envs.checked import CheckedEnv


def rows(seed, state, returns, scores):
    flat = dict(support=0.0, q_std=1.0)
    return [
        dict(seed=seed, state=state, lcb=-score, score=score, **flat) | {"return": got}
        for got, score in zip(returns, scores, strict=True)
    ]


def test_states_are_summed_up_one_by_one():
    """By hand: the first state ranks perfectly, the second chooses the worst."""
    found = report.ranked(
        [
            *rows(0, 0, [1.0, 2.0, 4.0], [0.1, 0.2, 0.9]),
            *rows(0, 1, [5.0, 3.0, 6.0], [0.2, 0.9, 0.1]),
            *rows(1, 1, [2.0, 2.0, 2.0], [0.3, 0.2, 0.1]),
        ]
    )
    np.testing.assert_allclose(found.correlations["score"], [1.0, -1.0, np.nan])
    np.testing.assert_allclose(found.correlations["lcb"], [-1.0, 1.0, np.nan])
    assert np.isnan(found.correlations["support"]).all()
    np.testing.assert_allclose(found.chosen, [3.0, -2.0, 0.0])
    np.testing.assert_allclose(found.best, [3.0, 1.0, 0.0])
    np.testing.assert_allclose(found.average, [4 / 3, -1 / 3, 0.0])


def test_the_summary_names_means_and_errors():
    text = report.summary(
        [*rows(0, 0, [1.0, 2.0], [0.0, 1.0]), *rows(0, 1, [1.0, 4.0], [0.0, 1.0])]
    )
    assert "score with the return: 1 +- 0 (2 states)" in text
    assert "the choice, less the anchor's: 2 +- 1 (2 states)" in text
    assert "support with the return: undefined" in text


def test_rewards_are_discounted_from_the_branch_on():
    episode = branches.Episode(
        np.zeros((4, 1)), np.zeros((4, 1)), np.array([9, 1, 2, 4])
    )
    assert branches.return_from(episode, 1, 0.5) == 1 + 1 + 1


def test_a_script_leads_back_to_the_same_state():
    """And what follows it is the policy's, from the step at which it ended."""
    task = dataclasses.replace(tasks.get("maze2d-umaze-v1"), horizon=12)
    environments = [CheckedEnv(task) for _ in range(2)]
    asked = []

    def act(observations, steps):
        asked.append(int(steps[0]))
        return np.tanh(observations[:, :2] - observations[:, 2:] - 1.0)

    nothing = np.zeros((0, 2))
    (whole,) = branches.play(environments, [5], [nothing], act)
    assert len(whole.rewards) == 12 and asked == list(range(12))
    asked.clear()
    script, other = whole.actions[:7], np.ones((3, 2))
    again, elsewhere = branches.play(environments, [5, 5], [script, other], act)
    for ours, theirs in zip(again, whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert asked == list(range(3, 12))
    np.testing.assert_array_equal(elsewhere.actions[:3], other)
    assert np.abs(elsewhere.observations[3] - whole.observations[3]).max() > 0.01
    for environment in environments:
        environment.close()


def test_every_candidate_of_every_state_is_tried(run, finished, tmp_path):
    output = tmp_path / "ranking.csv"
    flags = (f"--workdir={finished}", f"--output={output}", "--states=2")
    first = run("ranking", *flags, "--num_candidates=2")
    assert first.returncode == 0, first.stderr
    assert "the best candidate, less the anchor's" in first.stdout
    text = output.read_text()
    table = list(csv.DictReader(text.splitlines()))
    places = [
        tuple(int(row[c]) for c in ("seed", "state", "candidate")) for row in table
    ]
    assert places == [(s, i, c) for s in (0, 1) for i in (0, 1) for c in (0, 1, 2)]
    assert all(np.isfinite(float(row[name])) for row in table for name in report.SCORES)
    again = run("ranking", *flags, "--num_candidates=2")
    assert again.returncode == 0 and output.read_text() == text


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--anchor=none", "nothing to compare"),
        ("--states=0", "--states must be at least 1"),
    ],
)
def test_what_cannot_be_ranked(run, finished, flag, message):
    result = run("ranking", f"--workdir={finished}", flag)
    assert result.returncode == 2 and message in result.stderr
