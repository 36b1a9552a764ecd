"""Writes training runs of PyTorch that go on elsewhere: a model and its optimizer after seven steps, the batches of the
next five, and what PyTorch made of these, step by step. `fabric-core/tests/it/pytorch/continued.rs` takes the same steps.

    python tests/peers/make_continuations.py tests/fixtures/pytorch/continued [SEED]

Needs torch, for `fabric.ckpt` lightning. Equal seeds give equal numbers, not equal bytes: PyTorch writes an
identity of its own into each file."""
import logging, os, shutil, sys, warnings
import torch, torch.nn as nn
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

warnings.filterwarnings("ignore"); logging.disable(logging.WARNING)
OUT = sys.argv[1]; SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 0
BEFORE, AFTER, BATCH = 7, 5, 6

class Mlp(nn.Module):
    def __init__(self):
        super().__init__(); self.fc1 = nn.Linear(3, 5); self.fc2 = nn.Linear(5, 2)
    def forward(self, x): return self.fc2(torch.tanh(self.fc1(x)))

def step(model, optimizer, inputs, targets):
    optimizer.zero_grad(); loss = (model(inputs) - targets).pow(2).mean(); loss.backward(); optimizer.step()
    return loss.detach().clone()

def copied(tree):
    if isinstance(tree, torch.Tensor): return tree.detach().clone()
    if isinstance(tree, dict): return {key: copied(below) for key, below in tree.items()}
    return [copied(below) for below in tree] if isinstance(tree, list) else tree

def run(make, dtype=torch.float32, before=BEFORE, named=False):
    """The state after `before` steps, and the record of those that follow."""
    torch.manual_seed(SEED)
    model = Mlp().to(dtype); optimizer = make(model)
    batch = lambda: (torch.randn(BATCH, 3, dtype=dtype), torch.randn(BATCH, 2, dtype=dtype))
    for _ in range(before): step(model, optimizer, *batch())
    of_optimizer = get_optimizer_state_dict(model, optimizer) if named else optimizer.state_dict()
    state = {"model": copied(dict(model.state_dict())), "optimizer": copied(of_optimizer), "iteration": before}
    record = {"inputs": [], "targets": [], "losses": [], "weights": []}
    for _ in range(AFTER):
        inputs, targets = batch()
        loss = step(model, optimizer, inputs, targets)
        for key, value in [("inputs", inputs), ("targets", targets), ("losses", loss), ("weights", copied(dict(model.state_dict())))]:
            record[key].append(value)
    return state, record

def groups(model, **second):
    """Weights in one group, biases in another: numbers in the file are not those of the model."""
    return [{"params": [model.fc1.weight, model.fc2.weight]}, {"params": [model.fc1.bias, model.fc2.bias], **second}]

adamw, adam, sgd = torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD
CASES = {
    "adamw": lambda m: adamw(m.parameters(), lr=2e-2),
    "adamw_options": lambda m: adamw(m.parameters(), lr=1e-2, betas=(0.8, 0.95), eps=1e-5, weight_decay=0.3),
    "adamw_groups": lambda m: adamw(groups(m, lr=3e-3, weight_decay=0.0), lr=2e-2, weight_decay=0.2),
    "adam": lambda m: adam(m.parameters(), lr=2e-2),
    "sgd": lambda m: sgd(m.parameters(), lr=0.1),
    "sgd_decay": lambda m: sgd(m.parameters(), lr=0.1, weight_decay=0.05),
    "sgd_momentum": lambda m: sgd(m.parameters(), lr=0.05, momentum=0.9),
    "sgd_nesterov": lambda m: sgd(m.parameters(), lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.02),
    "sgd_groups": lambda m: sgd(groups(m, lr=0.01, momentum=0.5), lr=0.05, momentum=0.9),
    # What this library refuses, with a sentence.
    "adam_decay": lambda m: adam(m.parameters(), lr=2e-2, weight_decay=0.1),
    "adamw_amsgrad": lambda m: adamw(m.parameters(), lr=2e-2, amsgrad=True),
    "adamw_maximize": lambda m: adamw(m.parameters(), lr=2e-2, maximize=True),
    "sgd_dampening": lambda m: sgd(m.parameters(), lr=0.05, momentum=0.9, dampening=0.1),
}

def write(name, state, record): torch.save({**state, "record": record}, os.path.join(OUT, f"{name}.pt"))

for name, make in CASES.items(): write(name, *run(make))
for name in ["adamw", "sgd_momentum"]:
    write(f"{name}_f64", *run(CASES[name], dtype=torch.float64))
    write(f"{name}_start", *run(CASES[name], before=0))
write("adamw_names", *run(CASES["adamw_groups"], named=True))
write("adamw_parameter_names", *run(lambda m: adamw(m.named_parameters(), lr=2e-2)))
tensor_lr = run(lambda m: adamw(m.parameters(), lr=torch.tensor(2e-2), foreach=False))
write("adamw_tensor_lr", *tensor_lr)

for name, (state, record) in {"dcp": run(CASES["adamw_groups"], named=True), "dcp_tensor_lr": tensor_lr}.items():
    directory = os.path.join(OUT, name); shutil.rmtree(directory, ignore_errors=True)
    dcp.save({**state, "record": record}, checkpoint_id=directory, no_dist=True)

from lightning.fabric import Fabric
state, record = run(CASES["sgd_nesterov"])
Fabric(accelerator="cpu", devices=1).save(os.path.join(OUT, "fabric.ckpt"), {**state, "record": record})
