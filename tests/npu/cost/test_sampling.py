"""A block synthesized alone, start to end."""

from pathlib import Path

import pytest

from npu.cost.sampling import sample_block, sample_blocks
from npu.synth.errors import SynthesisError
from npu.synth.process import Tools
from rtl.config import PRESETS
from sim.cache import CACHE_VARIABLE


def test_a_block_is_synthesized_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr("npu.cost.sampling.BLOCKS", _only("drain"))
    configs = [PRESETS["npu64"], PRESETS["npu64c"]]
    # the same block in both
    (sample,) = sample_blocks(configs, jobs=1)
    assert 100 < sample.figures["LUTeq"] < 250
    assert sample.figures["DSP"] == sample.figures["block RAM"] == 0
    assert 2 < sample.depth_ns < 20
    with Tools(1) as tools:
        tools.stop()
        # from the cache: a tool would not start any more
        assert sample_block("drain", PRESETS["npu64"], tools).figures == sample.figures


def test_a_synthesis_that_fails_names_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr("npu.cost.sampling._PASSES", ["no_such_pass"])
    with Tools(1) as tools, pytest.raises(SynthesisError, match="synthesis of drain failed: "):
        sample_block("drain", PRESETS["npu64"], tools)


def _only(block: str) -> object:
    from npu.cost.blocks import BLOCKS

    return {block: BLOCKS[block]}
