"""GEM's own promises: what it reduces to, what its parts do, what its knobs change."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithms
from gem_jax.algorithms import gem, iql
from gem_jax.algorithms.gem import state as state_module
from gem_jax.networks import bundle, critic
from gem_jax.testing import fakes

SMALL = dict(
    num_steps=10,
    batch_size=16,
    hidden_sizes=(16, 16),
    behavior_steps=5,
    behavior_batch_size=16,
    num_components=3,
    behavior_components=3,
    num_critics=3,
    num_candidates=7,
)


def make(**changes):
    return algorithms.make("gem", gem.Config(**SMALL | changes), fakes.SPEC)


@pytest.fixture(scope="module")
def state():
    """Before training, of all algorithms here that differ in no network."""
    return jax.jit(make().init)(jax.random.key(0))


def test_one_component_two_critics_no_samples_is_iql(key):
    shared = dict(num_steps=10, batch_size=16, hidden_sizes=(16, 16), num_critics=2)
    bounds = dict(log_std_min=-5.0, log_std_max=2.0)
    plain = iql.make(iql.Config(**shared, **bounds), fakes.SPEC)
    guided = make(
        **shared, **bounds, num_components=1, num_candidates=0, gating_entropy=0.0
    )
    batch = fakes.random_transitions(key, 16)
    plain_state, guided_state = (jax.jit(a.init)(key) for a in (plain, guided))
    guided_state = dataclasses.replace(
        guided_state, actor=plain_state.actor, values=plain_state.values
    )
    plain_update = jax.jit(plain.phases[0].update)
    guided_update = jax.jit(guided.phases[1].update)
    for _ in range(3):
        plain_state, expected = plain_update(plain_state, key, batch, 0)
        guided_state, got = guided_update(guided_state, key, batch, 0)
        for metric, value in expected.items():
            np.testing.assert_allclose(got[metric], value, rtol=1e-5, err_msg=metric)
    observation = jnp.array([0.3, -0.2, 1.0])
    actions = [
        act(a, a.actor_params(s), key, observation, a.knobs).action
        for a, s in [(plain, plain_state), (guided, guided_state)]
    ]
    np.testing.assert_allclose(actions[0], actions[1], rtol=1e-5)


def changed_parts(before, after):
    return {
        part
        for part in ("actor", "behavior", "values")
        if any(
            not np.array_equal(a, b)
            for a, b in zip(
                jax.tree.leaves(getattr(before, part)),
                jax.tree.leaves(getattr(after, part)),
                strict=True,
            )
        )
    }


def test_an_unfrozen_behavior_learns_in_both_phases(key, state):
    algorithm = make(behavior_freeze=False)
    batch = fakes.random_transitions(key, 16)
    pretrained, _ = jax.jit(algorithm.phases[0].update)(state, key, batch, 0)
    assert changed_parts(state, pretrained) == {"behavior"}
    trained, _ = jax.jit(algorithm.phases[1].update)(pretrained, key, batch, 0)
    assert changed_parts(pretrained, trained) == {"actor", "values", "behavior"}


def test_target_critic_follows_by_polyak(key, state):
    """An update first moves the target towards the critic that the last one left."""
    algorithm = make(polyak=0.25)
    batch = fakes.random_transitions(key, 16)
    update = jax.jit(algorithm.phases[1].update)
    first, _ = update(state, key, batch, 0)
    second, _ = update(first, key, batch, 1)
    jax.tree.map(
        lambda old, online, target: np.testing.assert_allclose(
            target, 0.75 * old + 0.25 * online, rtol=1e-5, atol=1e-7
        ),
        first.values.target_critic,
        first.values.critic.params,
        second.values.target_critic,
    )
    moved = jax.tree.map(
        lambda old, new: np.any(np.asarray(old != new)),
        first.values.target_critic,
        second.values.target_critic,
    )
    assert any(jax.tree.leaves(moved))


def test_advantages_in_units_of_the_data(key, state):
    """They weigh as in units of return under beta over their deviation."""
    batch = fakes.random_transitions(key, 16)

    def actor_after(**changes):
        algorithm = make(**changes)
        update = jax.jit(algorithm.phases[1].update)
        updated, metrics = update(state, key, batch, jnp.int32(0))
        return updated.actor.params, metrics

    of_data, metrics = actor_after(advantage_unit="data", beta=2.0)
    std = float(np.std(_advantages(state.values, batch)))
    np.testing.assert_allclose(metrics["scales/advantage_std"], std, rtol=1e-4)
    of_reward, _ = actor_after(beta=2.0 / std)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        *(of_data, of_reward),
    )
    plain, _ = actor_after(beta=2.0)
    assert any(
        np.abs(a - b).max() > 1e-4
        for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(of_data), strict=True)
    )


def _advantages(state, batch):
    """Least target Q less V, before any update."""
    values = state_module.make_parts(gem.Config(**SMALL), fakes.SPEC).values
    q = jax.jit(values.apply)(state.critic.params, batch.observation, batch.action)
    v = jax.jit(values.apply_value)(state.value.params, batch.observation)
    return np.min(q, axis=0) - np.asarray(v)


def test_value_losses_against_numpy(key, state):
    """Eq. 60-66 with the networks' outputs read off and the formulas in float64."""
    algorithm = make(discount=0.9, expectile=0.8)
    batch = fakes.random_transitions(key, 16)
    _, metrics = jax.jit(algorithm.phases[1].update)(state, key, batch, 0)
    q_net = bundle.ensemble(bundle.from_module(critic.Critic((16, 16))), 3)
    v_net = bundle.from_module(critic.Value((16, 16)))
    values = state.values
    q = np.asarray(
        q_net.apply(values.critic.params, batch.observation, batch.action), np.float64
    )
    v = np.asarray(v_net.apply(values.value.params, batch.observation), np.float64)
    v_next = np.asarray(v_net.apply(values.value.params, batch.next_observation))
    target = np.asarray(batch.reward) + 0.9 * (1 - np.asarray(batch.terminal)) * v_next
    residual = q.min(0) - v  # the target ensemble equals the online one at the start
    v_loss = np.mean(np.abs(0.8 - (residual < 0)) * residual**2)
    np.testing.assert_allclose(
        metrics["critic/loss"], np.mean((q - target) ** 2), rtol=1e-4
    )
    np.testing.assert_allclose(metrics["value/loss"], v_loss, rtol=1e-4)
    weight = np.minimum(np.exp(3.0 * residual), 100.0)
    np.testing.assert_allclose(metrics["actor/weight"], weight.mean(), rtol=1e-4)


