"""What the measurements compute from what they measure; the measurements themselves run by hand."""

from pathlib import Path

import numpy as np
import pytest

from npu.speedup.measure import Entry
from npu.speedup.rungs import RUNGS
from npu.speedup.store import Measurement as RungMeasurement
from rtl.config import PRESETS
from tests.bench import __main__ as command_line
from tests.bench import litert, readme, vela
from tests.bench.measure import Layer, Measurement
from tests.bench.networks import SHIPPED, networks
from tests.bench.timing import repeat


def measurement(config: str, *, cycles: int, bit_exact: bool = True) -> Measurement:
    """A measurement of one million MACs."""
    return Measurement(
        network="net",
        config=config,
        cycles=cycles,
        macs=1_000_000,
        macs_per_cycle=PRESETS[config].macs_per_cycle,
        utilization=0.5,
        limit=1.0,
        bit_exact=bit_exact,
        outputs_equal=1,
        outputs=1,
        intermediates_equal=1,
        intermediates=1,
        counters={},
        layers=(Layer(0, "SOFTMAX", "CPU", "no", 0, None, None, None),),
    )


def test_table_row_of_the_readme() -> None:
    good = [
        measurement(c, cycles=n) for c, n in zip(readme.CONFIGS, (4000, 2000, 1000), strict=True)
    ]
    row = readme.table_row(good)
    assert row.startswith("| net | 1.00 | 4,000 | 2,000 | 1,000 | 50.0 % | 0.0")
    heading, line, content, _, note = readme.table([good]).splitlines()
    assert heading.count("|") == line.count("|") == content.count("|")
    assert note == "On the CPU, not in the cycles: SOFTMAX (net)."
    good[0] = measurement("npu64", cycles=4000, bit_exact=False)
    assert readme.table_row(good).endswith("| **no** |")


def test_speedup_table_of_the_readme() -> None:
    cycles = {"reference on VexRiscv": 4_000_000, "NPU + VexRiscv": 10_000}
    entries = [
        Entry(
            rung, "key", RungMeasurement(rung.name, cycles[rung.name], 0, 0, 0, 0, "", "", ""), True
        )
        for rung in RUNGS
        if rung.name in cycles
    ]
    heading, _, row = readme.speedup_table({"net": entries}).splitlines()
    assert heading.endswith("| reference on VexRiscv | NPU + VexRiscv |")
    assert row == "| net | 4.000 (400x) | 0.010 |"


def test_vela_summary_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "vela"
    fake.write_text(
        "#!/bin/sh\n"
        'test "$2 $3" = "--accelerator-config ethos-u55-128" || exit 3\n'
        'while [ $# -gt 1 ]; do test "$1" = --output-dir && out="$2"; shift; done\n'
        'printf "network,cycles_npu,cycles_total\\nm,11,12.0\\n" > "$out/m_summary_x.csv"\n'
        'echo "CPU operators = 2 (5.0%)"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setattr(vela, "VELA", fake)
    assert vela.estimate(tmp_path / "m.tflite", 128) == vela.Estimate(12, "2")
    with pytest.raises(vela.VelaError, match="exit code 3"):
        vela.estimate(tmp_path / "m.tflite", 256)


def test_absent_vela_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vela, "VELA", tmp_path / "bin" / "vela")
    with pytest.raises(vela.VelaError, match="not installed"):
        vela.version()


def test_functions_are_called_alternately() -> None:
    calls: list[str] = []
    first, second = repeat(lambda: calls.append("a"), lambda: calls.append("b"), runs=3)
    assert calls == ["a", "b"] * 4
    assert (first.runs, second.runs) == (3, 3)
    assert 0 <= first.best_ms <= first.median_ms


def test_shipped_network_is_always_measured() -> None:
    network = networks(quick=True)[0]
    assert network.name == SHIPPED
    assert network.weight_bytes > 80_000
    assert {x.shape for x in network.inputs.values()} == {(1, 28, 28, 1)}


def test_unknown_table_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        command_line.main(["speed"])
    assert stop.value.code == 2
    assert "unknown table speed: cycles, simulators" in capsys.readouterr().err


def fake_python(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell script in place of the interpreter that has LiteRT."""
    fake = folder / "python"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(litert, "PYTHON", fake)


def test_litert_is_asked_for_one_inference_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'test -s "$3" || exit 1\necho ready\nwhile read name; do echo ${#name}.5; done'
    fake_python(tmp_path, script, monkeypatch)
    with litert.LitertProcess(tmp_path / "m.tflite", [np.zeros(3, np.int8)]) as process:
        assert process.milliseconds("xnnpack") == 7.5
        assert process.milliseconds("reference") == 9.5


def test_a_litert_process_that_ends_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_python(tmp_path, "echo ready", monkeypatch)
    with (
        litert.LitertProcess(tmp_path / "m.tflite", []) as process,
        pytest.raises(litert.LitertError, match=r"LiteRT does not run m\.tflite"),
    ):
        process.milliseconds("xnnpack")
    fake_python(tmp_path, "exit 1", monkeypatch)
    with (
        pytest.raises(litert.LitertError, match=r"or does not load m\.tflite"),
        litert.LitertProcess(tmp_path / "m.tflite", []),
    ):
        pass


def test_absent_litert_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert, "PYTHON", tmp_path / "python")
    with (
        pytest.raises(litert.LitertError, match="LiteRT is not installed; `make bench`"),
        litert.LitertProcess(tmp_path / "m.tflite", []),
    ):
        pass
