"""Change one parameter of the hardware and see what it does to cycles and to what it costs.

python examples/compare_hardware.py [MODEL.tflite]
"""

import sys
from dataclasses import replace

import npu

model = sys.argv[1] if len(sys.argv) > 1 else "npu/zoo/fashion_resnet.tflite"
network = npu.load(model)
base = npu.PRESETS["npu64"]

print("pixels  multipliers  cycles   utilization")
for pixels in (2, 4, 8):
    config = replace(base, pixels=pixels)
    result = npu.run(network, config=config)
    print(f"{pixels:6} {config.macs_per_cycle:12} {result.cycles:8,} {result.utilization:12.1%}")

slow = npu.run(network, config=base, memory=npu.MemoryConfig(latency_cycles=200))
print(f"with ten times the memory latency: {slow.cycles:,} cycles")
