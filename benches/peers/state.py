"""A module with the tensors of a safetensors file, under their names."""

import torch
from safetensors.torch import load_file


def module_of(path):
    root = torch.nn.Module()
    for name, tensor in load_file(path).items():
        *path_to, leaf = name.split(".")
        module = root
        for part in path_to:
            if part not in module._modules:
                module.add_module(part, torch.nn.Module())
            module = module._modules[part]
        module.register_parameter(leaf, torch.nn.Parameter(tensor, requires_grad=False))
    return root
