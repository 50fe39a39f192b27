"""Every setting, written from the references and not from the code.

IQL, TD3+BC, AWAC, ReBRAC and BC: the public configurations behind the published tables
(for IQL hopper-medium and -medium-replay have a deterministic actor, normalized
returns and a slow target).
EMPO: Table 4 of its paper. LOM, SfBC, FQL, SSAR and Diffusion-QL: their authors'
implementations. CQL, SAC-N, EDAC and DT: the library behind the published tables. GEM:
IQL's where its paper says none, and README's choices.
"""

from __future__ import annotations

from expected_by_task import NAVIGATION, WHERE
from expected_paper import PAPER
from expected_tasks import TASKS

# What differs from ``paper`` besides, under the presets of fewer updates.
_STEPS = dict(
    locomotion=100_000, maze2d=40_000, antmaze=60_000, navigation=40_000, ogbench=60_000
)
_CRITICS = dict(num_critics=2, critic_layer_norm=True)
# For every task, beside what the paper has: docs/decisions.md.
_GEM_BEST = _CRITICS | dict(
    advantage_unit="data",
    beta=1.0,
    expectile=0.8,
    behavior_steps=30_000,
    behavior_batch_size=256,
    num_candidates=64,
    denoise_steps=1,
    value_scale="data",
    lambda_end=0.5,
    lambda_schedule="constant",
)
_GEM = {
    "best": _GEM_BEST,
    "laptop": _GEM_BEST,
    "smoke": _GEM_BEST | dict(behavior_steps=300, num_candidates=16),
}
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
_DT_SMALLER = dict(batch_size=64, context=10, width=64, learning_rate=8e-4)
_SAC_N_SMALLER = dict(num_critics=10, hidden_sizes=(256, 256), critic_layer_norm=True)
_CQL_SMALLER = dict(
    critic_layer_norm=True,
    hidden_sizes=(256, 256),
    critic_hidden_sizes=(256, 256),
)
_SSAR_SMALLER = dict(
    beta_hidden_sizes=(256, 256),
    beta_learning_rate=3e-7,
    value_layer_norm=True,
)
FEWER = {
    ("ssar", "laptop"): _SSAR_SMALLER | dict(value_steps=30_000),
    ("ssar", "smoke"): _SSAR_SMALLER | dict(value_steps=300, trust="value"),
    ("cql", "laptop"): _CQL_SMALLER,
    ("cql", "smoke"): _CQL_SMALLER,
    ("dt", "laptop"): _DT_SMALLER | dict(num_steps=20_000, warmup_steps=2_000),
    ("dt", "smoke"): _DT_SMALLER | dict(warmup_steps=60),
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
    ("percent_bc", "laptop"): {},
    ("percent_bc", "smoke"): {},
    ("td3_bc", "laptop"): {},
    ("td3_bc", "smoke"): {},
    ("iql", "laptop"): _CRITICS,
    ("iql", "smoke"): _CRITICS,
    ("empo", "laptop"): _EMPO_LAPTOP,
    ("empo", "smoke"): _EMPO_SMOKE,
}


def settings(algo: str, name: str, preset: str) -> dict[str, object]:
    """Every field of an algorithm's configuration."""
    suite = TASKS[name][0]
    fewer = {"laptop": {"num_steps": _STEPS[suite]}, "smoke": {"num_steps": 600}}
    if algo == "gem" and preset != "paper":
        return PAPER[algo] | _GEM[preset] | fewer.get(preset, {})
    expected = PAPER[algo] | WHERE[algo].get(suite, {}) | WHERE[algo].get(name, {})
    if preset in ("paper", "best"):
        if (algo, suite) == ("iql", "ogbench"):
            expected |= dict(hidden_sizes=(512, 512, 512, 512), critic_layer_norm=True)
        return expected
    expected |= fewer[preset] | FEWER[algo, preset]
    return _with_further_changes(expected, algo, suite, preset)


def _with_further_changes(
    expected: dict[str, object], algo: str, suite: str, preset: str
) -> dict[str, object]:
    """By suite and number of steps, under the presets of fewer steps."""
    if algo == "cql" and suite in (
        "locomotion",
        "navigation",
        "ogbench",
    ):  # no gap is kept
        expected |= {"num_actions": 4}
    if algo == "ssar":
        expected |= {"n_period": expected["num_steps"] // 20}
        expected |= {} if suite == "antmaze" else {"trust": "value"}
    as_paper = ("awac", "cql", "lom", "ifql", "fql", "rebrac", "ssar")
    if algo in as_paper and suite == "navigation":
        expected |= WHERE[algo][suite]
    if algo in ("sac_n", "edac") and suite == "navigation":
        expected |= NAVIGATION
    if (algo, suite, preset) == ("sfbc", "navigation", "laptop"):
        return expected | dict(num_steps=120_000, behavior_steps=20_000)
    if (algo, suite, preset) == ("lom", "navigation", "laptop"):
        expected |= dict(polyak=0.05, num_steps=150_000, behavior_steps=10_000)
    if algo == "sfbc":  # two generations share the gradient steps
        expected |= {"num_steps": expected["num_steps"] // 2}
    if (algo, suite, preset) == ("empo", "navigation", "laptop"):
        expected |= _EMPO_LAPTOP_NAVIGATION
    return expected


_RECORDED = ("sfbc", "sac_n", "edac", "dt")
_RECORDED_LOCOMOTION = ("td3_bc", "awac", "rebrac", "cql", "ssar")
_RECORDED_LOCOMOTION += ("lom", "diffusion_ql")


def rewards(algo: str, name: str) -> object:
    """What training sees: a name, or scale and shift."""
    suite, usual = TASKS[name][:2]
    if algo in _RECORDED:
        return "identity"
    if (algo, suite) == ("rebrac", "antmaze"):
        return (100.0, 0.0)
    if (algo, suite) == ("diffusion_ql", "antmaze"):
        return (4.0, -2.0)
    if (algo, suite) == ("cql", "antmaze"):
        return (10.0, -5.0)
    if (algo, name) == ("cql", "hopper-medium-v2"):
        return "return_range"
    if algo in _RECORDED_LOCOMOTION and suite == "locomotion":
        return "identity"
    return usual
