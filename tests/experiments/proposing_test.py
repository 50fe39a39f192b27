"""One run proposes, another chooses."""

import dataclasses
import json
import shutil

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


def test_a_policy_that_chooses_among_its_own_samples_is_itself(finished):
    alone, joint = gem_jax.load(finished), proposing.load(finished, finished)
    np.testing.assert_allclose(act(joint), act(alone), rtol=1e-6)
    assert joint.diagnostics == alone.diagnostics


def test_another_seed_proposes_with_its_own_weights(finished):
    """The best of one sample is that sample."""
    other = gem_jax.load(finished, seed=1)
    joint = proposing.load(finished, finished, proposer_seed=1)
    knobs = dict(anchor="none", num_candidates=1)
    np.testing.assert_allclose(act(joint, **knobs), act(other, **knobs), rtol=1e-5)


def test_seeds_of_two_runs_go_together(finished):
    pairs = reevaluation.load(finished, proposer=finished).policies
    found = [act(joint, anchor="none", num_candidates=1) for joint in pairs]
    for seed, action in enumerate(found):
        alone = act(gem_jax.load(finished, seed=seed), anchor="none", num_candidates=1)
        np.testing.assert_allclose(action, alone, rtol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_the_proposers_action_is_all_there_is_without_an_anchor(finished, cloned):
    joint = proposing.load(finished, cloned, seed=1)
    assert joint.knobs.num_candidates == 1
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
        "--episodes=1",
    )
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert {row["algo"] for row in rows} == {"gem choosing among bc"}
    assert [row["seed"] for row in rows] == [0, 1]


def test_rows_of_other_proposers_are_others(finished, cloned):
    run = reevaluation.load(finished, proposer=finished)
    assert run.proposer.places == (0, 1)  # seed by seed
    names = {row["settings"] for row in run.origins()}
    assert len(names) == 2  # they end with the proposers' seeds
    for changed in (
        dataclasses.replace(run.proposer, step=1),
        dataclasses.replace(run.proposer, places=(1, 0)),
    ):
        other = dataclasses.replace(run, proposer=changed)
        assert other.origins() != run.origins()
    assert reevaluation.load(finished, proposer=cloned).proposer.places == (0, 0)


def test_sweep_takes_a_proposer(run, finished, cloned):
    """Two candidates of a policy that has one are refused; the flag has arrived."""
    result = run("sweep", f"--workdir={finished}", f"--proposer={cloned}", "--top_m=3")
    assert result.returncode == 2
    assert "top_m must be between 1 and the 2" in result.stderr


@pytest.mark.parametrize("name", ["candidates", "temperature", "denoise_steps"])
def test_knobs_of_ones_own_samples_are_refused(finished, cloned, name):
    run = reevaluation.load(finished, proposer=cloned)
    with pytest.raises(errors.UserError, match=f"{name} shapes a policy's own"):
        run.with_knobs({name: 1})


def test_what_does_not_fit_is_refused(run, finished, cloned, tmp_path):
    with pytest.raises(errors.UserError, match="bc cannot choose among"):
        proposing.load(cloned, finished)
    with pytest.raises(errors.UserError, match="has 2 seeds, and"):
        reevaluation.load(cloned, proposer=finished)
    with pytest.raises(errors.UserError, match="is it a run folder"):
        proposing.load(finished, tmp_path)
    with pytest.raises(errors.UserError, match="bc proposes one action"):
        act(proposing.load(finished, cloned), num_candidates=2)
    elsewhere = shutil.copytree(cloned, tmp_path / "elsewhere")
    config = elsewhere / "config.json"
    config.write_text(
        config.read_text().replace('"maze2d-umaze-v1"', '"maze2d-large-v1"')
    )
    with pytest.raises(errors.UserError, match="was trained on maze2d-large-v1"):
        proposing.load(finished, elsewhere)
    result = run("evaluate", f"--workdir={finished}", "--proposer=")
    assert result.returncode == 2 and "--proposer is empty" in result.stderr
