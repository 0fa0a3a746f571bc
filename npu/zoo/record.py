"""What training leaves beside the files of a system's network: `trained/SLUG.json`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from npu.zoo.system import System, Table

FOLDER = Path(__file__).parent / "trained"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One of the two files of a system.

    Attributes
    ----------
    file, sha256 : of the `.tflite`. stage : what the optimizer calls it.
    float_accuracy, int8_accuracy : on held-out data, 0 to 1.
    """

    file: str
    sha256: str
    stage: str
    float_accuracy: float
    int8_accuracy: float


@dataclass(frozen=True, kw_only=True)
class Record:
    """A training: what it was given, and what came out.

    Attributes
    ----------
    recipe : epochs, rates, seed and so on. samples : that train, choose and are held out.
    licence : of the data. parameters : of the Keras model, 0 where nothing is trained.
    dense, optimized : its files; None where nothing is trained. study : its tables.
    """

    letter: str
    recipe: dict[str, Any]
    samples: Sequence[int]
    data: str
    licence: str
    share_alike: bool
    parameters: int
    versions: dict[str, str]
    cpu_seconds: float
    dense: Trained | None = None
    optimized: Trained | None = None
    study: Sequence[Table] = field(default=())


def record_path(system: System, folder: Path = FOLDER) -> Path:
    """Where a system's record is."""
    return folder / f"{system.slug}.json"


def read_record(system: System, folder: Path = FOLDER) -> Record | None:
    """What is known of a system's training, None when there was none."""
    path = record_path(system, folder)
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    for name in ("dense", "optimized"):
        content[name] = None if content[name] is None else Trained(**content[name])
    content["study"] = [Table(**each) for each in content["study"]]
    return Record(**content)


def write_record(record: Record, system: System, folder: Path = FOLDER) -> None:
    """Write it, in place of an older one."""
    text = json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n"
    record_path(system, folder).write_text(text, encoding="utf-8")
