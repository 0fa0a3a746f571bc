"""Every cycle of every engine has one cause, and the causes add up."""

import dataclasses
import random
from itertools import pairwise

import pytest

from npu import zoo
from npu.model.tflite_reader import read_model
from npu.offload.network import CompiledNetwork
from npu.verify.random_programs import KINDS, random_program
from rtl.config import PRESETS
from rtl.isa import Opcode
from sim.cycle import CycleResult, LayerAccount, account_layers, add_accounts, simulate
from sim.memory import MemoryConfig
from sim.program import Program, ProgramLayer
from tests.sim import configs

COMPUTE = {Opcode.CONV, Opcode.DEPTHWISE, Opcode.MAX_POOL, Opcode.ELEMENTWISE}
CONFIGS = {**configs.RTL, "npu256": PRESETS["npu256"]}


def in_layers(program: Program, rng: random.Random) -> Program:
    """The same program, its compute commands divided into layers at random."""
    layers: list[ProgramLayer] = []
    commands: list[int] = []
    for index, command in enumerate(program.decode()):
        if command.opcode in COMPUTE:
            commands.append(index)
            if rng.random() < 0.5:
                layers.append(ProgramLayer(len(layers), "CONV_2D", 100, tuple(commands)))
                commands = []
    layers.append(ProgramLayer(len(layers), "CONV_2D", 100, tuple(commands)))
    return dataclasses.replace(program, layers=tuple(layers))


def taking_turns(program: Program, count: int) -> Program:
    """The same program, its compute commands dealt to `count` layers in turn."""
    own = [i for i, command in enumerate(program.decode()) if command.opcode in COMPUTE]
    layers = (ProgramLayer(n, "CONV_2D", 100, tuple(own[n::count])) for n in range(count))
    return dataclasses.replace(program, layers=tuple(layers))


def check(result: CycleResult, accounts: tuple[LayerAccount, ...]) -> None:
    total = add_accounts(accounts)
    assert total.cycles == result.cycles
    for account in (*accounts, total):
        for causes in (account.load, account.compute, account.store):
            assert sum(causes.values()) == account.cycles, account
            assert all(cycles > 0 for cycles in causes.values()), account
    counters = result.counters
    for name, causes in (("LOAD", total.load), ("STORE", total.store)):
        busy = sum(causes.get(cause, 0) for cause in ("busy", "bus", "scratchpad"))
        assert busy == counters[f"{name}_BUSY"]
    assert total.load.get("scratchpad", 0) == counters["LOAD_WRITE_STALL"]
    assert total.store.get("scratchpad", 0) == counters["STORE_READ_STALL"]


@pytest.mark.parametrize("first", range(0, 60, 20), ids=lambda seed: f"seeds {seed}-{seed + 19}")
@pytest.mark.parametrize("name", CONFIGS)
def test_random_programs(name: str, first: int) -> None:
    for seed in range(first, first + 20):
        rng = random.Random(seed)
        kinds = tuple(rng.choices(KINDS, k=rng.randint(1, 6)))
        program = in_layers(random_program(CONFIGS[name], seed, kinds)[0], rng)
        result = simulate(program, MemoryConfig(latency_cycles=rng.choice([1, 20, 200])))
        accounts = account_layers(result)
        assert len(accounts) == len(program.layers)
        check(result, accounts)
        loads = [c for c in program.decode() if c.opcode == Opcode.LOAD]
        read = sum(command["rows"] * command["row_bytes"] for command in loads)
        assert sum(account.read_bytes for account in accounts) == read, f"seed {seed}"


@pytest.mark.parametrize("seed", range(5))
def test_layers_that_take_turns(seed: int) -> None:
    """As the stripes of a chain of layers do: each has the cycles of its own commands."""
    program = random_program(CONFIGS["small"], seed, (Opcode.CONV,) * 6)[0]
    count = 3
    result = simulate(taking_turns(program, count))
    accounts = account_layers(result)
    check(result, accounts)
    done = result.times["done"][result.engine_commands[1]]
    spans = [int(end - begin) for begin, end in pairwise([0, *done])]
    expected = [sum(spans[n::count]) for n in range(count)]
    expected[-1] += result.cycles - int(done[-1])
    assert [account.cycles for account in accounts] == expected


@pytest.mark.parametrize("preset", ["npu64", "npu256"])
def test_shipped_network(preset: str) -> None:
    network = CompiledNetwork(read_model(zoo.model_path()), PRESETS[preset])
    for program in network.programs.values():
        result = simulate(program)
        accounts = account_layers(result)
        check(result, accounts)
        assert sum(account.macs for account in accounts) == program.macs
        # a grid that works all the time is what convolutions of this size are bound by
        largest = max(accounts, key=lambda account: account.macs)
        cause, cycles = largest.bound
        assert cause == "busy"
        assert cycles > 0.8 * largest.cycles


def test_waiting_for_weights_is_told_from_computing() -> None:
    """With a slow memory, a layer waits for what it needs first."""
    network = CompiledNetwork(read_model(zoo.model_path()), PRESETS["npu256"])
    (program,) = network.programs.values()
    slow = account_layers(simulate(program, MemoryConfig(latency_cycles=50_000)))[0]
    cause, cycles = slow.bound
    assert cause in ("weights", "parameters", "activations", "commands")
    assert cycles > 40_000
    assert slow.load["bus"] + slow.compute.get("commands", 0) > 50_000
