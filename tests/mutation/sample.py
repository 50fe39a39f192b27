"""Keeps a random sample of a session's pending mutants and skips the others.

Also skipped are mutants that are no program, such as one with a "%" for the "*" that
begins keyword-only parameters. To be run where the session was made.
"""

import argparse
import itertools
import pathlib
import random

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import WorkerOutcome, WorkResult


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("session")
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with use_db(args.session) as db:
        mutants = {place(item): item.job_id for item in db.pending_work_items}
        order = sorted(mutants)
        random.Random(args.seed).shuffle(order)
        kept = itertools.islice(filter(is_a_program, order), args.size)
        skipped = [mutants[each] for each in mutants.keys() - set(kept)]
        result = WorkResult(WorkerOutcome.SKIPPED, output="not in the sample")
        db.set_multiple_results(skipped, result)


def place(item):
    """The same for the same source; identifiers and their order are random."""
    (mutation,) = item.mutations
    return str(mutation.module_path), mutation.operator_name, mutation.occurrence


def is_a_program(mutant):
    module, operator, occurrence = mutant
    source = pathlib.Path(module).read_text()
    mutated = mutate_code(source, get_operator(operator)(), occurrence)
    try:
        compile(mutated, module, "exec")
    except SyntaxError:
        return False
    return True


if __name__ == "__main__":
    main()
