"""Trains LeNet-5 in one process or in several that share each batch; TensorFlow or PyTorch.

`measure_processes` starts `python -m npu.zoo.processes` once for each process, so that every one
has its own interpreter, framework and threads. Gradients are summed over the processes after each
step: by `tf.distribute` (MultiWorkerMirroredStrategy) and by `torch.distributed` (gloo). All
processes begin with the same weights, and the same pictures make a batch whatever their number.
"""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.errors import OptimizeError

BATCH = 128
RATE = 0.05
SHAPES = ((5, 5, 1, 6), (5, 5, 6, 16), (400, 120), (120, 84), (84, 10))
"""LeNet-5's kernels (LeCun et al. 1998), height, width, channels in and out; then its layers."""

INSTALL = {"tensorflow": "pip install -e '.[train]'", "torch": "pip install -e '.[torch]'"}
LIMIT = 300
"""Seconds that a measurement may take."""

Arrays = tuple[NDArray[np.float32], NDArray[np.int64]]
Step = Callable[[Arrays], float]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one process does.

    Attributes
    ----------
    framework : `tensorflow` or `torch`. count, rank : processes, and which of them.
    threads : of this process. ports : on this machine, one for each process.
    warm, steps : before, and while time is taken.
    """

    framework: str
    count: int
    rank: int
    threads: int
    ports: list[int]
    warm: int = 5
    steps: int = 40


@dataclass(frozen=True)
class Found:
    """Images per second of all processes together; the mean loss of the last batch's part."""

    rate: float
    loss: float


def measure_processes(
    framework: str, count: int, threads: int, *, warm: int = 5, steps: int = 40
) -> Found:
    """Train for some steps in `count` processes of `threads` threads each.

    Raises
    ------
    OptimizeError : the framework is not installed, or a process failed or took too long.
    """
    if importlib.util.find_spec(framework) is None:
        raise OptimizeError(f"{framework} is not installed: {INSTALL[framework]}")
    ports = _free_ports(count)
    running = []
    for rank in range(count):
        job = Job(
            framework=framework,
            count=count,
            rank=rank,
            threads=threads,
            ports=ports,
            warm=warm,
            steps=steps,
        )
        command = [sys.executable, "-m", "npu.zoo.processes", json.dumps(asdict(job))]
        running.append(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_quiet(job)
            )
        )
    try:
        answers = [each.communicate(timeout=LIMIT) for each in running]
    except subprocess.TimeoutExpired:
        raise OptimizeError(f"{framework}: {count} processes took over {LIMIT} s") from None
    finally:
        for each in running:
            each.kill()
            each.wait()
    for process, (_, error) in zip(running, answers, strict=True):
        if process.returncode:
            reason = (error.strip().splitlines() or ["it ended without a word"])[-1]
            raise OptimizeError(f"{framework}: a process of {count} failed: {reason}")
    results = [json.loads(out.splitlines()[-1]) for out, _ in answers]
    loss = float(np.mean([each["loss"] for each in results]))
    return Found(BATCH * steps / max(each["seconds"] for each in results), loss)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _quiet(job: Job) -> dict[str, str]:
    cluster = {"worker": [f"127.0.0.1:{port}" for port in job.ports]}
    told = {"cluster": cluster, "task": {"type": "worker", "index": job.rank}}
    return {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": str(job.threads),
        "TF_CONFIG": json.dumps(told) if job.count > 1 else "{}",
    }


def weights() -> list[NDArray[np.float32]]:
    """The same first weights (He et al. 2015) and biases for everybody."""
    rng = np.random.default_rng(0)
    found = []
    for shape in SHAPES:
        scale = np.sqrt(2 / np.prod(shape[:-1]))
        found.append((rng.normal(size=shape) * scale).astype(np.float32))
        found.append(np.zeros(shape[-1], np.float32))
    return found


