"""Tries ideas by a written plan: one at a time, together, and all but each.

python -m experiments.study --plan=plan.toml --output=studies/targets

    seeds = [100, 101]
    [tasks]
    "maze2d-medium-v1" = "local"
    [ideas.ten_steps.data]
    n_step = 10
    [ideas.denoised.knobs]
    denoise_steps = 1

Variants that differ in knobs alone share their training. Scores by seed are in
``OUTPUT/scores.csv``, the table in ``OUTPUT/table.md``; the same command continues one
that was interrupted.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

from absl import flags

from experiments.lib import cli, csv_rows, evaluations, reevaluation
from experiments.study.plan import Changes, Plan, read, training_name
from gem_jax import errors
from gem_jax.data import tasks
from gem_jax.runs import resolve, run_record, runner
from gem_jax.training import rundir

_PLAN = flags.DEFINE_string("plan", None, "A TOML file.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder of runs, scores and table.")

SCORES = "scores.csv"
TABLE = "table.md"


def main(argv: list[str]) -> None:
    """Trains and evaluates what the scores lack, then prints the table."""
    cli.no_arguments(argv)
    if not _PLAN.value or not _OUTPUT.value:
        raise errors.UserError("give --plan=FILE.toml and --output=FOLDER")
    plan, output = read(pathlib.Path(_PLAN.value)), pathlib.Path(_OUTPUT.value)
    # All before the first: a mistake is not found after hours.
    for env in plan.tasks:
        for changes in plan.variants().values():
            _resolved(plan, env, changes | Changes(config=changes.knobs), output)
    rows: dict[str, list[csv_rows.Row]] = {name: [] for name in plan.variants()}
    for env in plan.tasks:
        for variants in _by_training(plan):
            run = _trained(plan, env, next(iter(variants.values())), output)
            for name, measured in _evaluated(plan, run, variants, output).items():
                rows[name] += measured
    # Not before there is something to show: scipy takes a second.
    from experiments.study import report

    known = [tasks.get(env) for env in plan.tasks]
    table = report.format_table(rows, {task.name: task for task in known})
    sources = ", ".join(f"{env} from {name}" for env, name in plan.tasks.items())
    text = f"Data: {sources}\n\n{table}\n"
    rundir.write_text(output / TABLE, text)
    print(text, end="")


def _by_training(plan: Plan) -> list[dict[str, Changes]]:
    """The variants, those together that one training serves."""
    groups: dict[str, dict[str, Changes]] = {}
    for name, changes in plan.variants().items():
        groups.setdefault(training_name(changes), {})[name] = changes
    return list(groups.values())


def _resolved(
    plan: Plan, env: str, changes: Changes, output: pathlib.Path
) -> run_record.Run:
    return resolve.resolve(
        env,
        plan.algo,
        plan.preset,
        source=plan.tasks[env],
        seeds=plan.seeds,
        workdir=output / "runs" / tasks.get(env).name / training_name(changes),
        config=changes.config,
        data=changes.data,
        command=f"experiments.study --plan={_PLAN.value}",
    )


def _trained(
    plan: Plan, env: str, changes: Changes, output: pathlib.Path
) -> reevaluation.TrainedRun:
    run = _resolved(plan, env, changes, output)
    told = f"config {dict(changes.config)}, data {dict(changes.data)}"
    print(f"{env}: {told}: {run.workdir}")
    runner.train(run, log=lambda line: print(line, flush=True))
    return reevaluation.load(run.workdir)


def _evaluated(
    plan: Plan,
    run: reevaluation.TrainedRun,
    variants: Mapping[str, Changes],
    output: pathlib.Path,
) -> dict[str, list[csv_rows.Row]]:
    """The rows of each variant, a seed each; what is not there yet is evaluated."""
    table = evaluations.Table(output / SCORES, plan.episodes, run.policies[0])
    changed = {name: run.with_knobs(c.knobs) for name, c in variants.items()}
    missing = [one for one in changed.values() if not table.holds(one)]
    for rows in reevaluation.evaluate(missing, plan.episodes):
        table.append(rows)
    return {name: table.rows(one) for name, one in changed.items()}


if __name__ == "__main__":
    cli.run(main)
