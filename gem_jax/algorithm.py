"""The protocol: an algorithm is a small bundle of pure functions.

A factory ``make(config, spec) -> Algorithm`` binds configuration; all change flows
through an explicit state; the caller owns jit, vmap, the loop and the keys. Functions
treat one seed and, when acting, one state: the loop vmaps over seeds and the evaluator
over environments, so no algorithm can let rows of a batch influence each other.

The loop counts steps and normalizes observations: wherever an algorithm meets an
observation but in ``check``, in a dataset, a batch or when acting, it is normalized.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from gem_jax import sampling
from gem_jax.types import (
    ActOutput,
    Array,
    EnvSpec,
    Metrics,
    Params,
    PolicyParams,
    PRNGKey,
    Transition,
)

State = Any  # a pytree of arrays
Memory = Any  # a pytree of arrays: what a policy keeps of an episode


class InitFn(Protocol):
    """Makes the state before training, a function of the key alone."""

    def __call__(self, key: PRNGKey) -> State: ...


class PrepareFn(Protocol):
    """Runs once on entering a phase, before its first update.

    Returns the state, into which statistics of the data may be fitted, and arrays with
    leading axis `D` that join ``dataset.extras``. It runs again when a run resumes
    inside the phase, so its result may depend on the state only through parts that the
    phase leaves alone.
    """

    def __call__(
        self, state: State, key: PRNGKey, dataset: Transition
    ) -> tuple[State, Mapping[str, Array]]: ...


class RefreshFn(Protocol):
    """Recomputes a part of the state from the whole dataset now and then.

    Runs before an update whenever ``refresh_every`` divides the step of the phase, on
    entry included; once for each such step, however often a run is interrupted.
    """

    def __call__(
        self, state: State, key: PRNGKey, dataset: Transition, step: Array
    ) -> State: ...


class SampleFn(Protocol):
    """Takes a batch from the dataset."""

    def __call__(
        self, key: PRNGKey, dataset: Transition, batch_size: int, step: Array | int
    ) -> Transition: ...


class UpdateFn(Protocol):
    """One gradient step on a batch.

    Metrics are scalars named ``component/quantity``, the same at every step; the
    components are fields of the state, and a step changes no others.
    """

    def __call__(
        self, state: State, key: PRNGKey, batch: Transition, step: Array
    ) -> tuple[State, Metrics]: ...


class ActFn(Protocol):
    """Chooses an action for one state.

    ``observation`` is `[O]`, ``t`` the step inside the episode, ``knobs`` a pytree of
    the algorithm's own kind.
    """

    def __call__(
        self, params: Params, key: PRNGKey, observation: Array, t: Array, knobs: Any
    ) -> ActOutput: ...


class ActByMemoryFn(Protocol):
    """The same by ``memory``, as ``observe`` has just returned it."""

    def __call__(
        self,
        params: Params,
        key: PRNGKey,
        observation: Array,
        t: Array,
        knobs: Any,
        memory: Memory,
    ) -> ActOutput: ...


class ProposeFn(Protocol):
    """Samples `[n, A]` of what a policy acts by in one state, for another to judge.

    Parameters, observation and knobs are those of ``act``; ``n`` is static and at least
    1. Samples need not lie inside the box.
    """

    def __call__(
        self, params: Params, key: PRNGKey, observation: Array, n: int, knobs: Any
    ) -> Array: ...


class Judged(NamedTuple):
    """What one action is chosen from.

    Attributes:
      actions: `[C, A]` in [-1, 1] from an algorithm, the deterministic one first; in
        the environment's units from whatever acts in it.
      score: `[C]`, whose highest is executed.
      terms: `[C]` by name, what the score is made of.
    """

    actions: Array
    score: Array
    terms: Mapping[str, Array]


class JudgeFn(Protocol):
    """Candidates for one state and their scores, as ``act`` draws and sees them."""

    def __call__(
        self, params: Params, key: PRNGKey, observation: Array, t: Array, knobs: Any
    ) -> Judged: ...


class Joint(NamedTuple):
    """Parameters of a policy that chooses among another's actions.

    Attributes:
      scorer: of the one that chooses.
      proposer: of the other.
    """

    scorer: PolicyParams
    proposer: PolicyParams


class Proposer(Protocol):
    """Another policy's samples `[n, A]` for an observation `[O]` as it comes."""

    def __call__(
        self, params: PolicyParams, key: PRNGKey, observation: Array, t: Array, n: int
    ) -> Array: ...


class InitMemoryFn(Protocol):
    """What a policy remembers before the first step of an episode."""

    def __call__(self, params: Params, knobs: Any) -> Memory: ...


