"""One run proposes, another chooses."""

import json

import jax
import numpy as np
import pytest

import gem_jax
from experiments.lib import reevaluation
from gem_jax import errors, proposing

OBSERVATIONS = np.array([[1.0, 1.0, 0.0, 0.0], [3.0, 1.0, 0.5, 0.0]], np.float32)


@pytest.fixture(scope="module")
def cloned(run, tmp_path_factory):
    """A run of BC on the data of ``finished``, of one seed."""
    workdir = tmp_path_factory.mktemp("cloned")
    result = run(
        "train",
        *("--env=maze2d-umaze-v1", "--source=local", "--preset=smoke", "--algo=bc"),
        *("--steps=90", "--config.hidden_sizes=(16,16)", f"--workdir={workdir}"),
    )
    assert result.returncode == 0, result.stderr
    return workdir


def act(policy, **knobs):
    key, steps = jax.random.key(0), np.zeros(2, np.float32)
    return np.asarray(policy.with_knobs(**knobs).act(key, OBSERVATIONS, steps).action)


def test_a_policy_behind_itself_is_itself(finished):
    alone, behind = gem_jax.load(finished), proposing.load(finished, finished)
    np.testing.assert_allclose(act(behind), act(alone), rtol=1e-6)
    assert behind.diagnostics == alone.diagnostics


def test_the_proposers_action_is_all_there_is_without_an_anchor(finished, cloned):
    joint = proposing.load(finished, cloned, seed=1)
    cloning = act(gem_jax.load(cloned))
    np.testing.assert_allclose(act(joint, anchor="none"), cloning, rtol=1e-5)
    anchor = act(gem_jax.load(finished, seed=1), num_candidates=0)
    assert np.abs(anchor - cloning).max() > 1e-3
    np.testing.assert_allclose(act(joint, anchor_margin=1e9), anchor, rtol=1e-5)


def test_rows_name_both(run, finished, cloned, tmp_path):
    output = tmp_path / "rows.jsonl"
    result = run(
        "evaluate",
        *(f"--workdir={finished}", f"--proposer={cloned}", f"--output={output}"),
        *("--num_candidates=1", "--episodes=1"),
    )
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert {row["algo"] for row in rows} == {"gem behind bc"}
    assert [row["seed"] for row in rows] == [0, 1]
    alone, joint = (
        reevaluation.load(finished, proposer=proposer).origins()
        for proposer in (None, cloned)
    )
    assert alone[0]["settings"] in joint[0]["settings"] != alone[0]["settings"]


def test_what_does_not_fit_is_refused(finished, cloned):
    with pytest.raises(errors.UserError, match="bc cannot choose among"):
        proposing.load(cloned, finished)
    with pytest.raises(errors.UserError, match="has 2 seeds, and"):
        reevaluation.load(cloned, proposer=finished)
    with pytest.raises(errors.UserError, match="is --workdir a run folder"):
        proposing.load(finished, cloned / "nothing")
