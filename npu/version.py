"""The version of the tool, for whoever asks and for the files that it writes."""

from importlib import metadata

PACKAGE = "npu-codesign"


def tool_version() -> str:
    """The installed package's version; `unknown` where the sources are used without installing."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return "unknown"
