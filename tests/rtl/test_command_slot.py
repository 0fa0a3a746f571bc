"""The command slot: what it collects, and when it offers it, under random pauses on both sides."""

import random
from typing import Any

import pytest

from rtl.command_slot import CommandSlot
from rtl.isa import COMMANDS, Command, Engine, encode
from tests.rtl.bench import send, simulate

WAITS = ("load", "compute", "store")


def _commands(engine: Engine, rng: random.Random, count: int) -> list[Command]:
    """Random commands of an engine; each waits for no more than is done when it comes, or a few
    commands more, across the counters' wrap."""
    opcodes = [c.opcode for c in COMMANDS.values() if c.engine == engine]
    commands = []
    for number in range(count):
        opcode = rng.choice(opcodes)
        fields = {}
        for name, shape in COMMANDS[opcode].fields.items():
            low = -(1 << shape.width - 1) if shape.signed else 0
            fields[name] = rng.randrange(low, low + (1 << shape.width))
        for name in WAITS:
            fields[f"wait_{name}"] = (0xFFF8 + rng.randrange(number + 1)) & 0xFFFF
        commands.append(Command(opcode, fields))
    return commands


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize("engine", [Engine.LOAD, Engine.COMPUTE, Engine.STORE])
def test_commands_come_whole_and_not_before_their_waits(engine: Engine, pause: float) -> None:
    slot = CommandSlot(engine)
    rng = random.Random(engine + 10 * pause)
    commands = _commands(engine, rng, 16)
    done = dict.fromkeys(WAITS, 0xFFF8)
    waited = 0

    async def feed(ctx: Any) -> None:
        for index, command in enumerate(commands):
            beats = [index, *(int(beat) for beat in encode(command))]
            await send(ctx, slot.beats, beats, random.Random(index), pause)

    async def main(ctx: Any) -> None:
        nonlocal waited
        for name in WAITS:
            ctx.set(getattr(slot.done, name), done[name])
        taken = 0
        while taken < len(commands):
            ready = rng.random() >= pause
            ctx.set(slot.ready, ready)
            _, _, valid, waiting, command, index = await ctx.tick().sample(
                slot.valid, slot.waiting, slot.command, slot.index
            )
            waited += waiting
            if valid:
                expected = commands[taken]
                assert index == taken
                raw = b"".join(int(beat).to_bytes(8, "little") for beat in encode(expected))
                assert command & (1 << 8 * len(raw)) - 1 == int.from_bytes(raw, "little")
                for name in WAITS:
                    ahead = (done[name] - expected[f"wait_{name}"]) & 0xFFFF
                    assert ahead < 0x8000, f"offered before {name}"
            taken += valid and ready
            if rng.random() < 0.2:
                name = rng.choice(WAITS)
                done[name] = (done[name] + 1) & 0xFFFF
                ctx.set(getattr(slot.done, name), done[name])

    simulate(slot, main, [feed], 4000)
    assert waited > 0


@pytest.mark.parametrize("beats_before", range(6))
def test_clear_forgets_a_command_wherever_it_is(beats_before: int) -> None:
    """The one that comes afterwards is whole."""
    slot = CommandSlot(Engine.LOAD)
    rng = random.Random(beats_before)
    lost, kept = _commands(Engine.LOAD, rng, 2)
    for command in (lost, kept):
        command.fields.update(dict.fromkeys((f"wait_{name}" for name in WAITS), 0))

    async def main(ctx: Any) -> None:
        beats = [7, *(int(beat) for beat in encode(lost))]
        await send(ctx, slot.beats, beats[:beats_before], rng)
        ctx.set(slot.clear, 1)
        await ctx.tick()
        ctx.set(slot.clear, 0)
        assert ctx.get(slot.empty)
        await send(ctx, slot.beats, [8, *(int(beat) for beat in encode(kept))], rng)
        while not ctx.get(slot.valid):
            await ctx.tick()
        assert ctx.get(slot.index) == 8
        raw = b"".join(int(beat).to_bytes(8, "little") for beat in encode(kept))
        assert ctx.get(slot.command) == int.from_bytes(raw, "little")

    simulate(slot, main, [], 100)


def test_nothing_is_offered_while_halted() -> None:
    slot = CommandSlot(Engine.STORE)
    rng = random.Random(2)
    (command,) = _commands(Engine.STORE, rng, 1)
    command.fields.update(dict.fromkeys((f"wait_{name}" for name in WAITS), 0))

    async def main(ctx: Any) -> None:
        ctx.set(slot.halt, 1)
        await send(ctx, slot.beats, [0, *(int(beat) for beat in encode(command))], rng)
        for _ in range(10):
            await ctx.tick()
            assert not ctx.get(slot.valid)
            assert not ctx.get(slot.empty)
        ctx.set(slot.halt, 0)
        assert ctx.get(slot.valid)

    simulate(slot, main, [], 40)
