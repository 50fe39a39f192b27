from __future__ import annotations

import pytest
from absl import flags
from absl.testing import flagsaver

from experiments.lib import csv_rows
from experiments.rand_index import __main__ as command
from experiments.rand_index import table as rand_index_table
from gem_jax import configs, errors
from gem_jax.data import tasks

SETTING = rand_index_table.Setting(
    *("navigation-v0", 4_000, 0, 0, 1, 0, 0), *(1, 0, 0, 0, -5)
)


@pytest.fixture
def counted(monkeypatch):
    """Calls of the measurement, which is replaced by a number."""
    calls = []

    def rand_index(setting, seed):
        calls.append((setting, seed))
        return 0.5 + 0.1 * seed

    monkeypatch.setattr(rand_index_table, "rand_index", rand_index)
    return calls


def test_what_the_file_holds_is_not_measured_again(tmp_path, counted):
    path = tmp_path / "rand.csv"
    first = rand_index_table.measure([SETTING], range(2), path)
    again = rand_index_table.measure([SETTING._replace(momentum=0.0)], range(3), path)
    assert [seed for _, seed in counted] == [0, 1, 2]
    assert again[:2] == first == csv_rows.read(path, rand_index_table.FIELDS)[:2]


def test_table_has_mean_and_spread_over_seeds_beside_the_paper_s(tmp_path, counted):
    walker = SETTING._replace(env="walker2d-medium-expert-v2", momentum=0.9)
    rows = rand_index_table.measure([walker], range(3), tmp_path / "rand.csv")
    table = rand_index_table.format_table(rows).splitlines()
    cells = [cell.strip() for cell in table[2].strip("|").split("|")]
    assert cells[:4] == ["walker2d-medium-expert-v2", "4000", "0.9", "0"]
    assert cells[-3:] == ["3", "60.00 ± 10.00", "-"]
    assert len(rand_index_table.published()) == 24
    known = rand_index_table.published()["walker2d-medium-expert-v2", 0.9, 20, 3]
    assert known == "99.93 ± 0.08"


def test_clusters_are_compared_with_the_policies_that_acted(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    setting = SETTING._replace(
        num_transitions=20_000, momentum=0.5, uniform_epochs=1, biased_epochs=1
    )
    assert rand_index_table.rand_index(setting._replace(em_epochs=5), 0) == 1.0


def test_bad_input_is_refused_before_anything_is_measured(tmp_path, counted, run):
    path = tmp_path / "new" / "rand.csv"
    bad = SETTING._replace(momentum=1.0)
    with pytest.raises(errors.UserError, match="momentum must be in"):
        rand_index_table.measure([SETTING, bad], range(2), path)
    assert not counted and not path.exists()
    result = run("rand_index", f"--output={path}", "--momentum=1")
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert "momentum must be in [0, 1), got 1.0" in result.stderr


def test_what_no_flag_gives_is_the_task_s_laptop_setting():
    flags.FLAGS.mark_as_parsed()
    laptop = configs.get_config("empo", tasks.get("hopper-medium-expert-v2"), "laptop")
    plain = command.setting("hopper-medium-expert-v2")
    assert plain.num_transitions == 2_000_000
    assert plain[2:] == tuple(getattr(laptop, name) for name in plain._fields[2:])
    with flagsaver.flagsaver(momentum=0.0, em_epochs=7):
        changed = command.setting("hopper-medium-expert-v2")
        assert changed == plain._replace(momentum=0.0, em_epochs=7)
    assert command.setting("navigation-v0").epoch_steps == 2_000


def test_ablations_are_all_combinations_of_the_heuristics():
    flags.FLAGS.mark_as_parsed()
    assert command.cells("hopper-medium-expert-v2", False) == [
        command.setting("hopper-medium-expert-v2")
    ]
    cells = command.cells("hopper-medium-expert-v2", True)
    found = [(c.momentum, c.uniform_epochs, c.biased_epochs) for c in cells]
    assert sorted(found) == [
        (mu, uniform, biased)
        for mu in (0, 0.9)
        for uniform in (0, 20)
        for biased in (0, 3)
    ]


def test_data_without_labels_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    maze = SETTING._replace(env="maze2d-umaze-v1", num_transitions=1_000)
    with pytest.raises(errors.UserError, match="does not tell which policy acted"):
        rand_index_table.rand_index(maze, 0)
