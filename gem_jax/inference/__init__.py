"""Choosing an action at deployment: propose candidates, score them, select one.

Free of networks and needs jax alone: a program with its own critic and behavior model
calls these under its own ``jit`` and ``vmap``. Knobs are traced, so changing kappa,
lambda or t never recompiles; only the number of candidates and top_m are shapes.
"""

from gem_jax.inference.candidates import Sampler as Sampler
from gem_jax.inference.candidates import propose as propose
from gem_jax.inference.chunks import map_chunks as map_chunks
from gem_jax.inference.knobs import Knobs as Knobs
from gem_jax.inference.refining import refine as refine
from gem_jax.inference.scoring import ScoreOutput as ScoreOutput
from gem_jax.inference.scoring import lambda_schedule as lambda_schedule
from gem_jax.inference.scoring import score as score
from gem_jax.inference.selection import Selection as Selection
from gem_jax.inference.selection import audit as audit
from gem_jax.inference.selection import select as select
from gem_jax.ops.mixture import Mixture as Mixture

__all__ = [
    "Knobs",
    "Mixture",
    "Sampler",
    "ScoreOutput",
    "Selection",
    "audit",
    "lambda_schedule",
    "map_chunks",
    "propose",
    "refine",
    "score",
    "select",
]