def batch_part(step: int, job: Job) -> Arrays:
    """This process' part of a step's batch: pictures `[n, 28, 28, 1]`, of a bright bar a class."""
    rng = np.random.default_rng([1, step])
    labels = rng.integers(0, 10, BATCH)
    pictures = rng.random((BATCH, 28, 28, 1)).astype(np.float32) * 0.5
    for picture, label in zip(pictures, labels, strict=True):
        picture[2 * label + 4 : 2 * label + 6] += 1
    part = slice(job.rank * BATCH // job.count, (job.rank + 1) * BATCH // job.count)
    return pictures[part], labels[part]


def tensorflow_step(job: Job) -> Step:
    """A training step in TensorFlow: the part of a batch in, its mean loss out."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(job.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    many = job.count > 1
    strategy: Any = (
        tf.distribute.MultiWorkerMirroredStrategy() if many else tf.distribute.get_strategy()
    )
    with strategy.scope():
        variables = [tf.Variable(each) for each in weights()]

    def loss_of(x: Any, y: Any) -> Any:
        for i, padding in ((0, "SAME"), (2, "VALID")):
            x = tf.nn.relu(tf.nn.conv2d(x, variables[i], 1, padding) + variables[i + 1])
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        x = tf.reshape(x, (-1, 400))
        for i in (4, 6):
            x = tf.nn.relu(x @ variables[i] + variables[i + 1])
        scores = x @ variables[8] + variables[9]
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, scores))

    def replica(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(x, y)
        gradients = tape.gradient(loss, variables)
        if many:
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        for variable, gradient in zip(variables, gradients, strict=True):
            # equal in all processes: each moves its own copy
            value = variable.values[0] if hasattr(variable, "values") else variable
            value.assign_sub(RATE * gradient)
        return loss

    run = tf.function(lambda x, y: strategy.run(replica, args=(x, y)))

    def step(part: Arrays) -> float:
        x, y = part
        return float(run(tf.constant(x), tf.constant(y)).numpy())

    return step


def torch_step(job: Job) -> Step:
    """The same in PyTorch; pictures and kernels with their channels first, as it has them."""
    import torch
    from torch import distributed
    from torch.nn import functional

    torch.set_num_threads(job.threads)
    if job.count > 1:
        address = f"tcp://127.0.0.1:{job.ports[0]}"
        distributed.init_process_group(
            "gloo", init_method=address, rank=job.rank, world_size=job.count
        )
    parameters = [
        torch.tensor(each.transpose(3, 2, 0, 1).copy() if each.ndim == 4 else each)
        for each in weights()
    ]
    for each in parameters:
        each.requires_grad_()

    def step(part: Arrays) -> float:
        given, labels = part
        x = torch.from_numpy(given.transpose(0, 3, 1, 2).copy())
        for i, padding in ((0, 2), (2, 0)):
            x = functional.conv2d(x, parameters[i], parameters[i + 1], padding=padding)
            x = functional.max_pool2d(functional.relu(x), 2)
        x = x.permute(0, 2, 3, 1).reshape(-1, 400)
        for i in (4, 6):
            x = functional.relu(x @ parameters[i] + parameters[i + 1])
        scores = x @ parameters[8] + parameters[9]
        loss = functional.cross_entropy(scores, torch.from_numpy(labels))
        gradients = torch.autograd.grad(loss, parameters)
        if job.count > 1:
            # one message a step, as DistributedDataParallel makes of small networks
            flat = torch.cat([each.reshape(-1) for each in gradients])
            distributed.all_reduce(flat)
            parts = (flat / job.count).split([each.numel() for each in gradients])
            gradients = tuple(p.view_as(g) for p, g in zip(parts, gradients, strict=True))
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= RATE * gradient
        return float(loss.detach())

    return step


STEPS: dict[str, Callable[[Job], Step]] = {"tensorflow": tensorflow_step, "torch": torch_step}


def main(job: Job) -> None:
    """Train, and print seconds and the last loss as JSON."""
    step = STEPS[job.framework](job)
    # before: it takes each process as long as one process alone
    parts = [batch_part(number, job) for number in range(job.warm + job.steps)]
    for part in parts[: job.warm]:
        step(part)
    begin, loss = time.perf_counter(), 0.0
    for part in parts[job.warm :]:
        loss = step(part)
    print(json.dumps({"seconds": time.perf_counter() - begin, "loss": loss}), flush=True)


if __name__ == "__main__":
    main(Job(**json.loads(sys.argv[1])))
