"""Runs of earlier versions still load."""

import dataclasses

from gem_jax import algorithms, policy


def test_a_record_without_sizes_of_the_data_is_rebuilt():
    config = dataclasses.asdict(algorithms.config_class("bc")(hidden_sizes=(8,)))
    record = {
        "algo": "bc",
        "config": config,
        "spec": {"observation_size": 3, "action_size": 2, "horizon": 20},
    }
    algorithm, spec = policy.rebuild(record)
    assert (spec.num_transitions, spec.num_episodes) == (0, 0)
    assert algorithm.num_steps == config["num_steps"]
