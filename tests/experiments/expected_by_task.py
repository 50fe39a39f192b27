"""What differs by suite or task, under every preset; see ``expected_settings``."""

from __future__ import annotations

from expected_paper import MILLION
from expected_tasks import TASKS

HOPPER_MEDIUM = ("hopper-medium-v2", "hopper-medium-replay-v2")

_IQL_FAMILY = {
    "antmaze": dict(expectile=0.9, beta=10.0),
    "navigation": dict(expectile=0.9, discount=0.999),
    "ogbench": dict(expectile=0.9, beta=10.0),
    "hopper-medium-expert-v2": dict(expectile=0.5, beta=6.0),
    **dict.fromkeys(HOPPER_MEDIUM, dict(polyak=0.001)),
}
_DETERMINISTIC = dict(polyak=0.001, log_std_min=0.0, log_std_max=0.0)


def _lom(critics, components, beta, noise, cap, smoothing=0.0):
    return dict(
        num_critics=critics,
        num_components=components,
        beta=beta,
        action_noise=noise,
        max_weight=cap,
        target_noise=smoothing,
    )


_LOM = {
    "halfcheetah-medium-v2": _lom(1, 2, 5.0, 0.4, 100.0, 0.2),
    "hopper-medium-v2": _lom(3, 5, 5.0, 0.0, 50.0, 0.2),
    "walker2d-medium-v2": _lom(1, 2, 5.0, 0.0, 50.0, 0.2),
    "halfcheetah-medium-replay-v2": _lom(1, 5, 5.0, 0.4, 100.0, 0.2),
    "hopper-medium-replay-v2": _lom(1, 5, 5.0, 0.0, 50.0, 0.2),
    "walker2d-medium-replay-v2": _lom(1, 10, 5.0, 0.0, 50.0, 0.2),
    "halfcheetah-full-replay-v2": _lom(1, 10, 5.0, 0.4, 100.0, 0.2),
    "hopper-full-replay-v2": _lom(2, 10, 5.0, 0.0, 50.0, 0.2),
    "walker2d-full-replay-v2": _lom(1, 10, 5.0, 0.0, 50.0, 0.2),
    "halfcheetah-medium-expert-v2": _lom(2, 1, 0.1, 0.0, 50.0),
    "hopper-medium-expert-v2": _lom(6, 2, 0.1, 0.0, 50.0),
    "walker2d-medium-expert-v2": _lom(3, 5, 0.1, 0.2, 50.0),
    "halfcheetah-expert-v2": _lom(1, 2, 0.1, 0.0, 50.0),
    "hopper-expert-v2": _lom(1, 2, 0.1, 0.0, 50.0, 0.2),
    "walker2d-expert-v2": _lom(1, 5, 0.1, 0.2, 50.0),
    "navigation": dict(
        hidden_sizes=(64, 64, 64),
        behavior_hidden_sizes=(64, 64, 64),
        num_components=2,
        num_critics=2,
        discount=0.999,
    ),
}


def _worlds(settings, *worlds):
    """For each of OGBench's tasks in these worlds."""
    return {
        name: settings
        for name in TASKS
        if name.split("-singletask")[0].rpartition("-")[0] in worlds
    }


def _rebrac(actor, critic):
    return dict(actor_cloning=actor, critic_cloning=critic)


_REBRAC = {
    "antmaze": dict(
        batch_size=256,
        actor_learning_rate=3e-4,
        critic_learning_rate=5e-5,
        discount=0.999,
    ),
    "maze2d": dict(
        batch_size=256,
        actor_learning_rate=3e-4,
        critic_learning_rate=3e-4,
        actor_cloning=0.003,
        critic_cloning=0.001,
    ),
    "navigation": dict(
        batch_size=256,
        hidden_sizes=(64, 64, 64),
        actor_learning_rate=3e-4,
        critic_learning_rate=3e-4,
        discount=0.999,
    ),
    "ogbench": dict(
        batch_size=256,
        hidden_sizes=(512, 512, 512, 512),
        actor_learning_rate=3e-4,
        critic_learning_rate=3e-4,
    ),
    **_worlds(_rebrac(1.0, 0.0), "cube-single"),
    **_worlds(_rebrac(0.1, 0.0), "cube-double"),
    **_worlds(_rebrac(0.1, 0.01), "scene"),
    **_worlds(_rebrac(0.3, 0.01), "puzzle-3x3", "puzzle-4x4"),
    "halfcheetah-random-v2": _rebrac(0.001, 0.1),
    "halfcheetah-medium-v2": _rebrac(0.001, 0.01),
    "halfcheetah-expert-v2": _rebrac(0.01, 0.01),
    "halfcheetah-medium-expert-v2": _rebrac(0.01, 0.1),
    "halfcheetah-medium-replay-v2": _rebrac(0.01, 0.001),
    "halfcheetah-full-replay-v2": _rebrac(0.001, 0.1),
    "hopper-random-v2": _rebrac(0.001, 0.01),
    "hopper-medium-v2": _rebrac(0.01, 0.01),
    "hopper-expert-v2": _rebrac(0.1, 0.1),
    "hopper-medium-expert-v2": _rebrac(0.1, 0.01),
    "hopper-medium-replay-v2": _rebrac(0.05, 0.5),
    "hopper-full-replay-v2": _rebrac(0.01, 0.01),
    "walker2d-random-v2": _rebrac(0.01, 0.0),
    "walker2d-medium-v2": _rebrac(0.05, 0.1),
    "walker2d-expert-v2": _rebrac(0.01, 0.5),
    "walker2d-medium-expert-v2": _rebrac(0.01, 0.01),
    "walker2d-medium-replay-v2": _rebrac(0.05, 0.01),
    "walker2d-full-replay-v2": _rebrac(0.01, 0.01),
    "antmaze-umaze-v2": _rebrac(0.003, 0.002),
    "antmaze-umaze-diverse-v2": _rebrac(0.003, 0.001),
    "antmaze-medium-play-v2": _rebrac(0.001, 0.0005),
    "antmaze-medium-diverse-v2": _rebrac(0.001, 0.0),
    "antmaze-large-play-v2": _rebrac(0.002, 0.001),
    "antmaze-large-diverse-v2": _rebrac(0.002, 0.002),
}


