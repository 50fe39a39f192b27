"""Trying the candidates of a state: scripted episodes, the sums, the command."""

import csv
import dataclasses

import jax
import numpy as np
import pytest

import gem_jax
from experiments.ranking import branches, report, trying
from gem_jax import errors
from gem_jax.data import tasks


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
    assert "score with the discounted return: 1 +- 0 (2 states)" in text
    assert "the choice, less the anchor's: 2 +- 1 (2 states)" in text
    assert "support with the discounted return: undefined" in text


def test_rewards_are_discounted_from_the_branch_on():
    rewards = np.array([9.0, 1.0, 2.0, 4.0])
    episode = branches.Episode(np.zeros((4, 1)), np.zeros((4, 1)), rewards)
    assert episode.return_from(1, 0.5) == 1 + 1 + 1


def test_a_script_leads_back_to_the_same_state():
    """And what follows it is the policy's, from the step at which it ended."""
    task = dataclasses.replace(tasks.get("maze2d-umaze-v1"), horizon=12)
    asked = []

    def act(observations, t):
        asked.append(t)
        return np.tanh(observations[:, :2] - observations[:, 2:] - 1.0)

    with branches.make_player(task) as play:
        (whole,) = play([5], [np.zeros((0, 2))], act)
        assert len(whole.rewards) == 12 and asked == list(range(12))
        asked.clear()
        script, other = whole.actions[:7], np.ones((3, 2))
        again, elsewhere = play([5, 5], [script, other], act)
    for ours, theirs in zip(again, whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert asked == list(range(3, 12))
    np.testing.assert_array_equal(elsewhere.actions[:3], other)
    assert np.abs(elsewhere.observations[3] - whole.observations[3]).max() > 0.01


@pytest.fixture(scope="module")
def ranking(run, finished, tmp_path_factory):
    """Flags of a small ranking, and the lines of its table."""
    output = tmp_path_factory.mktemp("new") / "folder" / "ranking.csv"
    flags = (f"--workdir={finished}", f"--output={output}", "--states=3")
    flags += ("--num_candidates=2",)
    result = run("ranking", *flags)
    assert result.returncode == 0, result.stderr
    assert "the best candidate, less the anchor's" in result.stdout
    return flags, output


def read(output):
    return list(csv.DictReader(output.read_text().splitlines()))


def test_every_candidate_of_every_state_has_its_row(ranking):
    table = read(ranking[1])
    places = [
        tuple(int(row[c]) for c in ("seed", "state", "candidate")) for row in table
    ]
    assert places == [(s, i, c) for s in (0, 1) for i in range(3) for c in range(3)]
    numbers = [float(row[name]) for row in table for name in ("score", "lcb", "q_std")]
    assert np.isfinite(numbers).all()
    assert len({row["lcb"] for row in table}) == len(table)  # none is drawn twice


class Playing:
    """Plays nothing: episodes of three steps, then what each script asks for."""

    def __init__(self, policy, leads_elsewhere=False):
        self.asked, self.leads_elsewhere = [], leads_elsewhere
        self.anchor = policy.with_knobs(num_candidates=0)

    def __call__(self, seeds, scripts, act):
        self.asked.append((list(seeds), scripts))
        if len(self.asked) == 1:
            return [self._episode(0, np.full((3, 2), 0.25)) for seed in seeds]
        seen = np.ones((1, 4), np.float32)
        wanted = self.anchor.act(jax.random.key(0), seen).action
        np.testing.assert_allclose(act(seen, 2), wanted, rtol=1e-5)
        first = int(self.leads_elsewhere)
        return [self._episode(first, script) for script in scripts]

    def _episode(self, first, actions):
        observations = np.full((len(actions), 4), first, np.float32)  # all alike
        rewards = actions[:, 0] + np.arange(len(actions))
        return branches.Episode(observations, actions, rewards)


def test_a_row_is_what_its_candidate_leads_to(finished):
    policy = gem_jax.load(finished).with_knobs(num_candidates=2)
    playing, judge = Playing(policy), trying.make_judge(policy)
    groups = list(trying.try_all(playing, judge, policy, 2, 0, discount=0.5))
    (resets, _), *branched = playing.asked
    assert len(groups) == len(branched) == 2
    lcbs = set()
    for reset, rows, (seeds, scripts) in zip(resets, groups, branched, strict=True):
        t = rows[0]["t"]
        assert seeds == [reset] * 3 and [row["candidate"] for row in rows] == [0, 1, 2]
        for row, script in zip(rows, scripts, strict=True):
            assert len(script) == t + 1 and (script[:t] == 0.25).all()
            assert row["return"] == pytest.approx(script[t, 0] + t)
            lcbs.add(row["lcb"])
        assert len({script[t, 0] for script in scripts}) == 3  # one for each candidate
    assert len(lcbs) == 5  # the anchor, and nothing is drawn twice


def test_an_environment_that_does_not_repeat_itself(finished):
    policy = gem_jax.load(finished).with_knobs(num_candidates=1)
    playing = Playing(policy, leads_elsewhere=True)
    tried = trying.try_all(playing, trying.make_judge(policy), policy, 1, 0, 0.9)
    with pytest.raises(errors.UserError, match="does not repeat itself"):
        next(tried)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--anchor=none",), "nothing to compare the choice with"),
        (("--top_m=2",), "add --top_m=1"),
        (("--states=0",), "states"),
        (("--output=LOG",), "choose another --output"),
    ],
)
def test_what_cannot_be_ranked(run, finished, tmp_path, flags, message):
    (tmp_path / "log").write_text("mine\n")
    flags = [flag.replace("LOG", str(tmp_path / "log")) for flag in flags]
    result = run("ranking", f"--workdir={finished}", *flags)
    assert result.returncode == 2 and message in result.stderr
    assert (tmp_path / "log").read_text() == "mine\n"


def test_a_method_without_scores_is_refused(finished):
    policy = gem_jax.load(finished)
    unscored = dataclasses.replace(
        policy, algorithm=policy.algorithm._replace(judge=None)
    )
    with pytest.raises(errors.UserError, match="scores no candidates"):
        trying.make_judge(unscored)
