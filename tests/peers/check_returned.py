"""Reads what `tests/system/peers.rs` exported of the files of `make_more_files.py` with PyTorch itself: weights only, every tensor
bit for bit what the safetensors package wrote; optimizers and models load it and take a step.

    python tests/peers/check_returned.py /tmp/peers

Needs torch, safetensors."""
import os, sys, warnings
import torch, torch.nn as nn
from safetensors.torch import load_file

warnings.filterwarnings("ignore")
DIR = sys.argv[1]; RETURNED = os.path.join(DIR, "returned")

def flat(d, prefix=""):
    if isinstance(d, torch.Tensor): return {prefix: d}
    items = d.items() if isinstance(d, dict) else enumerate(d) if isinstance(d, (list, tuple)) else ()
    return {k: v for key, below in items for k, v in flat(below, f"{prefix}.{key}" if prefix else str(key)).items()}

def bits(t): return t.contiguous().reshape(-1).view(torch.uint8)

checked = 0
for file in sorted(os.listdir(RETURNED)):
    name = file.removesuffix(".returned.pt")
    found, expected = flat(torch.load(os.path.join(RETURNED, file), weights_only=True)), load_file(os.path.join(DIR, name + ".expected.safetensors"))
    # An export adds the counters of batch norms, which this library does not keep; these files have them already.
    assert found.keys() == expected.keys(), (name, found.keys() ^ expected.keys())
    for key, value in expected.items():
        assert found[key].dtype == value.dtype and found[key].shape == value.shape and torch.equal(bits(found[key]), bits(value)), (name, key)
    checked += 1

make = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": lambda ps: torch.optim.SGD(ps, lr=1.0), "momentum": lambda ps: torch.optim.SGD(ps, lr=1.0, momentum=0.1),
        "rmsprop": torch.optim.RMSprop, "adagrad": torch.optim.Adagrad}
for name, kind in make.items():
    runs = []
    for file in (os.path.join(DIR, f"opt_{name}.pt"), os.path.join(RETURNED, f"opt_{name}.pt.returned.pt")):
        d = torch.load(file, weights_only=True); shape = d["net"]["0.weight"].shape, d["net"]["2.weight"].shape
        net = nn.Sequential(nn.Linear(shape[0][1], shape[0][0]), nn.Tanh(), nn.Linear(shape[1][1], shape[1][0])); net.load_state_dict(d["net"])
        opt = kind(net.parameters()); opt.load_state_dict(d["opt"]); torch.set_rng_state(d["rng"])
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 9); schedule.load_state_dict(d["schedule"])
        for _ in range(3): opt.zero_grad(); net(torch.rand(5, shape[0][1])).pow(2).mean().backward(); opt.step(); schedule.step()
        runs.append((net.state_dict(), opt.param_groups[0]["lr"], opt.state_dict()["param_groups"]))
    assert all(torch.equal(runs[0][0][k], runs[1][0][k]) for k in runs[0][0]) and runs[0][1:] == runs[1][1:], name
print(f"{checked} files are the same, {len(make)} optimizers go on the same")
