"""Who publishes original files: where they are fetched from, and where kept."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import zipfile
from collections.abc import Callable

import h5py


@dataclasses.dataclass
class Publisher:
    """Attributes:
    title: for messages.
    url: folder of the files.
    variable: of the environment, which names the folder that keeps them.
    folder: that of the publisher's own package, below the user's home.
    file_format: for messages.
    is_whole: whether a file is of that format, where no hash was published.
    """

    title: str
    url: str
    variable: str
    folder: str
    file_format: str
    is_whole: Callable[[pathlib.Path], bool]

    def cache_folder(self) -> pathlib.Path:
        """Where originals are kept."""
        chosen = os.environ.get(self.variable)
        default = pathlib.Path.home() / self.folder
        return pathlib.Path(chosen).expanduser() if chosen else default


D4RL = Publisher(
    title="D4RL",
    url="http://rail.eecs.berkeley.edu/datasets/offline_rl/",
    variable="D4RL_DATASET_DIR",
    folder=".d4rl/datasets",
    file_format="HDF5",
    is_whole=h5py.is_hdf5,
)
OGBENCH = Publisher(
    title="OGBench",
    url="https://rail.eecs.berkeley.edu/datasets/ogbench/",
    variable="OGBENCH_DATASET_DIR",
    folder=".ogbench/data",
    file_format=".npz",
    is_whole=zipfile.is_zipfile,
)
PUBLISHERS = {"d4rl": D4RL, "ogbench": OGBENCH}