def _above(threshold, n_end):
    return dict(trust="return", return_threshold=threshold, n_end=n_end)


_SSAR_BY_TASK = {
    "halfcheetah-medium-v2": _above(5200.0, 3.0),
    "hopper-medium-v2": _above(1800.0, 3.0),
    "walker2d-medium-v2": _above(2500.0, 3.0),
    "halfcheetah-medium-expert-v2": dict(n_end=1.5, clone_untrusted=True),
    "hopper-medium-expert-v2": dict(n_end=1.5, value_expectile=0.5),
    "walker2d-medium-expert-v2": dict(n_end=1.5),
    "halfcheetah-expert-v2": _above(10_500.0, 1.5),
    "hopper-expert-v2": _above(3500.0, 1.5),
    "walker2d-expert-v2": _above(4500.0, 1.5),
    "antmaze-umaze-v2": dict(n_start=1.0),
    "antmaze-umaze-diverse-v2": dict(n_start=1.0, n_end=3.0),
}
_SSAR = {
    "antmaze": dict(
        num_steps=2 * MILLION,
        trust="goal",
        clone_untrusted=True,
        n_start=5.0,
        n_end=5.0,
    ),
    "navigation": dict(
        hidden_sizes=(64, 64, 64),
        beta_hidden_sizes=(64, 64, 64),
        discount=0.999,
        value_expectile=0.9,
    ),
    **_SSAR_BY_TASK,
}
_VARIANTS = ("random", "medium", "medium-replay", "medium-expert", "full-replay")
NAVIGATION = dict(hidden_sizes=(64, 64, 64), discount=0.999)


def _each(robot, **settings):
    names = (*_VARIANTS, "expert")
    return {f"{robot}-{name}-v2": dict(settings) for name in names}


