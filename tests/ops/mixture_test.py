"""The mixture against a brute-force sum and the paper's identities."""

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest

import gem_jax.ops.mixture

mixture = programs.whole(gem_jax.ops.mixture)


def random_mixture(key, batch_shape=(), components=3, size=2):
    keys = jax.random.split(key, 3)
    shape = (*batch_shape, components)
    return mixture.Mixture(
        logits=jax.random.normal(keys[0], shape),
        means=jax.random.uniform(keys[1], (*shape, size), minval=-1.0),
        log_stds=0.5 * jax.random.normal(keys[2], (*shape, size)) - 1.0,
    )


def brute_force_log_prob(parameters, action):
    """A float64 sum of Gaussians, written as the definition."""
    logits, means, log_stds = (np.asarray(x, np.float64) for x in parameters)
    weights = np.exp(logits) / np.exp(logits).sum()
    density = 0.0
    for weight, mean, log_std in zip(weights, means, log_stds, strict=True):
        variance = np.exp(2 * log_std)
        norm = np.prod(2 * np.pi * variance) ** -0.5
        density += (
            weight * norm * np.exp(-0.5 * np.sum((action - mean) ** 2 / variance))
        )
    return np.log(density)


def test_log_prob_is_the_sum_of_gaussians(key):
    parameters = random_mixture(key)
    action = np.array([0.3, -0.8])
    got = mixture.log_prob(parameters, jnp.asarray(action))
    np.testing.assert_allclose(got, brute_force_log_prob(parameters, action), rtol=1e-5)


def exact_log_prob(parameters, actions):
    """float64 by the definition, in logarithms: densities of e^-1e6 count."""
    logits, means, log_stds = (np.asarray(x, np.float64) for x in parameters)
    z = (np.asarray(actions, np.float64)[:, None] - means) / np.exp(log_stds)
    normal = -0.5 * z**2 - log_stds - 0.5 * np.log(2 * np.pi)
    log_weights = logits - np.logaddexp.reduce(logits)
    return np.logaddexp.reduce(log_weights + normal.sum(-1), axis=-1)


@pytest.mark.parametrize("log_std", [-5.0, -1.0, 2.0])
@pytest.mark.parametrize("spread", [0.003, 1.0, 100.0])
def test_log_prob_of_a_set_against_float64(key, log_std, spread):
    """From the means to far away; a float's own spacing is all that may be lost."""
    parameters = random_mixture(key, components=4, size=8)
    parameters = parameters._replace(log_stds=jnp.full((4, 8), log_std))
    noise = spread * jax.random.normal(jax.random.key(1), (50, 8))
    actions = parameters.means[jnp.arange(50) % 4] + noise
    got = mixture.log_prob_of_set(parameters, actions)
    assert got.shape == (50,)
    expected = exact_log_prob(parameters, actions)
    np.testing.assert_allclose(got, expected, atol=1e-4, rtol=1e-6)


def test_log_prob_of_a_set_has_the_gradient_of_single_actions(key):
    parameters = random_mixture(key)
    actions = jax.random.normal(jax.random.key(1), (6, 2))

    def gradient(log_probs):
        return jax.jit(jax.grad(lambda p: log_probs(p, actions).sum()))(parameters)

    got = gradient(mixture.log_prob_of_set)
    expected = gradient(jax.vmap(mixture.log_prob, in_axes=(None, 0)))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), got, expected
    )
    with pytest.raises(ValueError, match=r"actions must be \(6, 2\) .* got \(6, 3\)"):
        mixture.log_prob_of_set(parameters, jnp.zeros((6, 3)))


def test_responsibilities_are_posterior_weights(key):
    parameters = random_mixture(key)
    gamma = mixture.responsibilities(parameters, jnp.array([0.1, 0.2]))
    joint = mixture.log_joint(parameters, jnp.array([0.1, 0.2]))
    np.testing.assert_allclose(gamma, np.exp(joint) / np.exp(joint).sum(), rtol=1e-5)


