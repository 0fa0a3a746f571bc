"""The RISC-V cores that the bench SoC can have, each from a package of its own."""

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from sim.errors import BuildError

INSTALL_HINT = "install it with `pip install -e '.[soc]'` in this project's folder"


@dataclass(frozen=True)
class Core:
    """A core.

    Attributes
    ----------
    name : what users call it.
    title : name, variant and what matters for speed.
    package : the distribution that has its Verilog.
    module : that package's import name.
    wrapper : file in `hardware/` that connects it to the SoC's buses.
    zig_cpu, gcc_arch : its instruction set in the words of clang and of gcc.
    simd : whether it has xpulp's packed SIMD.
    define : preprocessor symbol that firmware is compiled with.
    """

    name: str
    title: str
    package: str
    module: str
    wrapper: str
    zig_cpu: str
    gcc_arch: str
    simd: bool
    define: str


VEXRISCV = Core(
    name="vexriscv",
    title="VexRiscv Full (rv32im, 4 KiB + 4 KiB caches, pipelined multiplier)",
    package="pythondata-cpu-vexriscv",
    module="pythondata_cpu_vexriscv",
    wrapper="cpu_vexriscv.v",
    zig_cpu="rocket_rv32+m",
    gcc_arch="rv32im",
    simd=False,
    define="CORE_VEXRISCV",
)
CV32E40P = Core(
    name="cv32e40p",
    title="CV32E40P (rv32im with xpulp packed SIMD, no caches)",
    package="pythondata-cpu-cv32e40p",
    module="pythondata_cpu_cv32e40p",
    wrapper="cpu_cv32e40p.sv",
    zig_cpu="rocket_rv32+m",
    gcc_arch="rv32im",
    simd=True,
    define="CORE_CV32E40P",
)
CORES = {core.name: core for core in (VEXRISCV, CV32E40P)}


def core_version(core: Core) -> str:
    """Version of the core's package.

    Raises
    ------
    BuildError : it is not installed.
    """
    try:
        return importlib.metadata.version(core.package)
    except importlib.metadata.PackageNotFoundError:
        raise BuildError(f"{core.package} not found: {INSTALL_HINT}") from None


def core_sources(core: Core) -> list[str]:
    """Verilog files of a core and arguments for Verilator, wrapper excluded.

    Raises
    ------
    BuildError : the core's package is not installed, or has other files than expected.
    """
    spec = importlib.util.find_spec(core.module)
    if spec is None or not spec.submodule_search_locations:
        raise BuildError(f"{core.package} not found: {INSTALL_HINT}")
    root = Path(spec.submodule_search_locations[0])
    arguments = _vexriscv(root) if core is VEXRISCV else _cv32e40p(root)
    for argument in arguments:
        path = Path(argument)
        if not argument.startswith("+") and not path.is_file():
            raise BuildError(f"{core.package} has no file {path.relative_to(root)}; reinstall it")
    return arguments


def _vexriscv(root: Path) -> list[str]:
    return [str(root / "verilog" / "VexRiscv_Full.v")]


def _cv32e40p(root: Path) -> list[str]:
    """The package's own list of files, without its testbench."""
    folder = root / "system_verilog"
    manifest = folder / "cv32e40p_manifest.flist"
    if not manifest.is_file():
        raise BuildError(f"{CV32E40P.package} has no file list; reinstall it")
    lines = manifest.read_text(encoding="utf-8").splitlines()
    found = [line.strip() for line in lines if "${DESIGN_RTL_DIR}" in line]
    skipped = ("tb_wrapper", "tracer_pkg")
    return [
        line.replace("${DESIGN_RTL_DIR}", str(folder / "rtl"))
        for line in found
        if not any(name in line for name in skipped)
    ]
