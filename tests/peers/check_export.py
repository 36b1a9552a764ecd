"""Reads exported files with PyTorch itself. Optional: the tests of the library need no Python.

    KEEP_EXPORTS=/tmp/exports cargo test --workspace --test it golden
    python tests/peers/check_export.py /tmp/exports

The first command writes the files (and fails where their checksums are not the verified ones); the second one needs
torch and safetensors. It loads every file with weights_only=True, in each of PyTorch's ways to read; compares every
tensor with the plain safetensors export; loads modules and optimizers strictly; takes the step that the library took
next, and compares the result with the library's."""
import io, os, pathlib, sys, warnings, zipfile
import torch, torch.nn as nn
from safetensors.torch import load_file

warnings.filterwarnings("error")
at = lambda name: os.path.join(sys.argv[1], name)

class Net(nn.Module):
    """The Net of fabric-core/tests/it/export/states.rs, in the order of its fields."""
    def __init__(self):
        super().__init__()
        self.embed = nn.Parameter(torch.zeros(5, 4))
        self.fc1 = nn.Linear(4, 6); self.bn = nn.BatchNorm1d(6); self.fc2 = nn.Linear(6, 5)
        self.head = self.embed
    def forward(self, x): return self.fc2(torch.relu(self.bn(self.fc1(x)))) @ self.head

def var(seed, shape):
    """`var` of states.rs: the gradients of a step."""
    n = 1
    for d in shape: n *= d
    return torch.tensor([((k * 37 + seed * 101 + 5) % 127 - 63) / 64 for k in range(n)], dtype=torch.float32).reshape(shape)

def load(name):
    """One object, read in every way there is."""
    ckpt = torch.load(at(name), weights_only=True)
    from torch.utils.serialization import config
    same(flat(ckpt), flat(torch.load(at(name), weights_only=False)))
    same(flat(ckpt), flat(torch.load(at(name), weights_only=True, mmap=True)))
    same(flat(ckpt), flat(torch.load(io.BytesIO(pathlib.Path(at(name)).read_bytes()), weights_only=True)))
    os.environ["TORCH_SERIALIZATION_DEBUG"] = "1"  # PyTorch compares the offsets that it computes with those in the file.
    with config.patch({"load.calculate_storage_offsets": True}):
        same(flat(ckpt), flat(torch.load(at(name), weights_only=True, mmap=True)))
    del os.environ["TORCH_SERIALIZATION_DEBUG"]
    assert zipfile.ZipFile(at(name)).testzip() is None
    reader = torch._C.PyTorchFileReader(at(name))
    for record in reader.get_all_records():
        if record.startswith("data/"): assert reader.get_record_offset(record) % 64 == 0, record
    # Back through Python: what PyTorch writes of it has the same contents.
    again = io.BytesIO(); torch.save(ckpt, again); again.seek(0)
    same(flat(ckpt), flat(torch.load(again, weights_only=True)))
    return ckpt

def flat(d, prefix=""):
    if isinstance(d, dict): items = d.items()
    elif isinstance(d, (list, tuple)): items = enumerate(d)
    else: return {prefix: d}
    return {k: v for key, below in items for k, v in flat(below, f"{prefix}.{key}" if prefix else str(key)).items()}

def bits(t): return t.contiguous().reshape(-1).view(torch.uint8)

def same(a, b):
    assert a.keys() == b.keys(), a.keys() ^ b.keys()
    for k in a:
        if isinstance(a[k], torch.Tensor):
            assert a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and torch.equal(bits(a[k]), bits(b[k])), k
        else: assert type(a[k]) is type(b[k]) and a[k] == b[k], k

def checked_model(ckpt_model, plain, prefix):
    assert type(ckpt_model).__name__ == "OrderedDict"
    for k, v in ckpt_model.items():
        if k.endswith("num_batches_tracked"): assert v.item() == 0 and v.dtype == torch.int64
        else: assert torch.equal(bits(v), bits(plain[prefix + k])), k
    model = Net()
    print("   ", model.load_state_dict(ckpt_model, strict=True))
    assert ckpt_model["embed"].untyped_storage().data_ptr() == ckpt_model["head"].untyped_storage().data_ptr()
    return model