def test_detached_elbo_has_the_gradient_of_the_log_density(key):
    parameters = random_mixture(key)
    action = jnp.array([0.3, -0.8])
    elbo = jax.jit(jax.grad(lambda p: mixture.loose_elbo(p, action)))(parameters)
    density = jax.jit(jax.grad(lambda p: mixture.log_prob(p, action)))(parameters)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        elbo,
        density,
    )


def test_elbo_differs_from_the_log_density_by_the_entropy(key):
    parameters = random_mixture(key)
    action = jnp.array([0.3, -0.8])
    gamma = mixture.responsibilities(parameters, action)
    entropy = -jnp.sum(gamma * jnp.log(gamma))
    np.testing.assert_allclose(
        mixture.loose_elbo(parameters, action) + entropy,
        mixture.log_prob(parameters, action),
        rtol=1e-5,
    )


def test_undetached_elbo_follows_its_formula(key):
    parameters = random_mixture(key)
    action = jnp.array([0.3, -0.8])
    got = jax.jit(jax.grad(lambda p: mixture.loose_elbo(p, action, detach=False)))(
        parameters
    )
    joint = mixture.log_joint(parameters, action)
    gamma = mixture.responsibilities(parameters, action)
    weights = gamma * (1.0 + joint - jnp.sum(gamma * joint))
    expected = jax.jit(
        jax.grad(lambda p: jnp.sum(weights * mixture.log_joint(p, action)))
    )(parameters)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        got,
        expected,
    )


@pytest.mark.parametrize("log_std", [-5.0, 2.0])
@pytest.mark.parametrize("distance", [0.0, 1.0, 1e4])
def test_far_actions_and_clamped_scales_stay_finite(log_std, distance):
    parameters = mixture.Mixture(
        logits=jnp.array([0.0, -200.0]),
        means=jnp.array([[0.5, 0.5], [-0.5, -0.5]]),
        log_stds=jnp.full((2, 2), log_std),
    )
    action = jnp.full(2, distance)
    value, grads = jax.jit(jax.value_and_grad(mixture.log_prob))(parameters, action)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


def test_gating_entropy_of_equal_and_of_certain_weights():
    def entropy(logits):
        parameters = mixture.Mixture(logits, jnp.zeros((4, 1)), jnp.zeros((4, 1)))
        return mixture.gating_entropy(parameters)

    np.testing.assert_allclose(entropy(jnp.zeros(4)), np.log(4.0), rtol=1e-6)
    certain = jnp.array([0.0, -jnp.inf, -jnp.inf, -jnp.inf])
    assert entropy(certain) == 0.0


def test_mode_and_mean_by_hand():
    parameters = mixture.Mixture(
        logits=jnp.log(jnp.array([0.25, 0.75])),
        means=jnp.array([[1.0], [-1.0]]),
        log_stds=jnp.zeros((2, 1)),
    )
    np.testing.assert_allclose(mixture.mode_mean(parameters), [-1.0])
    np.testing.assert_allclose(mixture.mean(parameters), [-0.5], rtol=1e-6)


def test_samples_have_the_moments_of_the_mixture(key):
    parameters = mixture.Mixture(
        logits=jnp.log(jnp.array([0.2, 0.8])),
        means=jnp.array([[-0.5], [0.5]]),
        log_stds=jnp.log(jnp.array([[0.1], [0.2]])),
    )
    samples = mixture.sample(key, parameters, 50_000)
    mean = 0.2 * -0.5 + 0.8 * 0.5
    second = 0.2 * (0.25 + 0.01) + 0.8 * (0.25 + 0.04)
    np.testing.assert_allclose(samples.mean(), mean, atol=0.01)
    np.testing.assert_allclose(samples.var(), second - mean**2, atol=0.01)


