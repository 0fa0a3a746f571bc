"""Pruning, weight clustering and quantization that the hardware rewards.

What works on a ready int8 `.tflite` lies here; what trains, and so needs TensorFlow, in
`npu.optimize.training`.
"""
