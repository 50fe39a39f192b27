"""Tables that grow: what is theirs is read, what is not is left alone."""

import pytest

from experiments.lib import csv_rows
from gem_jax import errors
from gem_jax.training import rundir

COLUMNS = ("env", "score", "dataset")


def test_older_columns_are_read_and_half_a_header_begins_anew(tmp_path):
    path = tmp_path / "scores.csv"
    csv_rows.append(path, COLUMNS[:2], [{"env": "a", "score": 1}])
    rows = csv_rows.read(path, COLUMNS, COLUMNS[:1], COLUMNS[:2])
    assert rows == [{"env": "a", "score": "1", "dataset": ""}]
    for begun in ("", "env,sc"):
        path.write_text(begun)
        assert csv_rows.read(path, COLUMNS) == [] and not path.exists()


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00\n", b"other\n", b"other"])
def test_what_is_no_table_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "scores.csv"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(errors.UserError, match="is not a table of this program"):
        csv_rows.read(path, COLUMNS)
    assert path.is_dir() if content is None else path.read_bytes() == content


def test_a_file_in_place_of_a_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(errors.UserError, match="cannot write"):
        rundir.write_json(tmp_path / "file" / "x.json", {})
    assert (tmp_path / "file").read_text() == "mine"


def test_a_path_that_cannot_be_is_one_error(tmp_path):
    (tmp_path / "file").write_text("x")
    path = tmp_path / "file" / "scores.csv"
    with pytest.raises(errors.UserError, match="cannot write .*scores.csv: Not a dir"):
        csv_rows.read(path, COLUMNS)
    with pytest.raises(errors.UserError, match="cannot write .*scores.csv: "):
        csv_rows.append(path, COLUMNS, [{"env": "a"}])
