"""Which trajectories came from the same policy: EM over whole trajectories.

The first stage of EMPO, usable alone. ``fit`` does everything; ``make`` gives its parts
as pure functions over a state.
"""

from gem_jax.clustering.checks import check as check
from gem_jax.clustering.em import Clusterer as Clusterer
from gem_jax.clustering.em import State as State
from gem_jax.clustering.em import make as make
from gem_jax.clustering.fitting import Epoch as Epoch
from gem_jax.clustering.fitting import Fit as Fit
from gem_jax.clustering.fitting import fit as fit
from gem_jax.clustering.likelihood import Trajectories as Trajectories
from gem_jax.clustering.scores import adjusted_rand_index as adjusted_rand_index
from gem_jax.clustering.scores import confusion_matrix as confusion_matrix
from gem_jax.clustering.scores import rand_index as rand_index
from gem_jax.clustering.settings import Settings as Settings

__all__ = [
    "Clusterer",
    "Epoch",
    "Fit",
    "Settings",
    "State",
    "Trajectories",
    "adjusted_rand_index",
    "check",
    "confusion_matrix",
    "fit",
    "make",
    "rand_index",
]