def act(algorithm, params, key, observation, knobs, t=0):
    return jax.jit(algorithm.act)(params, key, observation, jnp.int32(t), knobs)


def changed(knobs, **changes):
    return dataclasses.replace(knobs, **changes)


def test_lambda_follows_the_step_and_traced_knobs_do_not_recompile(key, state):
    algorithm = make(lambda_start=100.0, lambda_end=0.0, horizon=10, num_candidates=50)
    params = algorithm.actor_params(state)
    traces = []

    @jax.jit
    def jitted(key, t, knobs):
        traces.append(None)
        return algorithm.act(params, key, jnp.ones(3), jnp.int32(t), knobs)

    z = [
        np.mean(
            [
                jitted(jax.random.key(i), t, algorithm.knobs).audit["support_z"]
                for i in range(20)
            ]
        )
        for t in (0, 10)
    ]
    assert z[0] > z[1] + 0.3  # all support at first, none at the end
    jitted(key, 5, changed(algorithm.knobs, kappa=3.0, lambda_end=1.0, temperature=0.5))
    assert len(traces) == 1


def test_act_follows_the_deployed_critic(key, state):
    """The target rates every action opposite to the online ensemble."""
    online = state.values.critic.params
    head = online["params"]["Dense_0"]
    opposite = jax.tree.map(jnp.negative, head)
    target = {"params": {**online["params"], "Dense_0": opposite}}
    values = dataclasses.replace(state.values, target_critic=target)
    state = dataclasses.replace(state, values=values)
    knobs = dict(num_candidates=32, kappa=0.0, lambda_schedule="constant", lambda_end=0)
    observation = jnp.array([0.3, -0.2, 1.0])
    choice = {}
    for deployed in ("online", "target"):
        algorithm = make(deploy_critic=deployed, **knobs)
        params = algorithm.actor_params(state)
        choice[deployed] = act(
            algorithm, params, key, observation, algorithm.knobs
        ).action
    q_net = bundle.ensemble(bundle.from_module(critic.Critic((16, 16))), 3)
    q = {
        name: q_net.apply(online, observation, action[None]).mean()
        for name, action in choice.items()
    }
    assert q["target"] < q["online"]


@pytest.mark.parametrize("static", [{}, {"top_m": 3, "value_scale": "zscore"}])
def test_candidates_by_chunks_lead_to_the_same_choice(key, state, static):
    algorithm = make(num_candidates=40, **static)
    params = algorithm.actor_params(state)
    observation = jnp.array([0.3, -0.2, 1.0])
    whole, parts = (
        act(algorithm, params, key, observation, changed(algorithm.knobs, **chunk))
        for chunk in ({"chunk_size": 1000}, {"chunk_size": 7})
    )
    np.testing.assert_allclose(parts.action, whole.action, rtol=1e-5, atol=1e-6)
    for name, value in whole.audit.items():
        np.testing.assert_allclose(parts.audit[name], value, rtol=1e-4, atol=1e-5)


def test_critics_in_bfloat16_do_their_hidden_products_in_it(key):
    algorithm = make(hidden_sizes=(64, 64), num_candidates=40)
    params = algorithm.actor_params(jax.jit(algorithm.init)(key))
    inputs = (params, key, jnp.array([0.3, -0.2, 1.0]), jnp.int32(0))
    for dtype, short in {"float32": "f32", "bfloat16": "bf16"}.items():
        knobs = changed(algorithm.knobs, critic_dtype=dtype)
        text = str(jax.make_jaxpr(algorithm.act)(*inputs, knobs))
        assert f"{short}[3,41,64] = dot_general" in text
        assert ("bf16" in text) == (dtype == "bfloat16")
        chosen = jax.eval_shape(algorithm.act, *inputs, knobs)
        assert chosen.action.dtype == jnp.float32


def test_activations_of_many_candidates_do_not_exist_at_once(key):
    algorithm = make(hidden_sizes=(64, 64), num_candidates=20_000)
    params = jax.eval_shape(lambda k: algorithm.actor_params(algorithm.init(k)), key)
    inputs = (params, key, jnp.zeros(3), jnp.int32(0), algorithm.knobs)
    memory = jax.jit(algorithm.act).lower(*inputs).compile().memory_analysis()
    one_layer = 3 * 20_000 * 64 * 4  # bytes, of all members and candidates
    assert memory.temp_size_in_bytes < one_layer / 3


@pytest.mark.parametrize(
    "changes",
    [
        {"expectile": 1.0},
        {"deploy_critic": "newest"},
        {"advantage_unit": "meter"},
        {"kappa": -1.0},
        {"lambda_schedule": "linear"},
        {"num_candidates": -3},
        {"top_m": 99},
        {"num_components": 0},
    ],
)
def test_bad_settings_name_the_field(changes):
    (field,) = changes
    named = "schedule" if field == "lambda_schedule" else field
    with pytest.raises(ValueError, match=named):
        gem.Config(**SMALL | changes)
