"""Says of a file that no reader reads what it is, lest it be called damaged."""

from __future__ import annotations

import codecs
import pathlib

import h5py

from gem_jax import errors

_MANY = 8  # names of a file's content that a message lists

# What files of other formats begin with. HDF5 has its signature, perhaps after a
# block of the user's own.
_BEGINNINGS = {
    b"PK\x03\x04": "a zip archive, such as NumPy's .npz",
    b"\x93NUMPY": "a NumPy .npy array",
    b"PAR1": "a Parquet table",
    b"ARROW1": "an Arrow table",
    b"\x1f\x8b": "a gzip archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"\x80\x02": "a Python pickle",
    b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
    b"MATLAB 5.0": "a MATLAB file older than version 7.3",
    b"version https://git-lfs": "a pointer of Git LFS, its content not fetched",
    b"<": "a web page or XML",
    b"{": "JSON",
    b"[": "JSON",
}
_HDF5 = b"\x89HDF\r\n\x1a\n"

# Arrays that mark in other layouts where episodes end, where D4RL's has timeouts.
_OTHER_ENDS = ("truncations", "episode_terminals", "episode_ends", "dones")


def check_hdf5(path: pathlib.Path) -> None:
    """Refuses what is no HDF5 file at all, damaged or not.

    Raises:
      UserError: says what it is instead.
    """
    beginning = _beginning(path)
    if _is_hdf5(path, beginning):
        return
    raise errors.UserError(
        f"{path} ({path.stat().st_size:,} bytes) is no HDF5 file: it "
        f"{_begins(beginning)}; convert it to D4RL's or Minari's HDF5 layout"
    )


def container(path: pathlib.Path) -> str:
    """``"HDF5"``, ``"NumPy"`` (an archive) or ``"CSV"``, by a file's first bytes.

    Raises:
      UserError: absent, unreadable, or none of them; says what it is instead.
    """
    beginning = _beginning(path)
    if _is_hdf5(path, beginning):
        return "HDF5"
    if beginning.startswith(b"PK\x03\x04"):
        return "NumPy"
    named = any(beginning.startswith(start) for start in _BEGINNINGS)
    if beginning and not named and _is_text(beginning):
        return "CSV"
    raise errors.UserError(
        f"{path} ({path.stat().st_size:,} bytes) is no HDF5, NumPy or CSV file: it "
        f"{_begins(beginning)}; convert it"
    )


def _beginning(path: pathlib.Path) -> bytes:
    if path.is_dir():
        raise errors.UserError(f"{path} is a folder; name the file in it")
    if not path.is_file():
        raise errors.UserError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            return file.read(512)
    except OSError as error:
        raise errors.UserError(f"cannot read {path}: {error.strerror}") from None


def _is_hdf5(path: pathlib.Path, beginning: bytes) -> bool:
    return beginning.startswith(_HDF5) or h5py.is_hdf5(path)


def _is_text(beginning: bytes) -> bool:
    """Whether it is UTF-8, but for a character that may be cut off at its end."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return False
    return b"\0" not in beginning


def check_d4rl(file: h5py.File, path: pathlib.Path, required: tuple[str, ...]) -> None:
    """Refuses an HDF5 file in another layout than D4RL's.

    Args:
      file: the open file.
      path: where it lies, for the message.
      required: names of the arrays that the layout needs.

    Raises:
      UserError: says what was found and what is read.
    """
    layout = f"D4RL's layout (arrays {', '.join(required)} side by side)"
    missing = [key for key in required if not isinstance(file.get(key), h5py.Dataset)]
    if len(missing) == len(required):
        raise errors.UserError(
            f"{path} holds {content(file)}, not {layout}; {_remedy(file)}"
        )
    if missing:
        raise errors.UserError(
            f"{path} has no array {missing[0]!r} but {content(file)}; bring it to "
            f"{layout}"
        )
    others = [key for key in _OTHER_ENDS if key in file]
    if others and "timeouts" not in file:
        raise errors.UserError(
            f"{path} marks the ends of episodes by {others[0]!r}, which D4RL's layout "
            "lacks; store as 'timeouts' where an episode ends without a termination"
        )


def check_minari(file: h5py.File, path: pathlib.Path) -> None:
    """Refuses an HDF5 file that holds anything but Minari's episodes.

    Raises:
      UserError: says what was found and what is read.
    """
    if not all(name.startswith("episode_") for name in file):
        raise errors.UserError(
            f"{path} holds {content(file)}, not Minari's layout (groups episode_0, "
            "episode_1 and so on); D4RL's layout is read by --source=file:PATH"
        )


def _begins(beginning: bytes) -> str:
    if not beginning:
        return "is empty"
    for start, name in _BEGINNINGS.items():
        if beginning.startswith(start):
            return f"looks like {name}"
    if _is_text(beginning):
        return "looks like text, perhaps a table"
    return f"begins with {beginning[:8].hex(' ')}"


def content(file: h5py.File) -> str:
    """What an HDF5 file holds at its top, for a message."""
    names = sorted(file)
    if not names:
        return "nothing"
    groups = sum(isinstance(file.get(name), h5py.Group) for name in names)
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    listed = ", ".join(map(repr, names[:_MANY]))  # damage may have garbled a name
    return f"{groups} group(s) and {len(names) - groups} array(s) ({listed}{more})"


def _remedy(file: h5py.File) -> str:
    if "episode_0" in file:
        return "it is Minari's, read from Minari's folder by --source=minari:ID"
    inner = file.get("data")
    if isinstance(inner, h5py.Group) and any(name.startswith("demo") for name in inner):
        return "it looks like robomimic's, read by --source=file:PATH"
    return "convert it"
