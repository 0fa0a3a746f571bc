"""Run a network from Python and read what each layer costs on the NPU.

python examples/cycles_per_layer.py [MODEL.tflite]
"""

import sys

import npu

model = sys.argv[1] if len(sys.argv) > 1 else "npu/zoo/fashion_resnet.tflite"
network = npu.load(model)
result = npu.run(network, "random:1", config="npu256", check=True)

# columns are what pandas.DataFrame and polars.DataFrame take
columns = result.columns()
for operator, placed, cycles, bound in zip(
    *(columns[name] for name in ("operator", "placed", "cycles", "bound")), strict=True
):
    print(f"{operator:20} {placed} {cycles or '-':>8} {bound or ''}")
print(f"{result.cycles:,} cycles, utilization {result.utilization:.1%}")
print(f"bit-exact with TFLM: {result.bit_exact}")
