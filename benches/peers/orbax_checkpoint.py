"""Orbax on one host: a directory; its arrays are numpy's, which share the parameters' memory."""

import shutil

import orbax.checkpoint as ocp


def arrays(module):
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def save(module, path):
    shutil.rmtree(path, ignore_errors=True)
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(path, arrays(module))


def load(module, path):
    import torch

    with ocp.PyTreeCheckpointer() as checkpointer:
        restored = checkpointer.restore(path)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in restored.items()})
