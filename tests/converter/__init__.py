"""Networks as users make them: Keras, through TensorFlow's converter, against TFLM and the NPU."""
