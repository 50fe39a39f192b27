"""Every setting, written from the references and not from the code.

IQL, TD3+BC, AWAC, ReBRAC and BC: the public configurations behind the published tables
(for IQL hopper-medium and -medium-replay have a deterministic actor, normalized
returns and a slow target).
EMPO: Table 4 of its paper. LOM, SfBC, FQL and Diffusion-QL: their authors'
implementations. CQL, SAC-N and EDAC: the library behind the published tables. GEM:
IQL's where its paper says none, and README's choices.
"""

from __future__ import annotations

from expected_tasks import TASKS

MILLION = 1_000_000
HOPPER_MEDIUM = ("hopper-medium-v2", "hopper-medium-replay-v2")

_SAC_N = dict(
    num_steps=3 * MILLION,
    batch_size=256,
    hidden_sizes=(256, 256, 256),
    learning_rate=3e-4,
    num_critics=10,
    critic_layer_norm=False,
    discount=0.99,
    polyak=0.005,
    log_std_min=-5.0,
    log_std_max=2.0,
    normalize_observations=False,
)
PAPER = {
    "cql": dict(
        num_steps=MILLION,
        batch_size=256,
        hidden_sizes=(256, 256, 256),
        critic_hidden_sizes=(256, 256, 256),
        critic_layer_norm=False,
        learning_rate=3e-5,
        critic_learning_rate=3e-4,
        discount=0.99,
        polyak=0.005,
        cql_alpha=10.0,
        num_actions=10,
        max_backup=False,
        lagrange=False,
        action_gap=1.0,
        least_gap=-1e9,
        log_std_min=-20.0,
        log_std_max=2.0,
        normalize_observations=True,
    ),
    "sac_n": _SAC_N,
    "edac": _SAC_N | dict(eta=1.0),
    "bc": dict(
        num_steps=MILLION,
        batch_size=256,
        hidden_sizes=(256, 256),
        learning_rate=3e-4,
        normalize_observations=True,
    ),
    "iql": dict(
        num_steps=MILLION,
        batch_size=256,
        hidden_sizes=(256, 256),
        learning_rate=3e-4,
        num_critics=2,
        critic_layer_norm=False,
        discount=0.99,
        expectile=0.7,
        beta=3.0,
        max_weight=100.0,
        polyak=0.005,
        log_std_min=-20.0,
        log_std_max=2.0,
        normalize_observations=True,
    ),
    "td3_bc": dict(
        num_steps=MILLION,
        batch_size=256,
        hidden_sizes=(256, 256),
        learning_rate=3e-4,
        num_critics=2,
        discount=0.99,
        polyak=0.005,
        alpha=2.5,
        policy_noise=0.2,
        noise_clip=0.5,
        actor_period=2,
        normalize_observations=True,
    ),
    "lom": dict(
        num_steps=MILLION,
        batch_size=256,
        modes_batch_size=1024,
        hidden_sizes=(256, 256),
        learning_rate=1e-3,
        critic_learning_rate=3e-4,
        num_critics=1,
        discount=0.99,
        polyak=0.005,
        target_period=2,
        target_noise=0.0,
        noise_clip=0.5,
        num_components=5,
        behavior_steps=200_000,
        behavior_batch_size=512,
        behavior_hidden_sizes=(512, 512),
        behavior_learning_rate=1e-3,
        log_std_min=-15.0,
        log_std_max=0.0,
        baseline="mode",
        beta=5.0,
        max_weight=50.0,
        action_noise=0.0,
        normalize_observations=True,
    ),
    "sfbc": dict(
        num_steps=24_414,  # 100 epochs of a million samples
        batch_size=4096,
        hidden_sizes=(256, 256),
        learning_rate=1e-3,
        discount=0.99,
        generations=2,
        planning_samples=16,
        planning_alpha=20.0,
        planning_batch_size=256,
        behavior_steps=600_000,
        behavior_batch_size=4096,
        behavior_hidden_sizes=(512, 256, 128),
        behavior_learning_rate=1e-4,
        sampling_steps=15,
        num_candidates=32,
        num_averaged=1,
        alpha=100.0,
        normalize_observations=True,
    ),
    "idql": dict(
        num_steps=3_000_000,
        batch_size=512,
        hidden_sizes=(256, 256),
        learning_rate=3e-4,
        num_critics=2,
        critic_layer_norm=False,
        discount=0.99,
        objective="expectile",
        expectile=0.7,
        value_temperature=1.0,
        polyak=0.005,
        behavior_width=256,
        behavior_blocks=3,
        behavior_dropout=0.1,
        averaging_rate=0.001,
        normalize_observations=True,
        num_candidates=64,
        sampling_steps=5,
    ),
    "ifql": dict(
        num_steps=500_000,
        batch_size=256,
        hidden_sizes=(512, 512, 512, 512),
        learning_rate=3e-4,
        num_critics=2,
        critic_layer_norm=True,
        discount=0.99,
        expectile=0.7,
        polyak=0.005,
        normalize_observations=True,
        num_candidates=32,
        sampling_steps=10,
    ),
    "awac": dict(
        num_steps=MILLION,
        batch_size=256,
        hidden_sizes=(256, 256, 256),
        learning_rate=3e-4,
        num_critics=2,
        critic_layer_norm=False,
        discount=0.99,
        temperature=1 / 3,
        max_weight=100.0,
        polyak=0.005,
        log_std_min=-20.0,
        log_std_max=2.0,
        normalize_observations=True,
    ),
    "rebrac": dict(
        num_steps=MILLION,
        batch_size=1024,
        hidden_sizes=(256, 256, 256),
        actor_learning_rate=1e-3,
        critic_learning_rate=1e-3,
        num_critics=2,
        critic_layer_norm=True,
        discount=0.99,
        polyak=0.005,
        actor_cloning=0.001,
        critic_cloning=0.01,
        policy_noise=0.2,
        noise_clip=0.5,
        actor_period=2,
        normalize_observations=False,
    ),
    "fql": dict(
        num_steps=500_000,
        batch_size=256,
        hidden_sizes=(512, 512, 512, 512),
        learning_rate=3e-4,
        num_critics=2,
        critic_layer_norm=True,
        target_reduction="mean",
        discount=0.99,
        polyak=0.005,
        alpha=10.0,
        flow_steps=10,
        normalize_observations=True,
        num_candidates=1,
    ),
    "diffusion_ql": dict(
        num_steps=2_000_000,
        batch_size=256,
        hidden_sizes=(256, 256, 256),
        learning_rate=3e-4,
        critic_learning_rate=3e-4,
        max_grad_norm=9.0,
        discount=0.99,
        polyak=0.005,
        eta=1.0,
        num_backup=1,
        averaging_rate=0.005,
        averaging_period=5,
        averaging_start=1000,
        normalize_observations=True,
        num_candidates=50,
        sampling_steps=5,
        alpha=1.0,
    ),
    "gem": dict(
        num_steps=MILLION,
        batch_size=256,
        hidden_sizes=(256, 256),
        learning_rate=3e-4,
        num_critics=10,
        critic_layer_norm=False,
        critic_targets="shared",
        gradient_cloning=0.0,
        deploy_critic="online",
        discount=0.99,
        expectile=0.7,
        beta=3.0,
        max_weight=100.0,
        polyak=0.005,
        num_components=8,
        log_std_min=-5.0,
        log_std_max=2.0,
        gating_entropy=1e-3,
        detach_responsibilities=True,
        behavior_steps=100_000,
        behavior_batch_size=512,
        behavior_learning_rate=1e-3,
        behavior_freeze=True,
        behavior_held_out=20,
        behavior_keep_best=False,
        behavior_components=8,
        behavior_log_std_min=-5.0,
        behavior_log_std_max=0.5,
        normalize_observations=True,
        num_candidates=1024,
        top_m=1,
        candidates="actor",
        anchor="mode",
        normalization="zscore",
        value_scale="reward",
        kappa=1.0,
        lambda_start=1.0,
        lambda_end=0.1,
        lambda_schedule="decay",
        horizon=0,
        support_cap=None,
        temperature=1.0,
        denoise_steps=0,
        kappa_growth="none",
        anchor_margin=0.0,
        violation_threshold=-2.0,
    ),
    "empo": dict(
        num_clusters=2,
        hidden_sizes=(256, 256, 256),
        learning_rate=3e-4,
        averaging_rate=1.0,
        cosine_decay=False,
        batch_size=256,
        biased_epochs=3,
        uniform_epochs=20,
        em_epochs=100,
        epoch_steps=0,
        posterior_window=0,
        window_start=0,
        window_stop=0,
        momentum=0.9,
        log_std_min=-5.0,
        log_std_max=0.0,
        num_steps=MILLION,
        discount=0.99,
        critic_steps=1_500_000,
        target_period=2,
        polyak=0.005,
        value_epochs=40,
        bootstrap_tail=False,
        improve_epochs=100,
        clip=0.25,
        full_batch=True,
        microbatch_size=8192,
        standardize_advantage=False,
        n_step=3,
        expectile=0.7,
        choice_target_period=500,
        support_ratio=5.0,
        normalize_observations=True,
    ),
}

