"""What candidates take, by hand, and what is refused."""

import pytest

from gem_jax import algorithms, errors, inference
from gem_jax.algorithms import gem
from gem_jax.runs import candidate_memory
from gem_jax.types import EnvSpec

SPEC = EnvSpec(observation_size=29, action_size=8, horizon=1000)
CONFIG = gem.Config(num_critics=10, hidden_sizes=(256, 256))


def estimate(num_candidates, chunk_size, rows=1, on_cpu=True):
    knobs = inference.Knobs(num_candidates=num_candidates, chunk_size=chunk_size)
    return candidate_memory.estimate(knobs, CONFIG, SPEC, rows, on_cpu=on_cpu)


def test_a_million_candidates_fit_in_chunks_and_not_at_once():
    assert estimate(1_000_000, 1_000_000_000) > 2 * 10 * 256 * 4 * 1_000_000
    assert estimate(1_000_000, 0) < 0.5e9


def test_rows_on_an_accelerator_share_a_chunk_and_keep_their_own_sets():
    one, four = (estimate(99_999, 0, rows, on_cpu=False) for rows in (1, 4))
    kept = 4 * 100_000 * (5 * 8 + 2 * 10 + 4)
    assert one - kept == four - 4 * kept == 4 * 65_536 * 2 * 10 * 256


def test_what_does_not_fit_is_refused_with_what_does():
    knobs = inference.Knobs(num_candidates=1_000_000, chunk_size=1_000_000)
    free = 8 * 10**9
    with pytest.raises(errors.UserError) as refused:
        candidate_memory.require(knobs, CONFIG, SPEC, 1, free, on_cpu=True)
    assert str(refused.value) == (
        "--num_candidates=1000000 for 1 state(s) at a time needs about 20.7 GB and 8.0 "
        f"are free; in chunks (--chunk_size=0) up to {2**24} candidates fit"
    )
    candidate_memory.require(
        inference.Knobs(num_candidates=2**24), CONFIG, SPEC, 1, free, on_cpu=True
    )
    with pytest.raises(errors.UserError) as refused:
        candidate_memory.require(
            inference.Knobs(num_candidates=2**25),
            *(CONFIG, SPEC, 1, free),
            on_cpu=True,
            prefix="--config.",
        )
    assert str(refused.value).startswith("--config.num_candidates=33554432 for 1 ")
    assert str(refused.value).endswith(f"free; up to {2**24} candidates fit")


@pytest.mark.parametrize("algo", ["diffusion_ql", "fql", "idql", "ifql", "sfbc"])
def test_methods_without_chunks_are_refused_as_clearly(algo):
    config = algorithms.config_class(algo)(num_candidates=2_000_000_000)
    spec = SPEC._replace(num_transitions=10, num_episodes=1)
    knobs = algorithms.make(algo, config, spec).knobs
    with pytest.raises(errors.UserError) as refused:
        candidate_memory.require(knobs, config, SPEC, 1, 8 * 10**9, on_cpu=True)
    said, _, fits = str(refused.value).partition(" GB and 8.0 are free; up to ")
    assert said.startswith("--num_candidates=2000000000 for 1 state(s) at a time needs")
    assert 2**16 < int(fits.split()[0]) < 2_000_000_000
