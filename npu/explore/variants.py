"""Variants of a network, from `npu optimize --sweep` or by hand: files and their accuracy."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npu.errors import ExploreError


@dataclass(frozen=True)
class VariantFile:
    """A variant of a network: what it is called, its file, and its accuracy, 0 to 1."""

    name: str
    path: Path
    accuracy: float


def read_variants(path: Path) -> list[VariantFile]:
    """Variants of a JSON file: what `npu optimize` reports, or a list, alone or as `variants`, of
    objects with `model` (a file, relative to the list's), `accuracy` and perhaps `name`.

    Of a report, the stages with an int8 accuracy that was measured.

    Raises
    ------
    ExploreError : the file cannot be read, or has none of these.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExploreError(f"cannot read --variants '{path}': {error.strerror}") from None
    except ValueError:
        raise ExploreError(f"--variants '{path}' is no JSON") from None
    if isinstance(document, dict):
        stages = document.get("stages")
        document = document.get("variants")
        if isinstance(stages, list):
            document = [_of_stage(stage) for stage in stages if _of_stage(stage)["accuracy"]]
    if not isinstance(document, list) or not document:
        raise ExploreError(f"--variants '{path}' has no list of variants")
    return [_variant(path, number, record) for number, record in enumerate(document)]


def _of_stage(stage: Any) -> dict[str, Any]:
    """A stage of `npu.optimize.measure.StageResult` as a variant."""
    known = stage if isinstance(stage, dict) else {}
    names = {"model": "file", "accuracy": "int8_accuracy", "name": "stage"}
    return {name: known.get(source) for name, source in names.items()}


def _variant(path: Path, number: int, record: Any) -> VariantFile:
    known = record if isinstance(record, dict) else {}
    model, accuracy = known.get("model"), known.get("accuracy")
    if (
        not isinstance(model, str)
        or not isinstance(accuracy, int | float)
        or not 0 <= accuracy <= 1
    ):
        raise ExploreError(
            f"--variants '{path}': entry {number} needs a model and an accuracy between 0 and 1"
        )
    file = path.parent / model
    if not file.is_file():
        raise ExploreError(f"--variants '{path}': entry {number}: no file '{file}'")
    return VariantFile(str(known.get("name", file.stem)), file, float(accuracy))
