"""The command set of `rtl.isa` as Markdown tables; `make docs` puts them into ARCHITECTURE.md."""

from amaranth.hdl import Shape

from rtl.isa import BEAT_BITS, COMMANDS, CommandFormat, Opcode


def field_tables() -> str:
    """What each command is, and the place of its fields: a table of commands, one of each format.

    Commands with the same beats share a table. Bits count within a beat of 64, from the least
    significant.
    """
    lines = ["| opcode | command | engine | beats |", "|---:|---|---|---:|"]
    for opcode, command in COMMANDS.items():
        lines.append(
            f"| {opcode.value} | {opcode.name} | {command.engine.name} | {command.beats} |"
        )
    lines += ["", *_table("every command", [_beats(COMMANDS[Opcode.END])[0]], 0)]
    for names, beats in _formats().items():
        lines += ["", *_table(names, beats, 1)]
    return "\n".join(lines) + "\n"


def _formats() -> dict[str, list[list[str]]]:
    """The beats behind the header of each format, by the names of the commands that share it."""
    named: list[tuple[list[str], list[list[str]]]] = []
    for opcode, command in COMMANDS.items():
        beats = _beats(command)[1:]
        same = next((names for names, known in named if known == beats), None)
        if same is not None:
            same.append(opcode.name)
        elif beats:
            named.append(([opcode.name], beats))
    return {", ".join(names): beats for names, beats in named}


def _beats(command: CommandFormat) -> list[list[str]]:
    """Each field of each beat, with its bits."""
    beats: list[list[str]] = [[] for _ in range(command.beats)]
    for name, member in command.layout:
        shape = Shape.cast(member.shape)
        index, first = divmod(member.offset, BEAT_BITS)
        last = first + shape.width - 1
        bits = f"{last}:{first}" if shape.width > 1 else f"{first}"
        if not str(name).startswith("reserved"):
            beats[index].append(f"`{name}` {'signed ' if shape.signed else ''}{bits}")
    return beats


def _table(names: str, beats: list[list[str]], first: int) -> list[str]:
    rows = (f"| {first + i} | {', '.join(fields)} |" for i, fields in enumerate(beats))
    return [f"| beat | fields of {names} |", "|---:|---|", *rows]