# What differs from that by suite or task, under every preset.
_IQL_FAMILY = {
    "antmaze": dict(expectile=0.9, beta=10.0),
    "navigation": dict(expectile=0.9, discount=0.999),
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
    "hopper-expert-v2": _lom(1, 2, 0.1, 0.0, 50.0),
    "walker2d-expert-v2": _lom(1, 5, 0.1, 0.2, 50.0),
    "navigation": dict(
        hidden_sizes=(64, 64, 64),
        behavior_hidden_sizes=(64, 64, 64),
        num_components=2,
        discount=0.999,
    ),
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
_VARIANTS = ("random", "medium", "medium-replay", "medium-expert", "full-replay")
_NAVIGATION = dict(hidden_sizes=(64, 64, 64), discount=0.999)


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
        "navigation": dict(num_critics=25) | _NAVIGATION,
    },
    "edac": {
        **_each("hopper", num_critics=50),
        "halfcheetah-medium-expert-v2": dict(eta=5.0),
        "walker2d-medium-expert-v2": dict(eta=5.0),
        "maze2d": dict(eta=0.1),
        "navigation": _NAVIGATION,
    },
    "awac": {
        "antmaze": dict(temperature=0.1),
        "maze2d": dict(temperature=0.1),
        "navigation": dict(temperature=0.1, hidden_sizes=(64, 64, 64), discount=0.999),
    },
    "rebrac": _REBRAC,
    "lom": _LOM,
    "idql": {
        "antmaze": dict(expectile=0.9),
        "navigation": dict(hidden_sizes=(64, 64, 64), expectile=0.9, discount=0.999),
    },
    "ifql": {
        "antmaze": dict(expectile=0.9),
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
    "bc": {"navigation": dict(hidden_sizes=(64, 64, 64))},
    "td3_bc": {"navigation": dict(hidden_sizes=(64, 64, 64), discount=0.999)},
    "gem": _IQL_FAMILY,
    "iql": {**_IQL_FAMILY, **dict.fromkeys(HOPPER_MEDIUM, _DETERMINISTIC)},
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

# What differs from ``paper`` besides, under the presets of fewer updates.
_STEPS = dict(locomotion=100_000, maze2d=40_000, antmaze=60_000, navigation=40_000)
_CRITICS = dict(num_critics=2, critic_layer_norm=True)
_GEM_LAPTOP = dict(behavior_steps=30_000, behavior_batch_size=256, num_candidates=64)
_GEM_SMOKE = dict(behavior_steps=300, behavior_batch_size=256, num_candidates=16)
_EMPO_SMOKE = dict(
    biased_epochs=1,
    critic_steps=300,
    em_epochs=3,
    improve_epochs=2,
    uniform_epochs=1,
    value_epochs=1,
)
_EMPO_LAPTOP = dict(
    averaging_rate=1e-3,
    bootstrap_tail=True,
    choice_target_period=100,
    cosine_decay=True,
    critic_steps=30_000,
    em_epochs=300,
    epoch_steps=100,
    improve_epochs=2,
    log_std_min=-2.0,
    polyak=0.05,
    posterior_window=100,
    value_epochs=2,
    window_start=150,
    window_stop=250,
)
_EMPO_LAPTOP_NAVIGATION = dict(
    averaging_rate=1.0,
    critic_steps=60_000,
    em_epochs=60,
    epoch_steps=2_000,
    improve_epochs=10,
    num_steps=100_000,
    posterior_window=0,
    uniform_epochs=4,
    value_epochs=4,
    window_start=0,
    window_stop=0,
)
_LOM_SMALLER = dict(
    modes_batch_size=256, behavior_batch_size=256, behavior_hidden_sizes=(256, 256)
)
_SFBC_SMALLER = dict(
    batch_size=256,
    behavior_batch_size=256,
    behavior_learning_rate=3e-4,
    planning_samples=4,
    sampling_steps=10,
)
_SAC_N_SMALLER = dict(num_critics=10, hidden_sizes=(256, 256), critic_layer_norm=True)
_CQL_SMALLER = dict(
    critic_layer_norm=True,
    hidden_sizes=(256, 256),
    critic_hidden_sizes=(256, 256),
)
FEWER = {
    ("cql", "laptop"): _CQL_SMALLER,
    ("cql", "smoke"): _CQL_SMALLER,
    ("lom", "laptop"): _LOM_SMALLER | dict(behavior_steps=30_000),
    ("idql", "laptop"): dict(batch_size=256, critic_layer_norm=True),
    ("idql", "smoke"): dict(batch_size=256, critic_layer_norm=True),
    ("ifql", "laptop"): dict(hidden_sizes=(256, 256)),
    ("ifql", "smoke"): dict(hidden_sizes=(256, 256)),
    ("sac_n", "laptop"): _SAC_N_SMALLER,
    ("sac_n", "smoke"): _SAC_N_SMALLER,
    ("edac", "laptop"): _SAC_N_SMALLER,
    ("edac", "smoke"): _SAC_N_SMALLER,
    ("awac", "laptop"): dict(hidden_sizes=(256, 256), critic_layer_norm=True),
    ("awac", "smoke"): dict(hidden_sizes=(256, 256), critic_layer_norm=True),
    ("rebrac", "laptop"): dict(batch_size=256, hidden_sizes=(256, 256)),
    ("rebrac", "smoke"): dict(batch_size=256, hidden_sizes=(256, 256)),
    ("fql", "laptop"): dict(hidden_sizes=(256, 256)),
    ("fql", "smoke"): dict(hidden_sizes=(256, 256)),
    ("diffusion_ql", "laptop"): {},
    ("diffusion_ql", "smoke"): {},
    ("sfbc", "laptop"): _SFBC_SMALLER | dict(behavior_steps=30_000),
    ("sfbc", "smoke"): _SFBC_SMALLER | dict(behavior_steps=300),
    ("lom", "smoke"): _LOM_SMALLER | dict(behavior_steps=300),
    ("bc", "laptop"): {},
    ("bc", "smoke"): {},
    ("td3_bc", "laptop"): {},
    ("td3_bc", "smoke"): {},
    ("iql", "laptop"): _CRITICS,
    ("iql", "smoke"): _CRITICS,
    ("gem", "laptop"): _CRITICS | _GEM_LAPTOP,
    ("gem", "smoke"): _CRITICS | _GEM_SMOKE,
    ("empo", "laptop"): _EMPO_LAPTOP,
    ("empo", "smoke"): _EMPO_SMOKE,
}


def settings(algo: str, name: str, preset: str) -> dict[str, object]:
    """Every field of an algorithm's configuration."""
    suite = TASKS[name][0]
    where = WHERE[algo]
    expected = PAPER[algo] | where.get(suite, {}) | where.get(name, {})
    if preset == "paper":
        return expected
    expected |= {"num_steps": _STEPS[suite] if preset == "laptop" else 600}
    expected |= FEWER[algo, preset]
    if algo == "cql" and suite in ("locomotion", "navigation"):  # no gap is kept
        expected |= {"num_actions": 4}
    as_paper = ("awac", "cql", "lom", "ifql", "fql", "rebrac")
    if algo in as_paper and suite == "navigation":
        expected |= where[suite]
    if algo in ("sac_n", "edac") and suite == "navigation":
        expected |= _NAVIGATION
    if (algo, suite, preset) == ("sfbc", "navigation", "laptop"):
        return expected | dict(num_steps=120_000, behavior_steps=20_000)
    if (algo, suite, preset) == ("lom", "navigation", "laptop"):
        expected |= dict(polyak=0.05, num_steps=150_000, behavior_steps=10_000)
    if algo == "sfbc":  # two generations share the gradient steps
        expected |= {"num_steps": expected["num_steps"] // 2}
    if (algo, suite, preset) == ("empo", "navigation", "laptop"):
        expected |= _EMPO_LAPTOP_NAVIGATION
    return expected


_RECORDED = ("sfbc", "sac_n", "edac")
_RECORDED_LOCOMOTION = ("td3_bc", "awac", "rebrac", "cql")


def rewards(algo: str, name: str) -> object:
    """What training sees: a name, or scale and shift."""
    suite, usual = TASKS[name][:2]
    if algo in _RECORDED:
        return "identity"
    if (algo, suite) == ("rebrac", "antmaze"):
        return (100.0, 0.0)
    if (algo, suite) == ("cql", "antmaze"):
        return (10.0, -5.0)
    if (algo, name) == ("cql", "hopper-medium-v2"):
        return "return_range"
    if algo in _RECORDED_LOCOMOTION and suite == "locomotion":
        return "identity"
    return usual