class ObserveFn(Protocol):
    """Takes into memory what the last action led to; runs before every ``act``.

    ``last_action`` `[A]` is what was executed and ``last_reward`` `[]` what the
    environment gave for it; both are 0 at the first step of an episode.
    """

    def __call__(
        self,
        params: Params,
        key: PRNGKey,
        memory: Memory,
        observation: Array,
        last_action: Array,
        last_reward: Array,
        t: Array,
        knobs: Any,
    ) -> Memory: ...


class ExploreFn(Protocol):
    """Chooses an action to learn from: `[A]` in [-1, 1], for one state.

    Parameters and observation are those of ``act``.
    """

    def __call__(self, params: Params, key: PRNGKey, observation: Array) -> Array: ...


def prepare_nothing(
    state: State, key: PRNGKey, dataset: Transition
) -> tuple[State, Mapping[str, Array]]:
    """The ``prepare`` of a phase that needs none."""
    del key, dataset
    return state, {}


class Phase(NamedTuple):
    """A stretch of training with one kind of update; its functions are hashable.

    ``step``, where a function takes it, counts the gradient steps of the phase.

    Attributes:
      name: shown in the metrics.
      num_steps: gradient steps, absolute.
      batch_size: transitions a step.
      update: one step.
      prepare: run once on entry.
      refresh: run every ``refresh_every`` steps; ``None`` for most phases.
      refresh_every: steps, at least 1; those of the whole phase make it run on entry
        alone. It need not divide ``num_steps``.
      sample: where the batches come from.
    """

    name: str
    num_steps: int
    batch_size: int
    update: UpdateFn
    prepare: PrepareFn = prepare_nothing
    refresh: RefreshFn | None = None
    refresh_every: int = 0
    sample: SampleFn = sampling.uniform


class Online(NamedTuple):
    """How an algorithm goes on learning in the environment.

    Attributes:
      explore: acts there.
      phase: its updates, on batches of recorded and of new transitions alike, without
        ``refresh``. Its ``prepare`` runs on the data on entry, and must make the
        extras of a few consecutive transitions too, whose last one it takes for the
        end of the data; what it then returns as state is not used.
    """

    explore: ExploreFn
    phase: Phase


def act_by(policy: Callable[[Params, Array], Array]) -> ActFn:
    """Acts by a function of parameters and observation `[O]` to the action alone."""

    def act(
        params: Params, key: PRNGKey, observation: Array, t: Array, knobs: Any
    ) -> ActOutput:
        del key, t, knobs
        return ActOutput(policy(params, observation), audit={})

    return act


def accept(dataset: Transition, log: Callable[[str], None]) -> None:
    """The ``check`` of an algorithm to which any dataset is good."""
    del dataset, log


class Algorithm(NamedTuple):
    """An algorithm bound to its configuration and to the sizes of an environment.

    Attributes:
      spec: those sizes.
      init: key to state.
      phases: run in order; evaluation happens during the last.
      actor_params: the part of the state that acting reads, and nothing else.
      act: chooses an action.
      knobs: the configured knobs of ``act``, a dataclass with ``validate``; an empty
        tuple when it has none. Their names become flags and columns of tables.
      check: called with the dataset, on the host, before training; logs what is seldom
        meant and raises ``UserError`` at what cannot work.
      normalize_observations: by the dataset's mean and standard deviation.
      n_step_discount: gamma, if targets weigh what follows a transition by the extra
        ``types.DISCOUNT`` where there is one, and so may span several steps.
      recorded_rewards: it compares the rewards that acting brings with the data's, so
        training must see these as recorded.
      init_memory: with ``observe``, for a policy that acts by what came before in the
        episode; ``None`` for most.
      observe: see ``init_memory``.
      propose: gives samples to another algorithm's scorer; ``None`` for a policy of one
        action. Who replaces ``act`` replaces it too.
      judge: shows what ``act`` chooses from; ``None`` for what scores no candidates.
        Who replaces ``act`` replaces it too.
      online: ``None`` for what learns from recorded data only.
    """

    spec: EnvSpec
    init: InitFn
    phases: tuple[Phase, ...]
    actor_params: Callable[[State], Params]
    act: ActFn | ActByMemoryFn
    knobs: Any = ()
    check: Callable[[Transition, Callable[[str], None]], None] = accept
    normalize_observations: bool = True
    n_step_discount: float | None = None
    recorded_rewards: bool = False
    init_memory: InitMemoryFn | None = None
    observe: ObserveFn | None = None
    propose: ProposeFn | None = None
    judge: JudgeFn | None = None
    online: Online | None = None

    @property
    def num_steps(self) -> int:
        """Gradient steps of all phases together."""
        return sum(phase.num_steps for phase in self.phases)