def optimizer_for(name, model):
    params = list(model.parameters())
    if name == "adamw":
        return torch.optim.AdamW([{"params": params[:3]}, {"params": params[3:]}], lr=1.0)
    return torch.optim.SGD(params, lr=1.0, momentum=0.9 if name == "sgd_momentum" else 0.0)

def check_training(name):
    print(name)
    ckpt, plain = load(name + ".pt"), load_file(at(name + ".safetensors"))
    assert ckpt["iteration"] == 3_000_000_000 and ckpt["best"] == 0.25 and ckpt["model.scale"] == 0.5
    assert ckpt["hparams"] == {"name": "größe", "layers": [4, 6, 5], "dropout": None}
    model = checked_model(ckpt["model"], plain, "model.")
    names = [n for n, _ in model.named_parameters()]
    optimizer = optimizer_for(name, model)
    fresh = {k for g in optimizer.state_dict()["param_groups"] for k in g}
    stored = {k for g in ckpt["optimizer"]["param_groups"] for k in g}
    assert fresh <= stored, f"PyTorch also wants {fresh - stored}"
    print("    beyond PyTorch's own options:", stored - fresh)
    optimizer.load_state_dict(ckpt["optimizer"])
    listed = [n for g in ckpt["optimizer"]["param_groups"] for n in g["param_names"]]
    assert listed == ["model." + n for n in names], (listed, names)
    for number, state in ckpt["optimizer"]["state"].items():
        for key, value in state.items():
            if key == "step": assert value.item() == 3 and value.dtype == torch.float32 and value.shape == ()
            else: assert torch.equal(bits(value), bits(plain[f"optimizer.state.model.{names[number]}.{key}"]))
    # The step that the library took next, in PyTorch.
    for k, p in enumerate(model.parameters()): p.grad = var(20 + 7 * 3 + k, p.shape)
    optimizer.step()
    after = load_file(at(name + "_after.safetensors"))
    worst = max((p.detach() - after["model." + n]).abs().max().item() for n, p in model.named_parameters())
    for n, p in model.named_parameters():
        for key, value in optimizer.state[p].items():
            if key != "step": torch.testing.assert_close(value, after[f"optimizer.state.model.{n}.{key}"], rtol=1e-6, atol=1e-7)
    print(f"    one step later, the largest difference of a parameter: {worst:.1e}")
    assert worst < 1e-6
    # What goes back: `returned_*.pt` among the fixtures are these files.
    back = {**ckpt, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "iteration": ckpt["iteration"] + 1}
    torch.save(back, at(f"returned_{name}.pt"))
    # And a step that comes from a loss.
    optimizer.zero_grad(); model.train(); model(torch.rand(8, 4)).pow(2).mean().backward(); optimizer.step()
    assert all(torch.isfinite(p).all() for p in model.parameters())
    checked_model(load(name + "_after.pt")["model"], after, "model.")

for name in ["adamw", "sgd_momentum", "sgd_plain"]: check_training(name)

print("adamw_model: bare weights")
checked_model(load("adamw_model.pt"), load_file(at("adamw.safetensors")), "model.")

print("adamw_named: names for keys")
named = load("adamw_named.pt")["optimizer"]
assert list(named["state"]) == [n for g in named["param_groups"] for n in g["params"]]
optimizer = optimizer_for("adamw", Net()); optimizer.load_state_dict(named)  # PyTorch matches by order, whatever the keys.
assert all(s["step"].item() == 3 for s in optimizer.state.values())

for name in ["dtypes", "more_dtypes", "shards"]:
    print(name)
    tensors, plain = load(name + ".pt"), load_file(at(name + ".safetensors"))
    same(dict(tensors), plain)
    print("   ", {k: str(v.dtype) for k, v in tensors.items()})
print("all verified by torch", torch.__version__)
