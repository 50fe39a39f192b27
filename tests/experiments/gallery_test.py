"""The bandit of eight modes, and the picture."""

import csv

import jax
import numpy as np
import pytest

from experiments.gallery import bandit


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


def test_the_command(run, tmp_path):
    output = tmp_path / "gallery"
    result = run(
        "gallery",
        *(f"--output={output}", "--methods=bc", "--steps=3", "--actions=9"),
    )
    assert result.returncode == 0, result.stderr
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(output.with_suffix(".csv").open()))
    assert {row["method"] for row in rows} == {"bc", "gem"}
    assert {row["row"] for row in rows} == {
        *("proposed", "executed", "by_value", "with_support")
    }
    of_bc = [row for row in rows if row["method"] == "bc"]
    assert len({tuple(row.values())[2:] for row in of_bc}) == 1  # one action whatever


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
