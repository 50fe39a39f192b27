"""Going on in the environment: what is collected, what a batch holds, taking up."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithms, errors
from gem_jax.algorithm import Algorithm, Online, Phase, act_by
from gem_jax.runs import going_online
from gem_jax.testing import fakes
from gem_jax.training import collecting, loop, online, rundir
from gem_jax.types import EnvSpec

SPEC = EnvSpec(observation_size=2, action_size=1, horizon=5)
RECORDED = 100.0  # reward of every recorded transition; the environment's are small


class Counting:
    """Shows (what the seed gave, steps so far); the third step of odd seeds ends it."""

    forgetful = False

    def reset(self, seed):
        self.begin, self.t = np.float64(seed % 1000), 0
        if self.forgetful:
            Counting.resets = getattr(Counting, "resets", 0) + 1
            self.begin += Counting.resets
        return np.array([self.begin, 0.0]), {}

    def step(self, action):
        self.t += 1
        terminated = self.begin % 2 == 1 and self.t == 3
        reward = int(self.t)  # environments give whole numbers too
        return np.array([self.begin, self.t]), reward, terminated, False, {}


def make_collector(
    seeds=(0, 1), log=lambda line: None, place=None, kind=Counting, spec=SPEC
):
    collector = collecting.Collector([kind() for _ in seeds], seeds, spec)
    start = collecting.nowhere(spec)
    start = jax.tree.map(lambda leaf: np.stack([leaf] * len(seeds)), start)
    collector.go_to(start if place is None else place, log)
    return collector


def number_of_step(observations, step):
    return np.full((len(observations), 1), step / 100.0, np.float32)


def test_steps_follow_each_other_over_the_ends_of_episodes():
    seen = make_collector().collect(number_of_step, 12, step=0)
    np.testing.assert_allclose(seen.action[0, :, 0], np.arange(12) / 100.0)
    for row in range(2):
        episode = seen.extras["episode"][row]
        assert episode[0] == 0 and set(np.diff(episode)) <= {0, 1}
        for number in range(episode[-1]):
            rows = np.flatnonzero(episode == number)
            odd = seen.observation[row, rows[0], 0] % 2 == 1
            assert len(rows) == (3 if odd else 5)  # its end, or the horizon
            np.testing.assert_array_equal(
                seen.reward[row, rows], 1.0 + np.arange(len(rows))
            )
            ends = np.zeros(len(rows))
            ends[-1] = odd
            np.testing.assert_array_equal(seen.terminal[row, rows], ends)
            np.testing.assert_array_equal(
                seen.next_observation[row, rows[:-1]], seen.observation[row, rows[1:]]
            )
    assert {0.0, 1.0} == set(seen.terminal.ravel()), "both kinds of ends are needed"


def test_taking_up_a_place_gives_what_would_have_followed():
    whole, cut = make_collector(), make_collector()
    whole.collect(number_of_step, 7, step=0)
    cut.collect(number_of_step, 7, step=0)
    again = make_collector(place=cut.place())
    expected = whole.collect(number_of_step, 9, step=7)
    jax.tree.map(
        np.testing.assert_array_equal, again.collect(number_of_step, 9, 7), expected
    )


def test_an_environment_that_does_not_repeat_itself_begins_another_episode():
    class Forgetful(Counting):
        forgetful = True

    first = make_collector((0,), kind=Forgetful)
    first.collect(number_of_step, 2, step=0)
    lines = []
    again = make_collector((0,), lines.append, first.place(), Forgetful)
    assert "seed 0: the environment does not repeat itself" in lines[0]
    assert again.place().episode == [1] and again.place().t == [0]


def test_an_environment_that_ends_before_its_place_begins_another_episode():
    class Shorter(Counting):
        def step(self, action):
            observation, reward, _, *rest = super().step(action)
            return observation, reward, self.t == 1, *rest

    first = make_collector((0,))
    first.collect(number_of_step, 2, step=0)
    lines = []
    again = make_collector((0,), lines.append, first.place(), Shorter)
    assert len(lines) == 1 and again.place().episode == [1]


@functools.cache  # with its programs
def tells_its_batches():
    """An algorithm whose metrics say what a batch held, and that learns nothing."""

    def update(state, key, batch, step):
        del key
        new = batch.reward < RECORDED / 2
        metrics = {
            "net/new": jnp.mean(new.astype(jnp.float32)),
            "net/least_reward": jnp.min(batch.reward),
            "net/step": step.astype(jnp.float32),
        }
        moved = state["net"] + jnp.sum(batch.reward) + jnp.sum(batch.observation)
        return {"net": moved}, metrics

    def prepare(state, key, dataset):
        del key
        return state, {"following": jnp.roll(dataset.action[:, 0], -1)}

    def explore(params, key, observation):
        del params, key
        return observation[1:] / 100.0  # the step inside the episode

    def init(key):
        del key
        return {"net": jnp.zeros(())}

    phase = Phase("policy", 4, 8, update, prepare)
    return Algorithm(
        SPEC,
        init,
        (phase,),
        lambda state: state,
        act_by(lambda params, observation: observation[1:]),
        normalize_observations=False,
        online=Online(explore, phase),
    )


@functools.cache
def recorded():
    data = fakes.random_transitions(jax.random.key(7), 16, SPEC)
    data = jax.tree.map(np.asarray, data)
    return data._replace(reward=np.full(16, RECORDED, np.float32))


def go_online(algorithm, settings, seeds=(0, 1), begin=None, data=None, **options):
    """Chunks, copied; from a chunk on, or from the end of the recorded data."""
    data = recorded() if data is None else data
    extended = online.with_phase(algorithm, settings.num_steps)
    keys = loop.seed_keys(seeds)
    if begin is None:
        state = loop.init(algorithm, keys)
        start = np.full(len(seeds), algorithm.num_steps, np.int32)
        fitted = loop.normalized(data, enabled=algorithm.normalize_observations)[1]
        repeated = jax.tree.map(lambda leaf: np.stack([leaf] * len(seeds)), fitted)
        state = state._replace(step=start, normalizer=repeated)
        rest = online.init(algorithm, settings, len(seeds))
    else:
        state, rest = begin.state, begin.rest
    state, rest = jax.tree.map(np.array, (state, rest))
    collector = make_collector(seeds, place=rest.place, **options)
    chunks = online.run(extended, keys, data, state, rest, collector, settings)
    return [jax.device_get(chunk) for chunk in chunks]


def test_batches_mix_what_was_recorded_with_what_is_new():
    settings = online.Settings(12, share=0.25, block=3, scale=2.0, shift=-7.0)
    chunks = go_online(tells_its_batches(), settings)
    assert [chunk.step for chunk in chunks] == [7, 10, 13, 16]
    assert chunks[-1].phase == online.PHASE and chunks[-1].phase_done
    metrics = {
        name: np.concatenate([chunk.metrics[name] for chunk in chunks], axis=1)
        for name in chunks[0].metrics
    }
    np.testing.assert_array_equal(metrics["net/new"], 0.25)
    np.testing.assert_array_equal(metrics["net/step"], [np.arange(12.0)] * 2)
    assert metrics["net/least_reward"].min() == 2.0 * 1 - 7.0
    # All that the replay holds, but for the one that waits for its successor.
    replay = chunks[-1].rest.replay
    assert list(replay.is_full) == [True, True]
    rewards = replay.experience.reward[:, 0]
    assert set(rewards.ravel()) <= {2.0 * t - 7.0 for t in range(1, 6)}


def test_new_transitions_know_what_follows_them():
    settings = online.Settings(12, share=1.0, block=4)
    chunks = go_online(tells_its_batches(), settings, seeds=(0,))
    experience = chunks[-1].rest.replay.experience
    following, action = experience.extras["following"][0, 0], experience.action[0, 0]
    np.testing.assert_array_equal(following[:-1], action[1:, 0])
    assert following[-1] == chunks[-1].rest.last.action[0, 0]


def test_updates_see_normalized_states_and_environments_raw_actions():
    boxed = SPEC._replace(action_low=(-2.0,), action_high=(4.0,))
    algorithm = tells_its_batches()._replace(spec=boxed, normalize_observations=True)
    settings = online.Settings(6, share=1.0, block=3)
    taken = []

    class Recording(Counting):
        def step(self, action):
            taken.append(action)
            return super().step(action)

    data = recorded()._replace(observation=2.0 + 3.0 * recorded().observation)
    fitted = loop.normalized(data)[1]
    assert np.abs(np.asarray(fitted.mean)).min() > 0.5
    first, second = go_online(
        algorithm, settings, (0,), data=data, kind=Recording, spec=boxed
    )
    experience = second.rest.replay.experience
    last, row = first.rest.last, jax.tree.map(lambda leaf: leaf[0, 0, 3], experience)
    for name in ("observation", "next_observation"):
        wanted = fitted(getattr(last, name))[0]
        np.testing.assert_allclose(getattr(row, name), wanted, rtol=1e-6)
    acted = experience.action[0, 0, :6, 0]
    # The middle of the box is 1, its half width 3.
    np.testing.assert_allclose(np.concatenate(taken)[:6], 1.0 + 3.0 * acted, rtol=1e-6)
    # The policy was asked about the normalized state.
    asked = np.clip(experience.observation[0, 0, :6, 1] / 100.0, -1.0, 1.0)
    np.testing.assert_allclose(acted, asked, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "net"),
    [
        ("iql", lambda state: state.actor),
        ("gem", lambda state: state.actor),
        ("idql", lambda state: state.behavior.trained),
    ],
)
def test_a_decayed_rate_is_whole_again_online(name, net):
    """After as many updates as the cosine has, the policy moves online alone."""
    algorithm = algorithms.make(name, algorithms.tiny_config(name), fakes.SPEC)
    state, batch = jax.jit(algorithm.init)(jax.random.key(0)), recorded_like(fakes.SPEC)
    late = jax.tree.map(
        lambda leaf: np.int32(leaf + 1000) if leaf.dtype == np.int32 else leaf,
        jax.tree.map(np.asarray, state),
    )
    for phase, moves in ((algorithm.phases[-1], False), (algorithm.online.phase, True)):
        key, step = jax.random.key(1), np.int32(0)
        new, _ = jax.jit(phase.update)(late, key, batch, step)
        before, after = (jax.tree.leaves(net(s).params) for s in (late, new))
        moved = any(
            np.any(a != np.asarray(b)) for a, b in zip(before, after, strict=True)
        )
        assert moved == moves


def recorded_like(spec):
    return fakes.random_transitions(jax.random.key(2), 8, spec)


def test_diffusion_ql_averages_its_policy_online_from_the_first_step():
    """The reference waits for the first thousand; those are behind it."""
    config = algorithms.tiny_config("diffusion_ql", averaging_start=1000)
    algorithm = algorithms.make("diffusion_ql", config, fakes.SPEC)
    state, batch = jax.jit(algorithm.init)(jax.random.key(0)), recorded_like(fakes.SPEC)
    for phase, moves in ((algorithm.phases[-1], False), (algorithm.online.phase, True)):
        new, _ = jax.jit(phase.update)(state, jax.random.key(1), batch, np.int32(0))
        leaves = (jax.tree.leaves(s.target_actor) for s in (state, new))
        moved = any(np.any(a != b) for a, b in zip(*leaves, strict=True))
        assert moved == moves


def test_an_environment_that_shows_no_number_is_blamed():
    class Broken(Counting):
        name = "Broken-v0"

        def step(self, action):
            observation, *rest = super().step(action)
            return observation * np.nan, *rest

    collector = make_collector((0,), kind=Broken)
    with pytest.raises(errors.UserError, match="environment Broken-v0 gave"):
        collector.collect(number_of_step, 1, step=0)


def test_what_is_kept_is_float32_where_jax_would_have_more():
    settings = online.Settings(12, share=0.5, block=3)
    with jax.enable_x64():
        kept = online.init(tells_its_batches(), settings, 1)
    floats = {x.dtype for x in jax.tree.leaves(kept) if x.dtype.kind == "f"}
    assert floats == {np.dtype(np.float32)}


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
@pytest.mark.parametrize(("num_steps", "line"), [(12, None), (13, 7)])
def test_taking_up_a_run_is_bit_exact(seeds, num_steps, line):
    settings = online.Settings(num_steps, share=0.5, block=3, line=line)
    algorithm = tells_its_batches()
    whole = go_online(algorithm, settings, seeds)
    again = go_online(algorithm, settings, seeds, begin=whole[1])
    for expected, chunk in zip(whole[2:], again, strict=True):
        jax.tree.map(np.testing.assert_array_equal, chunk, expected)


@pytest.mark.parametrize("name", going_online.able(fakes.SPEC))
def test_whoever_goes_online_explores_inside_the_box(name):
    algorithm = algorithms.make(name, algorithms.tiny_config(name), fakes.SPEC)
    params = jax.jit(lambda key: algorithm.actor_params(algorithm.init(key)))(
        jax.random.key(0)
    )
    keys = jax.random.split(jax.random.key(1), 32)
    explore = jax.jit(jax.vmap(algorithm.online.explore, in_axes=(None, 0, None)))
    actions = np.asarray(explore(params, keys, np.ones(3, np.float32)))
    assert actions.shape == (32, 2) and np.abs(actions).max() <= 1.0
    assert np.std(actions, axis=0).min() > 0.01


def test_room_for_more_steps_leaves_what_is_there():
    algorithm = tells_its_batches()
    few, many = (online.Settings(n, share=0.25, block=3) for n in (4, 6))
    progress = go_online(algorithm, few)[-1].rest
    assert online.make_room(algorithm, few, progress) is progress
    old = progress.replay
    assert list(old.is_full) == [True, True] and list(old.current_index) == [0, 0]
    new = online.make_room(algorithm, many, progress).replay
    assert list(new.is_full) == [False, False] and list(new.current_index) == [4, 4]
    for there, leaf in zip(
        *map(jax.tree.leaves, (old.experience, new.experience)), strict=True
    ):
        assert leaf.shape[2] == 6
        np.testing.assert_array_equal(leaf[:, :, :4], there)
        assert not leaf[:, :, 4:].any()
    half = progress._replace(replay=old.replace(is_full=old.is_full & False))
    assert list(online.make_room(algorithm, many, half).replay.current_index) == [0, 0]


def test_who_goes_online():
    named = {"awac", "cql", "edac", "gem", "iql", "rebrac", "sac_n", "td3_bc"}
    named |= {"diffusion_ql", "fql", "idql", "ifql"}
    assert named <= set(going_online.able(fakes.SPEC))
    assert not {"bc", "empo", "lom", "ssar"} & set(going_online.able(fakes.SPEC))


def test_blocks_are_cut_where_a_line_or_all_ends():
    settings = online.Settings(23, share=0.5, block=4, line=10)
    chunks = go_online(tells_its_batches(), settings, seeds=(0,))
    ends = [chunk.phase_step for chunk in chunks]
    assert ends == [4, 8, 10, 14, 18, 20, 23] and chunks[-1].phase_done
    steps = np.concatenate([chunk.metrics["net/step"][0] for chunk in chunks])
    np.testing.assert_array_equal(steps, np.arange(23.0))


@pytest.mark.parametrize(
    ("begun", "log_every", "block"),
    [
        (None, 997, 20),
        ({"num_steps": 997, "block": 20}, 1_000, 20),
        # Of versions that did not write it down.
        ({"num_steps": 50_000}, 1_000, 20),
        ({"num_steps": 90}, 30, 15),
        ({"num_steps": 7}, 5, 1),
    ],
)
def test_a_folder_keeps_the_blocks_that_it_has_begun_with(
    tmp_path, begun, log_every, block
):
    if begun:
        rundir.write_json(tmp_path / rundir.CONFIG, {"online": begun})
    assert going_online.block_size(tmp_path, log_every) == block


def test_a_folder_of_a_run_on_data_alone_is_refused(tmp_path):
    rundir.write_json(tmp_path / rundir.CONFIG, {"env": "maze2d-umaze-v1"})
    with pytest.raises(errors.UserError, match="holds a run on data alone"):
        going_online.block_size(tmp_path, 1_000)
