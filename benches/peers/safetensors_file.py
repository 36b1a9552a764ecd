"""safetensors, and back into the live parameters."""

from safetensors.torch import load_file, save_file


def save(module, path):
    save_file(module.state_dict(), path)


def load(module, path):
    module.load_state_dict(load_file(path))
