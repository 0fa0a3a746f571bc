"""Records of real runs for tests of pages."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from npu import cli, zoo
from npu.inference import infer
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.offload.result import RunResult
from npu.report.picture import picture_record
from npu.report.record import RunSetting, run_record
from rtl.config import PRESETS
from sim.memory import MemoryConfig
from tests.npu.small_model import classifier


@cache
def small_run(backend: Any = "cycle") -> tuple[Graph, RunResult, dict[str, Any]]:
    """A small classifier, one operator of it on the CPU: graph, result, record and picture."""
    graph = read_model_bytes(classifier(), "classifier")
    hardware = PRESETS["npu64"]
    result = infer(graph, load_inputs([], graph), config=hardware, backend=backend)
    setting = RunSetting(
        model="classifier.tflite",
        config="npu64",
        hardware=hardware,
        backend=backend,
        memory=MemoryConfig(),
        clock_mhz=50.0,
        clock_origin="as given",
    )
    record = run_record(graph, result, setting, bit_exact=True)
    return graph, result, {**record, **picture_record(graph, result)}


def shipped_page(folder: Path, command: str, *options: str) -> tuple[Path, dict[str, Any]]:
    """The page and the JSON of the shipped network, as the command line writes them."""
    page, record = folder / f"{command}.html", folder / f"{command}.json"
    words = (command, str(zoo.model_path()), "--quiet", "--html", str(page), "--json", str(record))
    with pytest.raises(SystemExit) as caught:
        cli.main([*words, *options])
    assert caught.value.code == 0
    return page, json.loads(record.read_text())
