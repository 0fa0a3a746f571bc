"""The stages that train, on Keras 3 and TensorFlow.

Modules here import them when they are imported, but for `environment`, which says what to install
where they are missing: everything else comes behind it.
"""
