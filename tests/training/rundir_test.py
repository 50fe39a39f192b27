"""Run-folder files survive interruption and say what is wrong with them."""

import json

import pytest

from gem_jax import errors
from gem_jax.training import rundir


def test_json_round_trip_leaves_no_temporary_file(tmp_path):
    rundir.write_json(tmp_path / "a.json", {"x": 1})
    rundir.write_json(tmp_path / "a.json", {"x": 2})
    assert rundir.read_json(tmp_path / "a.json") == {"x": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_numbers_that_json_lacks_are_null(tmp_path):
    content = {"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": -float("inf")}}
    rundir.write_json(tmp_path / "a.json", content)
    rundir.append_lines(tmp_path / "a.jsonl", [content])
    expected = {"a": None, "b": [1.5, None], "c": {"d": None}}
    for name in ("a.json", "a.jsonl"):
        text = (tmp_path / name).read_text()
        assert json.loads(text, parse_constant=pytest.fail) == expected


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(errors.UserError, match="is it a run folder"):
        rundir.read_json(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(errors.UserError, match="config.json is not JSON"):
        rundir.read_json(tmp_path / "config.json")


def test_lines_append_forget_and_forgive_an_unfinished_tail(tmp_path):
    path = tmp_path / "m.jsonl"
    rundir.append_lines(path, [{"step": 1}, {"step": 2}])
    rundir.append_lines(path, [{"step": 3}])
    with path.open("a") as file:
        file.write('{"step": 4, "lo')
    assert [row["step"] for row in rundir.read_lines(path)] == [1, 2, 3]
    rundir.forget_after(path, 2)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'
    assert rundir.read_lines(tmp_path / "none.jsonl") == []


def test_damage_in_the_middle_is_an_error(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 1}\n{oops\n{"step": 3}\n')
    with pytest.raises(errors.UserError, match="line 2 is damaged"):
        rundir.read_lines(path)


def test_unwritable_folder_is_named(tmp_path):
    with pytest.raises(errors.UserError, match="cannot write"):
        rundir.write_json(tmp_path / "missing" / "a.json", {})


def test_a_summary_that_no_run_wrote_is_damaged(tmp_path):
    whole = dict(env="x", algo="bc", seeds=[0], normalized_score=None)
    rundir.write_json(tmp_path / rundir.SUMMARY, whole)
    assert rundir.read_summary(tmp_path) == whole
    for name in whole:
        without = {n: v for n, v in whole.items() if n != name}
        rundir.write_json(tmp_path / rundir.SUMMARY, without)
        with pytest.raises(errors.UserError, match=f"damaged, it lacks '{name}'"):
            rundir.read_summary(tmp_path)