WHERE = {
    "cql": {
        "antmaze": dict(
            lagrange=True,
            action_gap=0.8,
            cql_alpha=5.0,
            least_gap=-200.0,
            max_backup=True,
            learning_rate=1e-4,
            critic_hidden_sizes=(256, 256, 256, 256, 256),
            normalize_observations=False,
        ),
        "maze2d": dict(lagrange=True, action_gap=5.0),
        "navigation": dict(
            hidden_sizes=(64, 64, 64),
            critic_hidden_sizes=(64, 64, 64),
            discount=0.999,
        ),
    },
    "sac_n": {
        **_each("hopper", num_critics=200),
        **_each("walker2d", num_critics=20),
        "hopper-medium-v2": dict(num_critics=500),
        "antmaze": dict(num_critics=25),
        "maze2d": dict(num_critics=25),
        "ogbench": dict(num_critics=25),
        "navigation": dict(num_critics=25) | NAVIGATION,
    },
    "edac": {
        **_each("hopper", num_critics=50),
        "halfcheetah-medium-expert-v2": dict(eta=5.0),
        "walker2d-medium-expert-v2": dict(eta=5.0),
        "maze2d": dict(eta=0.1),
        "navigation": NAVIGATION,
    },
    "awac": {
        "antmaze": dict(temperature=0.1),
        "maze2d": dict(temperature=0.1),
        "ogbench": dict(temperature=0.1),
        "navigation": dict(temperature=0.1, hidden_sizes=(64, 64, 64), discount=0.999),
    },
    "rebrac": _REBRAC,
    "ssar": _SSAR,
    "lom": _LOM,
    "idql": {
        "antmaze": dict(expectile=0.9),
        "ogbench": dict(expectile=0.9),
        "navigation": dict(hidden_sizes=(64, 64, 64), expectile=0.9, discount=0.999),
    },
    "ifql": {
        "antmaze": dict(expectile=0.9),
        "ogbench": dict(expectile=0.9, num_steps=MILLION),
        "navigation": dict(hidden_sizes=(64, 64, 64), expectile=0.9, discount=0.999),
        "hopper-medium-expert-v2": dict(expectile=0.5),
    },
    "sfbc": {
        "locomotion": dict(num_averaged=4),
        "antmaze": dict(num_steps=48_828),
        **dict.fromkeys(
            ("antmaze-large-play-v2", "antmaze-large-diverse-v2"),
            dict(hidden_sizes=(512, 256, 256)),
        ),
        # 100 epochs of the whole passes that come next to a million rows
        "halfcheetah-medium-replay-v2": dict(num_averaged=4, num_steps=24_658),
        "hopper-medium-replay-v2": dict(num_averaged=4, num_steps=19_628),
        "walker2d-medium-replay-v2": dict(num_averaged=4, num_steps=22_119),
        **dict.fromkeys(
            (
                f"{robot}-medium-expert-v2"
                for robot in ("halfcheetah", "hopper", "walker2d")
            ),
            dict(num_averaged=4, num_steps=48_828),
        ),
        "navigation": dict(
            hidden_sizes=(64, 64, 64),
            behavior_hidden_sizes=(64, 64, 64),
            discount=0.999,
        ),
    },
    "fql": {
        "navigation": dict(hidden_sizes=(64, 64, 64), discount=0.999),
        "antmaze-large-play-v2": dict(alpha=3.0),
        "antmaze-large-diverse-v2": dict(alpha=3.0),
        "ogbench": dict(num_steps=MILLION),
        **_worlds(dict(alpha=300.0), "cube-single", "cube-double", "scene"),
        **_worlds(dict(alpha=1000.0), "puzzle-3x3", "puzzle-4x4"),
    },
    "diffusion_ql": {
        "navigation": dict(hidden_sizes=(64, 64, 64), discount=0.999),
        "antmaze": dict(num_steps=MILLION, num_backup=10),
        "halfcheetah-medium-v2": dict(max_grad_norm=9.0),
        "hopper-medium-v2": dict(max_grad_norm=9.0),
        "walker2d-medium-v2": dict(max_grad_norm=1.0),
        "halfcheetah-medium-replay-v2": dict(max_grad_norm=2.0),
        "hopper-medium-replay-v2": dict(max_grad_norm=4.0),
        "walker2d-medium-replay-v2": dict(max_grad_norm=4.0),
        "halfcheetah-medium-expert-v2": dict(max_grad_norm=7.0),
        "hopper-medium-expert-v2": dict(max_grad_norm=5.0),
        "walker2d-medium-expert-v2": dict(max_grad_norm=5.0),
        "antmaze-umaze-v2": dict(eta=0.5, max_grad_norm=2.0, num_backup=1),
        "antmaze-umaze-diverse-v2": dict(eta=2.0, max_grad_norm=3.0),
        "antmaze-medium-play-v2": dict(eta=2.0, max_grad_norm=2.0, learning_rate=1e-3),
        "antmaze-medium-diverse-v2": dict(eta=3.0, max_grad_norm=1.0),
        "antmaze-large-play-v2": dict(eta=4.5, max_grad_norm=10.0),
        "antmaze-large-diverse-v2": dict(eta=3.5, max_grad_norm=7.0),
    },
    "dt": {
        **_each("halfcheetah", target_return=12_000.0),
        **_each("hopper", target_return=3_600.0),
        **_each("walker2d", target_return=5_000.0),
        "antmaze": dict(
            batch_size=64, learning_rate=1e-4, reward_scale=1.0, target_return=1.0
        ),
        "maze2d": dict(reward_scale=1.0, target_return=280.0),
    },
    "bc": {"navigation": dict(hidden_sizes=(64, 64, 64))},
    "percent_bc": {"navigation": dict(hidden_sizes=(64, 64, 64))},
    "td3_bc": {"navigation": dict(hidden_sizes=(64, 64, 64), discount=0.999)},
    "gem": _IQL_FAMILY,
    "iql": {
        **_IQL_FAMILY,
        **dict.fromkeys(HOPPER_MEDIUM, _DETERMINISTIC),
        **_worlds(dict(beta=1.0), "cube-single"),
        **_worlds(dict(beta=0.3), "cube-double"),
        **_worlds(dict(beta=3.0), "puzzle-4x4"),
    },
    "empo": {
        "navigation": dict(
            hidden_sizes=(64, 64, 64),
            discount=0.999,
            em_epochs=60,
            critic_steps=200_000,
            value_epochs=10,
            improve_epochs=10,
            expectile=0.9,
        )
    },
}
