"""The command set: encoding and decoding are inverse, and refuse what has no meaning."""

import random

import numpy as np
import pytest

from rtl.errors import EncodingError
from rtl.isa import COMMANDS, Command, Opcode, decode_all, encode, encode_all

pytestmark = pytest.mark.quick


def random_command(opcode: Opcode, rng: random.Random) -> Command:
    fields = {}
    for name, shape in COMMANDS[opcode].fields.items():
        low = -(1 << shape.width - 1) if shape.signed else 0
        high = low + (1 << shape.width) - 1
        fields[name] = rng.choice([low, high, rng.randint(low, high)])
    return Command(opcode, fields)


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_decodes_to_what_was_encoded(seed: int) -> None:
    rng = random.Random(seed)
    commands = [random_command(opcode, rng) for opcode in Opcode for _ in range(5)]
    rng.shuffle(commands)
    stream = encode_all(commands)
    assert len(stream) == sum(COMMANDS[c.opcode].beats for c in commands)
    assert decode_all(stream) == commands


def test_fields_must_be_known_present_and_in_range() -> None:
    add = random_command(Opcode.ELEMENTWISE, random.Random(1))
    with pytest.raises(EncodingError, match="ELEMENTWISE has no field speed"):
        encode(Command(Opcode.ELEMENTWISE, {**add.fields, "speed": 1}))
    with pytest.raises(EncodingError, match="ELEMENTWISE needs field words"):
        encode(Command(Opcode.ELEMENTWISE, {k: v for k, v in add.fields.items() if k != "words"}))
    with pytest.raises(
        EncodingError, match=r"ELEMENTWISE\.ofm_shift must be between -128 and 127, got 128"
    ):
        encode(Command(Opcode.ELEMENTWISE, {**add.fields, "ofm_shift": 128}))


def test_what_is_not_a_command_is_refused() -> None:
    good = encode(random_command(Opcode.STORE, random.Random(2)))
    with pytest.raises(EncodingError, match="command 0 has unknown opcode 0"):
        decode_all(np.zeros(1, np.uint64))
    with pytest.raises(EncodingError, match=r"command 1 \(STORE\) is truncated"):
        decode_all(np.concatenate([good, good[:-1]]))
    flagged = good.copy()
    flagged[0] |= np.uint64(1 << 8)
    with pytest.raises(EncodingError, match=r"command 0 \(STORE\) sets reserved field flags"):
        decode_all(flagged)