def test_each_component_is_drawn_by_its_weight(key):
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    parameters = mixture.Mixture(
        logits=jnp.log(jnp.asarray(weights, jnp.float32)),
        means=jnp.arange(4.0)[:, None],
        log_stds=jnp.full((4, 1), -5.0),
    )
    samples = np.asarray(mixture.sample(key, parameters, 20_000))[:, 0]
    drawn = np.bincount(np.round(samples).astype(int), minlength=4) / 20_000
    np.testing.assert_allclose(drawn, weights, atol=0.015)


def test_only_mode_samples_the_heaviest_component(key):
    parameters = mixture.Mixture(
        logits=jnp.array([0.0, 0.1, -1.0]),
        means=jnp.array([[-0.9], [0.0], [0.9]]),
        log_stds=jnp.full((3, 1), -4.0),
    )
    samples = mixture.sample(key, mixture.only_mode(parameters), 200)
    assert np.abs(samples).max() < 0.2


def test_temperature_scales_the_spread(key):
    parameters = mixture.Mixture(jnp.zeros(1), jnp.zeros((1, 1)), jnp.zeros((1, 1)))
    wide = mixture.sample(key, parameters, 100)
    narrow = mixture.sample(key, parameters, 100, temperature=0.25)
    np.testing.assert_allclose(narrow, 0.25 * wide, rtol=1e-6)


def test_wrong_action_size_is_named(key):
    with pytest.raises(ValueError, match=r"action must be \(2,\) .* got \(3,\)"):
        mixture.log_prob(random_mixture(key), jnp.zeros(3))


@pytest.mark.parametrize(
    "function",
    [
        mixture.component_log_prob,
        mixture.log_joint,
        mixture.log_prob,
        mixture.responsibilities,
        mixture.loose_elbo,
        lambda parameters, action: mixture.gating_entropy(parameters),
        lambda parameters, action: mixture.mode_component(parameters),
        lambda parameters, action: mixture.mode_mean(parameters),
        lambda parameters, action: mixture.mean(parameters),
    ],
)
def test_a_batch_is_its_rows(key, function):
    parameters = random_mixture(key, (4, 5), components=3, size=2)
    actions = jax.random.normal(key, (4, 5, 2))
    found = function(parameters, actions)
    for place in [(0, 0), (3, 4), (1, 2)]:
        row = function(
            *jax.tree.map(lambda leaf, at=place: leaf[at], (parameters, actions))
        )
        np.testing.assert_allclose(found[place], row, rtol=1e-5, atol=1e-6)


def test_a_step_towards_the_mode_by_the_formula(key):
    parameters = random_mixture(key)
    action = np.array([0.3, -0.8])
    logits, means, log_stds = (np.asarray(x, np.float64) for x in parameters)
    precision = np.exp(-2 * log_stds)
    normal = -0.5 * (action - means) ** 2 * precision - log_stds
    gamma = np.exp(logits + normal.sum(-1))
    gamma = (gamma / gamma.sum())[:, None]
    expected = (gamma * precision * means).sum(0) / (gamma * precision).sum(0)
    got = mixture.towards_mode(parameters, jnp.asarray(action))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_steps_towards_the_mode_never_lower_the_density(key):
    parameters = random_mixture(key, batch_shape=(50,), components=4, size=3)
    action = jax.random.uniform(jax.random.key(1), (50, 3), minval=-2.0, maxval=2.0)
    before = mixture.log_prob(parameters, action)
    for _ in range(4):
        action = mixture.towards_mode(parameters, action)
        after = mixture.log_prob(parameters, action)
        assert (after >= before - 1e-5).all()
        before = after


@pytest.mark.parametrize("log_std", [-5.0, 2.0])
def test_one_gaussian_s_mode_is_a_step_away(log_std):
    mean = jnp.array([[0.3, -0.7]])
    single = mixture.Mixture(jnp.zeros(1), mean, jnp.full((1, 2), log_std))
    far = jnp.array([1.0, 1.0])
    np.testing.assert_allclose(mixture.towards_mode(single, far), mean[0], rtol=1e-6)
