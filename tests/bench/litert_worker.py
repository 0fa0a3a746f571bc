"""Times LiteRT on one model, in the environment of the peers; `tests.bench.litert` starts it.

Arguments: the model, and an `.npz` of its inputs, named by their position. Writes a line `ready`;
then, for every line read, which names an interpreter, runs it once and writes the CPU milliseconds.
"""

import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

RESOLVERS = {"reference": OpResolverType.BUILTIN_REF, "xnnpack": OpResolverType.AUTO}


def main(model: str, inputs: str) -> None:
    """Answer until the input ends."""
    with np.load(inputs) as stored:
        values = [stored[str(i)] for i in range(len(stored.files))]
    interpreters = {}
    for name, resolver in RESOLVERS.items():
        interpreter = Interpreter(model, num_threads=1, experimental_op_resolver_type=resolver)
        interpreter.allocate_tensors()
        interpreters[name] = interpreter
    print("ready", flush=True)
    for line in sys.stdin:
        interpreter = interpreters[line.strip()]
        details = interpreter.get_input_details()
        begin = time.process_time()
        for detail, value in zip(details, values, strict=True):
            interpreter.set_tensor(detail["index"], value)
        interpreter.invoke()
        print(1000 * (time.process_time() - begin), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
