"""The stages that train, each from the model that the one before it left."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.errors import OptimizeError
from npu.model.tflite_reader import read_model_bytes
from npu.offload.network import CompiledNetwork
from npu.optimize.choices import Method, Quantization
from npu.optimize.data import Dataset
from npu.optimize.granularity import Groups
from npu.optimize.measure import weight_stream_bytes
from npu.optimize.settings import Settings
from npu.optimize.training.automata import AutomataPruner
from npu.optimize.training.channels import shrink
from npu.optimize.training.clustering import Codes, clustered_codes, share_values
from npu.optimize.training.constraints import Mask, arm
from npu.optimize.training.convert import convert, put_codes
from npu.optimize.training.fake_quant import INT4_LIMIT, copy_weights, rounded_twin
from npu.optimize.training.fit import FitPlan, Log, fit, scores, steps_in_epoch
from npu.optimize.training.layer_bits import (
    LOSS_BUDGET,
    choose_layers,
    cross_entropy,
    int4_codes,
    loss_of_rounding,
)
from npu.optimize.training.models import fold_batchnorm, weighted_layers
from npu.optimize.training.pruning import Pruner
from npu.optimize.training.schedule import RAMP, Schedule, cubic, stages
from rtl.config import NpuConfig
from sim.cache import content_key
from sim.cycle import simulate
from sim.memory import MemoryConfig

MULTISTAGE_COUNT = 3
CALIBRATION = 300


@dataclass
class Session:
    """What the stages of a run share.

    Attributes
    ----------
    settings, data, config : of the run.
    checkpoints : the folder of checkpoints; None keeps none.
    key : what identifies all that has been done so far.
    log : called with one line about each epoch.
    targets : what training learns in place of the labels; see `FitPlan`.
    codes : by layer, the codes that are fixed for the file. packed : those of them in four bits.
    notes : lines for the user.
    """

    settings: Settings
    data: Dataset
    config: NpuConfig
    checkpoints: Path | None = None
    key: str = ""
    log: Log | None = None
    targets: NDArray[np.float32] | None = None
    codes: dict[str, Codes] = field(default_factory=dict)
    packed: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def plan(
        self, stage: str, *depends: object, rate: float = 1.0, choose_from: int = 0
    ) -> FitPlan:
        """How a stage trains, at `rate` times the rate that is asked for.

        Parameters
        ----------
        depends : the settings that this stage depends on, besides those of all training. Runs that
            share checkpoints train what they have in common once.
        """
        settings = self.settings
        common = (settings.epochs, settings.batch, settings.rate, settings.seed)
        learnt = (settings.distill, settings.augment)
        self.key = content_key(self.key, stage, repr((common, learnt, rate, depends)))
        place = None
        if self.checkpoints is not None:
            place = self.checkpoints / f"{stage.replace(' ', '_')}_{self.key[:8]}.npz"
        return FitPlan(
            stage=stage,
            epochs=settings.epochs,
            batch=settings.batch,
            rate=settings.rate * rate,
            seed=settings.seed,
            checkpoint=place,
            key=self.key,
            choose_from=min(choose_from, settings.epochs - 1),
            targets=self.targets,
            augment=settings.augment,
        )

    def to_file(self, model: Any) -> bytes:
        """The integer network of a model, which may have batch normalization."""
        folded = fold_batchnorm(model)
        order = np.random.default_rng(self.settings.seed).permutation(len(self.data.train))
        calibration = self.data.train.x[order[:CALIBRATION]]
        kind = self.settings.quantize or Quantization.INT8
        content = convert(folded, calibration, kind)
        return put_codes(content, folded, self.codes, self.packed)


def dense_layers(model: Any, dense: frozenset[str]) -> list[str]:
    """Names of the layers with weights that are not to be pruned.

    Raises
    ------
    OptimizeError : a name that no layer has.
    """
    names = [layer.name for layer in weighted_layers(model)]
    known = {"first": names[:1], "last": names[-1:], "none": []}
    for name in sorted(dense - set(known) - set(names)):
        raise OptimizeError(
            f"--dense {name!r} is no layer: first, last, none, or one of {', '.join(names)}"
        )
    chosen = {each for name in dense for each in known.get(name, [name])}
    return [name for name in names if name in chosen]


def prunable_layers(model: Any, settings: Settings) -> list[Any]:
    """The layers that are pruned.

    Raises
    ------
    OptimizeError : there are none.
    """
    dense = dense_layers(model, settings.dense)
    layers = [layer for layer in weighted_layers(model) if layer.name not in dense]
    if not layers:
        raise OptimizeError(
            f"the model has nothing to prune: {', '.join(dense) or 'no layer'} stays dense (--dense"
            " says which), and only Conv2D without groups and Dense are pruned"
        )
    return layers


def prune_weights(model: Any, session: Session) -> Any:
    """Zero weights, words or channels while training, and hold them at zero from then on."""
    settings = session.settings
    assert settings.prune is not None
    layers = prunable_layers(model, settings)
    groups = Groups.of(settings.granularity, session.config)
    steps = settings.epochs * steps_in_epoch(len(session.data.train), settings.batch)
    pruner = make_pruner(settings, layers, groups, steps, session)
    multistage = settings.prune.method is Method.MULTISTAGE
    settled = 1 - 1 / MULTISTAGE_COUNT if multistage else RAMP
    plan = session.plan(
        f"prune by {settings.prune.method}",
        *(settings.prune, groups, sorted(settings.dense)),
        choose_from=_first(settled, settings),
    )
    fit(model, session.data, plan, callbacks=[pruner], log=session.log)
    hold_zeros(model)
    return model


def prune_channels(model: Any, session: Session) -> Any:
    """Take channels out of the model by LASSO and least squares, and train what is left."""
    settings = session.settings
    assert settings.prune is not None
    ratio = settings.prune.ratio
    shrunk = shrink(model, session.data.train.x, ratio, seed=settings.seed)
    wanted = 1 / (1 - ratio)
    told = f"channels removed: {shrunk.factor:.2f}x fewer MACs, {wanted:.2f}x asked"
    if shrunk.factor < wanted:
        told += "; that is as far as it goes: every set of channels keeps one"
    session.notes.append(told)
    fit(shrunk.model, session.data, session.plan("remove channels", ratio), log=session.log)
    return shrunk.model


def make_pruner(
    settings: Settings, layers: Sequence[Any], groups: Groups, steps: int, session: Session
) -> Pruner:
    """The callback of the method that is asked for."""
    assert settings.prune is not None
    ratio = settings.prune.ratio
    schedule: Schedule = cubic(ratio, steps)
    if settings.prune.method is Method.MULTISTAGE:
        return Pruner(layers, groups, stages(ratio, steps, MULTISTAGE_COUNT), steps)
    if settings.prune.method is Method.AUTOMATA:
        return AutomataPruner(
            layers,
            groups,
            schedule,
            steps,
            ratio=ratio,
            data=session.data.train,
            batch=settings.batch,
            seed=settings.seed,
        )
    return Pruner(layers, groups, schedule, steps)


def hold_zeros(model: Any) -> None:
    """From now on, weights that are zero stay so."""
    for layer in weighted_layers(model):
        kernel = np.asarray(layer.kernel)
        arm(layer, Mask(kernel != 0) if not kernel.all() else None)


def cluster_weights(model: Any, session: Session) -> Any:
    """Give each tensor few values, and train these; with `qat` under rounding."""
    settings = session.settings
    assert settings.clusters is not None
    model = fold_batchnorm(model)
    layers = weighted_layers(model)
    for layer in layers:
        share_values(layer, settings.clusters, start=settings.start, seed=settings.seed)
    scales = {layer.name: layer.kernel.constraint.scales for layer in layers}
    plan = session.plan("cluster", settings.clusters, settings.start, settings.qat, rate=0.3)
    if settings.qat:
        _fit_rounded(model, session, plan, scales=scales)
    else:
        fit(model, session.data, plan, log=session.log)
    session.codes |= {layer.name: clustered_codes(layer) for layer in layers}
    return model


def train_rounded(model: Any, session: Session) -> Any:
    """Quantization-aware training with weights of eight bits."""
    model = fold_batchnorm(model)
    hold_zeros(model)
    _fit_rounded(model, session, session.plan("quantization-aware", rate=0.3))
    return model


def small_weights(model: Any, session: Session) -> Any:
    """Weights of four bits for all layers that are not dense, or for those that `mixed` chooses."""
    settings = session.settings
    model = fold_batchnorm(model)
    hold_zeros(model)
    layers = {layer.name: layer for layer in prunable_layers(model, settings)}
    whole = {name: len(layer.kernel.shape) == 2 for name, layer in layers.items()}
    names = list(layers)
    if settings.quantize is Quantization.MIXED:
        names = _mixed(model, session, layers, whole)
        told = ", ".join(names) or "none: no layer saves enough for what it costs"
        session.notes.append(f"layers with weights of four bits: {told}")
    if names:
        limits = dict.fromkeys(names, INT4_LIMIT)
        _fit_rounded(model, session, session.plan("four bits", names, rate=0.3), limits=limits)
    session.codes |= {name: int4_codes(layers[name], whole=whole[name]) for name in names}
    session.packed = tuple(names)
    return model


def _mixed(
    model: Any, session: Session, layers: Mapping[str, Any], whole: Mapping[str, bool]
) -> list[str]:
    validation = session.data.validation
    base = cross_entropy(scores(model, validation), validation.y)
    increases = [
        loss_of_rounding(model, layer, validation, whole=whole[name]) - base
        for name, layer in layers.items()
    ]
    plain = session.to_file(model)

    def cost(names: Sequence[str]) -> tuple[int, int]:
        codes = {name: int4_codes(layers[name], whole=whole[name]) for name in names}
        return network_cost(put_codes(plain, model, codes, names), session.config)

    return choose_layers(list(layers), increases, cost, LOSS_BUDGET * base)


def network_cost(content: bytes, config: NpuConfig) -> tuple[int, int]:
    """Cycles of a network on the NPU, and bytes of weights that it reads."""
    programs = CompiledNetwork(read_model_bytes(content, "candidate"), config).programs.values()
    cycles = sum(simulate(program, MemoryConfig()).cycles for program in programs)
    return cycles, sum(weight_stream_bytes(program) for program in programs)


def _fit_rounded(
    model: Any,
    session: Session,
    plan: FitPlan,
    *,
    limits: Mapping[str, int] | None = None,
    scales: Mapping[str, Any] | None = None,
) -> None:
    """Train a rounded twin of `model` under the same constraints, and take its weights."""
    twin = rounded_twin(model, session.data.train.x[:1000], limits=limits, scales=scales)
    constraints = {layer.name: layer.kernel.constraint for layer in weighted_layers(model)}
    for layer in weighted_layers(twin):
        arm(layer, constraints[layer.name])
    fit(twin, session.data, plan, log=session.log)
    copy_weights(twin, model)


def _first(settled: float, settings: Settings) -> int:
    return math.ceil(settled * settings.epochs)
