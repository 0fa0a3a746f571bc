"""Run int8 `.tflite` networks on a simulated NPU, bit-exact and cycle by cycle.

>>> import npu
>>> network = npu.load("npu/zoo/fashion_resnet.tflite")
>>> result = npu.run(network, config="npu64")
>>> result.cycles, result.utilization
>>> pandas.DataFrame(result.columns())

This is the whole public interface; everything else is internal and may move.

| name | what it is |
|---|---|
| `load` | reads a `.tflite` file: a `Network` |
| `run` | one inference on a backend: an `Inference`, with outputs, cycles per layer and the check |
| `compile` | what the NPU takes and as which commands: a `Compilation` |
| `delegate` | the NPU inside an interpreter of `tf.lite` or LiteRT: an `NpuDelegate` |
| `NpuConfig` | every hardware parameter; `dataclasses.replace` varies one |
| `PRESETS` | named configurations, 32 to 1024 MACs per cycle |
| `MemoryConfig` | timing of the external memory |
| `Network`, `Inference`, `Compilation` | what these give; the latter two as `columns()` too |
| `NpuDelegate`, `DelegateReport` | what an interpreter takes, and what its `report()` gives |
| `NpuError` | the root of all that is raised for a mistake of the user's, with one line |
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from npu.api import (
        PRESETS,
        Compilation,
        DelegateReport,
        Inference,
        MemoryConfig,
        Network,
        NpuConfig,
        NpuDelegate,
        NpuError,
        compile,
        delegate,
        load,
        run,
    )

__all__ = [
    "PRESETS",
    "Compilation",
    "DelegateReport",
    "Inference",
    "MemoryConfig",
    "Network",
    "NpuConfig",
    "NpuDelegate",
    "NpuError",
    "compile",
    "delegate",
    "load",
    "run",
]


if not TYPE_CHECKING:  # it would give every misspelt name a type

    def __getattr__(name: str) -> object:
        """The public names, imported when they are first used: `npu --help` needs none of them."""
        if name not in __all__:
            raise AttributeError(f"module 'npu' has no attribute {name!r}")
        from npu import api

        globals().update({public: getattr(api, public) for public in __all__})
        return globals()[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
