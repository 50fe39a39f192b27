"""An algorithm of another package: registered, trained, and under the contract."""

import dataclasses
import importlib
import types

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gem_jax
from gem_jax import algorithms, configs, errors
from gem_jax.algorithm import Algorithm, Phase
from gem_jax.data import tasks
from gem_jax.runs import presets, resolve
from gem_jax.testing import contract, fakes
from gem_jax.types import ActOutput


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of a policy that always acts as the data do on average."""

    num_steps: int = 1000
    rate: float = 0.1

    def __post_init__(self):
        for name in ("num_steps", "rate"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be positive")


@flax.struct.dataclass
class State:
    """The average action so far."""

    actor: jax.Array


def make(config, spec):
    def init(key):
        return State(jax.random.uniform(key, (spec.action_size,), minval=-0.1))

    def update(state, key, batch, step):
        del key, step
        error = jnp.mean(batch.action, axis=0) - state.actor
        loss = jnp.sum(error**2)
        return State(state.actor + config.rate * error), {"actor/loss": loss}

    def act(params, key, observation, t, knobs):
        del key, observation, t, knobs
        return ActOutput(jnp.clip(params, -1.0, 1.0), {})

    phase = Phase("actor", config.num_steps, 8, update)
    return Algorithm(spec, init, (phase,), lambda state: state.actor, act)


MODULE = types.SimpleNamespace(Config=Config, make=make, TINY={"num_steps": 6})


@pytest.fixture
def average(monkeypatch):
    monkeypatch.setattr(algorithms, "_registered", dict(algorithms._registered))
    contract.case.cache_clear()
    algorithms.register("average", MODULE)


def test_the_same_settings_give_the_same_algorithm_with_its_programs():
    def made(**changes):
        config = algorithms.tiny_config("bc", **changes)
        return algorithms.make("bc", config, fakes.SPEC)

    assert made() is made() and made() is not made(batch_size=9)
    # One equals 1.0; whoever shows the settings shows those that were given.
    assert made(learning_rate=1.0) is not made(learning_rate=1)
    listed = made(hidden_sizes=[8])  # has no hash
    assert listed is not made(hidden_sizes=[8]) and listed.spec == fakes.SPEC


@pytest.mark.parametrize(
    "check",
    contract.CHECKS,
    ids=lambda check: check.__name__,
)
def test_it_passes_the_contract(average, check, tmp_path):
    check(contract.case("average"), tmp_path)


def test_it_is_known_by_its_name_and_takes_its_defaults(average):
    assert "average" in algorithms.names()
    task = tasks.get("maze2d-umaze-v1")
    for preset in ("paper", "best"):
        assert configs.get_config("average", task, preset) == Config()
    assert not configs.preset_data("average", "best")
    assert configs.get_config("average", task, "smoke") == Config(num_steps=600)


def test_the_last_registration_of_a_name_counts(average):
    chosen = {"paper": Config(num_steps=7), "best": Config(num_steps=8)}
    parts = dict(vars(MODULE), get_config=lambda task, preset: chosen[preset])
    task = tasks.get("maze2d-umaze-v1")
    algorithms.register("iql", types.SimpleNamespace(**parts))
    assert configs.get_config("iql", task, "best") is chosen["paper"]
    own = dict(parts, HAS_BEST=True, preset_data=lambda preset: {"n_step": 0})
    algorithms.register("iql", types.SimpleNamespace(**own))
    assert configs.get_config("iql", task, "best") is chosen["best"]
    assert presets.data_options("best", "iql", chosen["best"], task).n_step == 0


def test_seeds_are_whole_numbers_of_any_kind(average):
    asked = dict(env="maze2d-umaze-v1", algo="average", preset="smoke")
    assert resolve.resolve(**asked, seeds=np.arange(2)).seeds == (0, 1)
    with pytest.raises(errors.UserError, match="one to 10,000 seeds"):
        resolve.resolve(**asked, seeds=())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"num_steps": "30"}, "num_steps must be int, got '30'"),
        ({"num_steps": 30.0}, "num_steps must be int, got 30.0"),
        ({"rate": -1}, "rate must be positive"),
        ({"ratio": 1.0}, "average has no setting ratio; it has num_steps, rate"),
        ({"seed": -1}, "seeds .* must be from 0"),
        ({"seed": 2**31}, "seeds .* must be from 0"),
        ({"source": None}, "source=None is neither"),
        ({"resume": "yes"}, "resume='yes' must be one of auto, never, must"),
        ({"preset": "tiny"}, "unknown --preset='tiny'"),
        ({"data": {"n_step": 3}}, "n_step=3 is not for average"),
    ],
)
def test_what_cannot_be_meant_is_one_error(
    average, changes, named, tmp_path, monkeypatch
):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "data"))
    asked = dict(source="local", preset="smoke", workdir=tmp_path / "run") | changes
    if "data" in changes:
        asked["data"] = changes["data"] | {"num_transitions": 600}
    with pytest.raises(errors.UserError, match=named):
        gem_jax.train("maze2d-umaze-v1", "average", log=lambda _: None, **asked)


def test_it_trains_by_name_like_any_other(average, tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "data"))
    lines = []
    arguments = dict(source="local", preset="smoke", workdir=tmp_path / "run")
    policy = gem_jax.train(
        "maze2d-umaze-v1", "average", num_steps=20, log=lines.append, **arguments
    )
    assert policy.step == 20 and "normalized score" in lines[-1]
    output = policy.act(jax.random.key(0), [[0.0] * 4, [1.0] * 4])
    np.testing.assert_array_equal(output.action[0], output.action[1])
    again = gem_jax.train(
        "maze2d-umaze-v1", "average", num_steps=20, log=lines.append, **arguments
    )
    assert "nothing to do" in lines[-1] and again.step == 20


def test_an_entry_point_registers_it(tmp_path, monkeypatch):
    (tmp_path / "my_average.py").write_text(
        "import types\n"
        "import dataclasses\n"
        "@dataclasses.dataclass\n"
        "class Config:\n"
        "    num_steps: int = 3\n"
        "TINY = {}\n"
        "def make(config, spec): return 'made'\n"
    )
    info = tmp_path / "my_average-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-average\n")
    (info / "entry_points.txt").write_text(
        f"[{algorithms.GROUP}]\nmy_average = my_average\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    monkeypatch.setattr(algorithms, "_registered", {})
    assert "my_average" in algorithms.names()
    config = algorithms.config_class("my_average")()
    assert algorithms.make("my_average", config, None) == "made"


@pytest.mark.parametrize("lacking", ["Config", "make", "TINY"])
def test_what_a_module_lacks_is_named(lacking):
    parts = {name: getattr(MODULE, name) for name in ("Config", "make", "TINY")}
    del parts[lacking]
    with pytest.raises(TypeError, match=f"no {lacking}"):
        algorithms.register("half", types.SimpleNamespace(**parts))
