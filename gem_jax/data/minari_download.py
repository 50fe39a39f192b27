"""Downloads Minari datasets by Minari's own client, an extra.

What arrives lies in a folder of its own until it is whole, from where an interrupted
download goes on; then its size and SHA-256 are written beside it, and it gets its name.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

from gem_jax import errors
from gem_jax.data import files, minari, ports
from gem_jax.data.local import writer
from gem_jax.utils import locks

_PARTIAL = ".partial"  # below Minari's folder, which passes over hidden ones
_LONGEST = 200  # characters of another's message


def fetch(dataset_id: str, log: Callable[[str], None] = print) -> pathlib.Path:
    """Returns the data file of a dataset, downloaded unless it is there.

    Args:
      dataset_id: such as ``"mujoco/hopper/medium-v0"``.
      log: takes one line.

    Raises:
      UserError: bad id, or one that cannot serve; no client; server not reachable; no
        such dataset; disk full.
    """
    path = minari.data_folder(dataset_id) / minari.DATA_FILE
    ports.refuse(dataset_id)
    if path.is_file():
        return path
    storage, root = client(), minari.root()
    lock = root / f".{dataset_id.replace('/', '-')}.lock"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with locks.hold(lock, dataset_id, log):
            if not path.is_file():  # another process may just have fetched it
                log(f"data: downloading {dataset_id} to {path.parent.parent}")
                _transfer(storage, dataset_id, root)
    except OSError as error:
        raise errors.UserError(f"cannot write {path}: {error}") from error
    return path


def _transfer(storage: Any, dataset_id: str, root: pathlib.Path) -> None:
    try:
        storage.download_dataset(dataset_id, root / _PARTIAL)
    except Exception as error:  # of whatever libraries the client uses
        said = " ".join(str(error).split()) or type(error).__name__
        raise errors.UserError(
            f"cannot download {dataset_id}: {said[:_LONGEST]}; run again to go on from "
            f"there, or copy the dataset to {root / dataset_id}"
        ) from None
    arrived = root / _PARTIAL / dataset_id
    data_path = arrived / "data" / minari.DATA_FILE
    metadata_path = data_path.with_name(minari.METADATA_FILE)
    if not (data_path.is_file() and metadata_path.is_file()):
        raise errors.UserError(
            f"Minari publishes no {dataset_id} in HDF5; see `minari list remote`"
        )
    seal = {"sha256": files.file_sha256(data_path), "bytes": data_path.stat().st_size}
    data_path.with_name(minari.SEAL_FILE).write_text(json.dumps(seal, indent=2) + "\n")
    writer.write_namespaces(dataset_id)
    os.replace(arrived, root / dataset_id)


def client() -> Any:
    """What downloads: Minari's, of the remote that ``MINARI_REMOTE`` may name.

    Raises:
      UserError: it is not installed, or knows no such remote.
    """
    try:
        from minari.storage import remotes

        return remotes.get_cloud_storage()
    except ImportError:
        raise errors.UserError(
            "downloading from Minari takes its own client, which is not installed; "
            "`pip install 'gem_jax[minari]'`"
        ) from None
    except (KeyError, ValueError):
        raise errors.UserError(
            f"MINARI_REMOTE={os.environ.get('MINARI_REMOTE')!r} is no remote that "
            "Minari knows; unset it"
        ) from None
