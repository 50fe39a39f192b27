"""The bandit of eight modes, and the picture."""

import csv

import jax
import numpy as np
import pytest

from experiments.gallery import bandit, methods
from gem_jax.algorithm import Algorithm
from gem_jax.testing import fakes


def test_shares_by_hand():
    centers = bandit.centers()
    np.testing.assert_allclose(centers[bandit.REWARDED], 0.75 / np.sqrt(2) * np.ones(2))
    actions = np.concatenate(
        [
            np.repeat(centers[bandit.REWARDED][None], 4, 0),
            np.repeat(centers[:1] + [0.17, 0.0], 3, 0),  # nearer than 0.18
            np.repeat(centers[2:3] + [0.19, 0.0], 2, 0),  # not
            np.zeros((1, 2)),
        ]
    )
    expected = dict(rewarded=0.4, least=0.0, most=0.4, off_modes=0.3)
    assert bandit.shares(actions) == pytest.approx(expected)
    assert not bandit.shows_all_modes(actions)


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([2, 4, 2, 4, 4, 4, 4, 4], True),
        ([1, 4, 3, 4, 4, 4, 6, 6], False),  # 1/32 is less than half of 1/8
        ([2, 9, 3, 3, 3, 4, 4, 4], False),  # 9/32 is more than twice 1/8
    ],
)
def test_a_mode_is_shown_by_half_its_share(counts, shown):
    assert bandit.shows_all_modes(np.repeat(bandit.centers(), counts, 0)) == shown


def test_the_data_have_all_modes_and_one_is_rewarded():
    data = bandit.dataset(jax.random.key(0))
    found = bandit.shares(np.asarray(data.action))
    assert 0.1 < found["least"] <= found["most"] < 0.15 and found["off_modes"] < 0.03
    rewarded = np.asarray(data.action)[np.asarray(data.reward) == 1.0]
    assert bandit.shares(rewarded)["rewarded"] > 0.95
    assert 0.1 < np.mean(data.reward) < 0.15


def test_the_error_lies_far_from_the_modes():
    assert bandit.error(np.array(bandit.ERROR_CENTER)) > 2.9
    assert bandit.error(bandit.centers()).max() < 0.5


def test_a_corrupted_critic_finds_its_error_and_the_density_does_not():
    """Of proposals all over the box, by a GEM that has learned a little."""
    data = bandit.dataset(jax.random.key(0))
    (entry,) = (e for e in methods.ENTRIES if e.title == "gem")
    scorer = methods.train(entry, data, 300, seed=0)

    def propose(params, key, observation, n, knobs):
        return jax.random.uniform(key, (n, 2), minval=-1.0)

    anywhere = Algorithm(
        scorer.algorithm.spec, None, (), None, fakes.acts_by, propose=propose
    )
    proposer = methods.Trained(
        entry, None, anywhere, fakes.policy_params((), anywhere.spec)
    )
    far = {}
    for lam in (0.0, 30.0):
        chosen = methods.behind_a_corrupted_critic(proposer, scorer, 50, lam=lam)
        far[lam] = np.linalg.norm(chosen - bandit.ERROR_CENTER, axis=1).mean()
    assert far[0.0] < 0.3 < 0.5 < far[30.0]


def test_the_command(run, tmp_path):
    output = tmp_path / "gallery"
    result = run(
        "gallery",
        *(f"--output={output}", "--methods=bc", "--steps=3", "--actions=9"),
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "gallery.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((tmp_path / "gallery.csv").open()))
    assert {row["method"] for row in rows} == {"bc", "gem"}
    assert {row["row"] for row in rows} == {
        *("proposed", "executed", "by_value", "with_support")
    }


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--methods=nobody", "nobody is not in the gallery; there are bc, "),
        ("--output=/nowhere/at/all/gallery", "there is no folder /nowhere/at/all"),
    ],
)
def test_what_is_refused(run, flag, message):
    result = run("gallery", flag)
    assert result.returncode == 2 and message in result.stderr
