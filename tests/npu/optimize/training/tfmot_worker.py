"""What `tensorflow-model-optimization` answers: `python tfmot_worker.py IN.npz OUT.npz`.

It stands on the Keras before 3, which it switches on for its whole process: so it has its own.
"""

import os
import sys

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.clustering.keras import cluster_config
from tensorflow_model_optimization.python.core.clustering.keras.clustering_centroids import (
    LinearCentroidsInitialisation,
)
from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl


def main(source: str, target: str) -> None:
    """Sparsity by step, the mask of a kernel, centroids, and a kernel that is clustered."""
    with np.load(source) as given:
        kernel, ratio, end = given["kernel"], float(given["ratio"]), int(given["end"])
        steps, clusters = given["steps"], int(given["clusters"])
    schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, ratio, 0, end, power=3, frequency=1)
    sparsity = [float(schedule(tf.constant(int(step)))[1]) for step in steps]

    pruned = pruning_impl.Pruning(
        training_step_fn=lambda: tf.constant(0),
        pruning_vars=[],
        pruning_schedule=tfmot.sparsity.keras.ConstantSparsity(ratio, 0, -1, 1),
        block_size=(1, 1),
        block_pooling_type="AVG",
    )
    _, mask = pruned._update_mask(tf.constant(kernel))

    centroids = LinearCentroidsInitialisation(tf.constant(kernel), clusters).get_cluster_centroids()
    dense = tf_keras.Sequential([tf_keras.layers.Dense(kernel.shape[1], use_bias=False)])
    dense.build((None, kernel.shape[0]))
    dense.set_weights([kernel])
    wrapped = tfmot.clustering.keras.cluster_weights(
        dense,
        number_of_clusters=clusters,
        cluster_centroids_init=cluster_config.CentroidInitialization.LINEAR,
    )
    clustered = tfmot.clustering.keras.strip_clustering(wrapped).get_weights()[0]
    np.savez(
        target,
        sparsity=np.array(sparsity),
        mask=np.asarray(mask),
        centroids=np.asarray(centroids),
        clustered=clustered,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
