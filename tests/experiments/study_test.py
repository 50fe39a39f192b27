"""Studies: the written plan, its variants, the table, and the command."""

import pathlib

import numpy as np
import pytest

from experiments.lib import intervals
from experiments.study import plan as plans
from experiments.study import report
from gem_jax import errors
from gem_jax.runs import resolve

STUDIES = pathlib.Path(__file__).resolve().parents[2] / "studies"

PLAN = """
seeds = [3, 4]
episodes = 2
preset = "smoke"
[tasks]
"maze2d-umaze-v1" = "local"
[baseline.config]
num_steps = 40
behavior_steps = 20
hidden_sizes = [8, 8]
num_components = 2
num_candidates = 4
[ideas.anchor.knobs]
num_candidates = 0
[ideas.cautious.knobs]
kappa = 3.0
"""


def written(tmp_path, text):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    return path


def test_ideas_are_tried_alone_together_and_left_out(tmp_path):
    text = PLAN + "[ideas.steps.data]\nn_step = 3\n"
    plan = plans.read(written(tmp_path, text))
    variants = plan.variants()
    assert list(variants) == [
        *("baseline", "+ anchor", "+ cautious", "+ steps", "all"),
        *("all - anchor", "all - cautious", "all - steps"),
    ]
    assert all(v.config == plan.baseline.config for v in variants.values())
    together = variants["all"]
    assert together.knobs == {"num_candidates": 0, "kappa": 3.0}
    assert together.data == {"n_step": 3}
    assert variants["all - anchor"].knobs == {"kappa": 3.0}
    assert variants["all - steps"].data == {} == variants["+ anchor"].data
    assert plan.seeds == (3, 4) and plan.algo == "gem"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("seeds = [0", "no TOML file"),
        ("seeds = [0]", "a plan needs tasks"),
        (PLAN.replace("[3, 4]", "[]"), "a plan needs seeds"),
        (PLAN.replace("[3, 4]", "[3, 3]"), "names a seed twice"),
        (PLAN.replace("umaze", "nowhere"), "maze2d-nowhere-v1"),
        ("steps = 3\n" + PLAN, "has no field steps"),
        (PLAN + "[ideas.wrong]\nkappa = 1.0\n", "ideas.wrong has no field kappa"),
        (
            PLAN + "[ideas.wrong]\nconfig = 3\n",
            "ideas.wrong.config = 3 must be a table",
        ),
        (PLAN.replace("[3, 4]", "3"), "seeds = 3 must be a list of whole numbers"),
        (
            PLAN.replace("episodes = 2", "episodes = 0"),
            "episodes = 0 must be a whole number above 0",
        ),
        ("algo = 1\n" + PLAN, "algo = 1 must be a name"),
        ('seeds = [0]\ntasks = ["navigation-v0"]', "must be a table of sources"),
        (
            "ideas = 3\n" + PLAN.split("[ideas")[0],
            "ideas = 3 must be a table of tables",
        ),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path, text, named):
    with pytest.raises(errors.UserError, match=named):
        plans.read(written(tmp_path, text))


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda p: p.stem)
def test_the_plans_here_name_what_there_is(path):
    plan = plans.read(path)
    assert min(plan.seeds) >= 100  # those of result pages are lower
    for name, changes in plan.variants().items():
        for env, source in plan.tasks.items():
            run = resolve.resolve(
                env,
                plan.algo,
                plan.preset,
                source=source,
                seeds=plan.seeds,
                config={**changes.config, **changes.knobs},
                data=changes.data,
            )
            assert run.seeds == plan.seeds, name


def test_a_plan_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(errors.UserError, match="cannot read --plan"):
        plans.read(tmp_path / "none.toml")


def test_the_table_by_hand():
    def rows(speed, **scores):
        return [
            {"env": env, "normalized_score": str(s), "env_steps_per_second": speed}
            for env, values in scores.items()
            for s in values
        ]

    umaze, hopper = "maze2d-umaze-v1", "hopper-medium-v2"
    table = report.format_table(
        {
            "baseline": rows("100.0", **{umaze: [0, 10, 20, 90], hopper: [5] * 4}),
            "+ idea": rows("50.0", **{umaze: [50, 50, 50, 50], hopper: [7] * 4}),
        }
    )
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in table.splitlines()]
    assert cells[0][:3] == ["variant", umaze, hopper]
    low, high = intervals.bootstrap(np.array([[0.0, 10.0, 20.0, 90.0]]), intervals.iqm)
    assert cells[2][1:4] == ["30.0", "5.0", f"15.0 [{low:.1f}, {high:.1f}]"]
    assert cells[3] == [
        *("+ idea", "50.0", "7.0", "50.0 [50.0, 50.0]", "7.0 [7.0, 7.0]", "0.50")
    ]


def test_a_study_trains_once_for_knobs_and_continues(run, tmp_path):
    output = tmp_path / "study"
    one_idea = PLAN.split("[ideas.cautious")[0]
    flags = [f"--plan={written(tmp_path, one_idea)}", f"--output={output}"]
    result = run("study", *flags)
    assert result.returncode == 0, result.stderr
    table = (output / "table.md").read_text()
    assert table in result.stdout
    assert len(list((output / "runs" / "maze2d-umaze-v1").iterdir())) == 1
    scores = (output / "scores.csv").read_text()
    assert len(scores.splitlines()) == 1 + 2 * 2  # variants, seeds
    lines = scores.splitlines(keepends=True)
    (output / "scores.csv").write_text("".join(lines[:-1]) + lines[-1][:10])
    again = run("study", *flags)
    assert again.returncode == 0, again.stderr
    kept = (output / "scores.csv").read_text().splitlines(keepends=True)
    assert kept[:-1] == lines[:-1]
    assert kept[-1].split(",")[-1] == lines[-1].split(",")[-1]  # the returns


def test_the_command_names_what_it_lacks(run):
    result = run("study")
    assert result.returncode == 2 and "give --plan" in result.stderr


def test_a_mistake_is_found_before_anything_is_trained(run, tmp_path):
    plan = written(tmp_path, PLAN + "[ideas.wrong.knobs]\nkapa = 1.0\n")
    result = run("study", f"--plan={plan}", f"--output={tmp_path / 'study'}")
    assert result.returncode == 2 and "kapa" in result.stderr
    assert not (tmp_path / "study").exists()


def test_the_documented_run_folder_is_the_plans():
    root = pathlib.Path(__file__).resolve().parents[2]
    baseline = plans.read(root / "studies" / "weights.toml").variants()["baseline"]
    folder = (
        f"runs/studies/weights/runs/maze2d-medium-v1/{plans.training_name(baseline)}"
    )
    assert folder in (root / "docs" / "decisions.md").read_text()
