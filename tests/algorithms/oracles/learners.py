"""Implicit Q-learning's values and weighted mixtures, one gradient step at a time."""

import numpy as np

from oracles import descent, networks


class Values:
    """The equations of GEM 1.3, in the order of its algorithm 2."""

    def __init__(self, state, *, layer_norm, rate, discount, expectile, polyak):
        self.critic = descent.Adam(state.critic.params)
        self.target = descent.float64(state.target_critic)
        self.value = descent.Adam(state.value.params)
        self.layer_norm, self.rate = layer_norm, rate
        self.discount, self.expectile, self.polyak = discount, expectile, polyak

    def step(self, batch):
        """Returns the advantage before the step, and the metrics."""
        pair = batch.observation, batch.action
        before = networks.value(self.value.params, batch.observation)
        after = networks.value(self.value.params, batch.next_observation)
        low = networks.smallest(networks.critics(self.target, *pair, self.layer_norm))
        goal = batch.reward + self.discount * np.where(batch.terminal, 0, after)

        def value_loss(params):
            u = low - networks.value(params, batch.observation)
            return (
                np.where(u.real < 0, 1 - self.expectile, self.expectile) * u**2
            ).mean()

        def critic_loss(params):
            q = networks.critics(params, *pair, self.layer_norm)
            return ((q - goal) ** 2).mean()

        q = networks.critics(self.critic.params, *pair, self.layer_norm)
        metrics = {
            "critic/loss": critic_loss(self.critic.params),
            "critic/q": q.mean(),
            "critic/ensemble_std": q.std(0).mean(),
            "value/loss": value_loss(self.value.params),
            "value/v": before.mean(),
            "value/advantage": (low - before).mean(),
        }
        self.value.descend(value_loss, self.rate)
        self.critic.descend(critic_loss, self.rate)
        self.used_target = descent.mapped(np.copy, self.target)
        descent.polyak(self.target, self.critic.params, self.polyak)
        return low - before, metrics


class Mixture:
    """A mixture under weighted maximum likelihood (GEM Eq. 26 to 44)."""

    def __init__(self, state, *, bounds, entropy=0.0, detach=True):
        self.net = descent.Adam(state.params)
        self.bounds, self.entropy, self.detach = bounds, entropy, detach

    def step(self, batch, weight, rate):
        """Returns the metrics before the step."""
        log_joint, _ = self._log_joint(self.net.params, batch)
        density = np.exp(log_joint).sum(1, keepdims=True)
        fixed = np.exp(log_joint) / density

        def losses(params):
            joint, log_weight = self._log_joint(params, batch)
            posterior = fixed
            if not self.detach:
                posterior = np.exp(joint) / np.exp(joint).sum(1, keepdims=True)
            bound = (posterior * joint).sum(1)
            entropy = -(np.exp(log_weight) * log_weight).sum(1)
            return -weight * bound - self.entropy * entropy, entropy

        loss, entropy = (rows.mean() for rows in losses(self.net.params))
        self.net.descend(lambda params: losses(params)[0].mean(), rate)
        nll = -np.log(density).mean()
        return {"loss": loss, "nll": nll, "gating_entropy": entropy}

    def _log_joint(self, params, batch):
        log_weight, mean, log_std = networks.mixture(
            params, batch.observation, *self.bounds
        )
        z = (batch.action[:, None] - mean) / np.exp(log_std)
        normal = -0.5 * z**2 - log_std - 0.5 * np.log(2 * np.pi)
        return log_weight + normal.sum(2), log_weight
