"""Writes a second batch of files of PyTorch, of the kinds in `tests/fixtures/pytorch` and with what is rare in them: other
shapes, names, protocols, views, element types, values, shards. `tests/system/peers.rs` reads them:

    python tests/peers/make_more_files.py /tmp/peers 7
    PEER_FILES=/tmp/peers cargo test --workspace --test system peers::
    python tests/peers/check_returned.py /tmp/peers

Needs torch, numpy, safetensors. Beside each file or directory stand its tensors, as the safetensors package writes them,
and for files their values as JSON."""
import collections, json, os, random, shutil, sys, warnings, logging
import numpy as np, torch, torch.nn as nn
from safetensors.torch import save_file

warnings.filterwarnings("ignore"); logging.disable(logging.WARNING)
OUT = sys.argv[1]; SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 0
os.makedirs(OUT, exist_ok=True); torch.manual_seed(SEED); random.seed(SEED)
at = lambda name: os.path.join(OUT, name)
size = lambda: random.randint(2, 9)

def flat(d, prefix=""):
    out = {}
    for key, value in d.items() if isinstance(d, dict) else enumerate(d):
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, torch.Tensor): out[name] = value
        elif isinstance(value, (dict, list, tuple)): out.update(flat(value, name))
    return out

def plain(d):
    """Values as JSON; integers that JSON readers would round are texts, and so are floats that JSON has not."""
    if isinstance(d, torch.Tensor): return {"tensor": list(d.shape), "dtype": str(d.dtype)}
    if isinstance(d, dict): return {str(k): plain(v) for k, v in d.items()}
    if isinstance(d, (list, tuple)): return [plain(v) for v in d]
    if isinstance(d, float) and d != d: return "nan"
    if isinstance(d, float) and d in (float("inf"), float("-inf")): return str(d)
    if isinstance(d, int) and not isinstance(d, bool) and not -2**63 <= d < 2**64: return str(d)
    return d if isinstance(d, (int, float, str, bool, type(None))) else {"opaque": True}

def expect(name, d):
    dense = {k: v.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format).contiguous() for k, v in flat(d).items()}
    save_file(dense, at(name + ".expected.safetensors"))
    with open(at(name + ".expected.json"), "w") as f: json.dump(plain(d), f, indent=1)

def write(name, d, **kw): torch.save(d, at(name), **kw); expect(name, d)

class Net(nn.Module):
    def __init__(self):
        super().__init__(); a, b, c = size(), size(), size()
        self.stem = nn.Conv2d(a, b, 3, bias=False); self.norm = nn.BatchNorm2d(b); self.rnn = nn.GRU(b, c, bidirectional=True)
        self.emb = nn.Embedding(a + 3, b); self.head = nn.Linear(b, a + 3, bias=False); self.head.weight = self.emb.weight
        self.layers = nn.ModuleList([nn.Sequential(nn.LayerNorm(c), nn.Linear(c, c)) for _ in range(11)])
        self.scale = nn.Parameter(torch.tensor(random.random())); self.register_buffer("mask", torch.rand(a, a) > 0.5)

for protocol in range(2, 6):
    for old in (False, True):
        sd = Net().state_dict(); kw = dict(pickle_protocol=protocol, _use_new_zipfile_serialization=not old)
        kind = "legacy" if old else "zip"
        write(f"net_{kind}_{protocol}.pt", sd, **kw)
        write(f"dict_{kind}_{protocol}.pt", {"net": dict(sd), "at": protocol, "list": [sd["scale"], sd["scale"], "x"]}, **kw)

base = torch.arange(7. * 6 * 5 * 4).reshape(7, 6, 5, 4) + random.random()
views = {"permuted": base.permute(2, 0, 3, 1), "steps": base[1::2, ::3, 1:4:2, 1:], "channels_last": base.contiguous(memory_format=torch.channels_last),
         "expanded": base[0, 0, 0].expand(3, 2, 4), "broadcast_0d": torch.tensor(2.5).expand(6), "diagonal": base[0, 0, :4].diagonal(),
         "overlapping": base.flatten().as_strided((5, 4), (2, 1), 3), "last": base[-1, -1, -1, -1:], "element": base[3, 2, 1, 0], "rows": base[5:],
         "empty": base[7:], "empty_middle": torch.zeros(3, 0, 5), "column": base[0, 0, :, 2:3], "ones": base[:1, :1, :1, :1], "flipped": base.flip(0),
         "t_half": base.half()[0, 0].t(), "t_i64": base.long()[0, 0].t(), "bf16": base.bfloat16().transpose(0, 3)}
for old in (False, True): write(f"views_{'legacy' if old else 'zip'}.pt", views, _use_new_zipfile_serialization=not old)
types = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64, torch.uint64, torch.float16, torch.bfloat16,
         torch.float32, torch.float64, torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz]
of = lambda t, *shape: torch.randint(0, 2, shape).bool() if t == torch.bool else (torch.randn(shape) * 40).to(torch.int64).abs().to(t) if not (t.is_floating_point or t.is_complex) else torch.randn(shape).to(t)
for old in (False, True):
    write(f"types_{'legacy' if old else 'zip'}.pt", {str(t).split(".")[1]: {"flat": of(t, size(), size()), "t": of(t, size(), size()).t(), "0d": of(t)} for t in types},
          _use_new_zipfile_serialization=not old, pickle_protocol=random.randint(2, 5))
values = {"ints": [0, -1, 255, 256, 65535, 65536, -2**31, 2**31, 2**53 + 1, -2**63, 2**63, 2**64 - 1, 2**64, -2**100, 2**126], "floats": [0.1, -0.0, 1e300, 5e-324, float("inf"), float("-inf"), float("nan")],
          "texts": ["", "größe", "日本", "🙂", "a" * 300, "line\nbreak\ttab \\ 'quote'"], "none": None, "flags": [True, False], "nested": {"a": {"b": {"c": [1, [2, [3, (4,)]]]}}},
          "ordered": collections.OrderedDict(z=1, a=2), "default": collections.defaultdict(list, {"k": [1]}), "empty": {}, "empty_list": [], "empty_tuple": (),
          "mixed": [torch.rand(2), {"x": torch.rand(1), "y": 3}, "z"], "numbers": {1: "one", 2: torch.rand(3), -3: "minus"}, "weights": {"w": torch.rand(size(), size())}}
for protocol in range(2, 6):
    write(f"values_{protocol}.pt", values, pickle_protocol=protocol); write(f"values_legacy_{protocol}.pt", values, pickle_protocol=protocol, _use_new_zipfile_serialization=False)

sd = Net().state_dict()
write("one_tensor.pt", {"tensor": sd["scale"]}); torch.save(sd["scale"], at("one_tensor.pt"))
write("list.pt", [torch.rand(2), torch.rand(3, 1)]); write("tuple.pt", (sd, {"epoch": 4})); write("ünï cödé.pt", {"naïve name/with slash": torch.rand(2), "a.b": torch.rand(1)})
p = nn.Parameter(torch.rand(2, 3)); p.note = "attribute"; t = torch.rand(4); t.note = "attribute"
write("attributes.pt", {"parameter": p, "tensor": t, "buffer": nn.Buffer(torch.rand(2)), "frozen": nn.Parameter(torch.rand(2), requires_grad=False), "shared": p}, pickle_protocol=4)
for prefix in ["module.", "_orig_mod.", "module._orig_mod.", "_fsdp_wrapped_module."]: write(f"prefix_{prefix.replace('.', '+')}.pt", {prefix + k: v for k, v in sd.items()})
write("wrapped_inside.pt", {"model_state_dict": {k.replace("layers.", "layers._fsdp_wrapped_module."): v for k, v in sd.items()}, "epoch": 9, "loss": 0.25})
torch.save(sd, at("no_byteorder.pt"), _disable_byteorder_record=True); expect("no_byteorder.pt", sd)
torch.serialization.set_crc32_options(False); write("no_crc.pt", sd); torch.serialization.set_crc32_options(True)
with open(at("stream.pt"), "wb") as f: torch.save(sd, f)
expect("stream.pt", sd)
from torch.utils.serialization import config
with config.patch({"save.storage_alignment": 4096}): write("aligned.pt", sd)

# What is no plain tensor: listed under its name, never dropped; a reader that ignored the flags would change signs.
z = torch.randn(4, dtype=torch.complex64)
for name, d in {"negated": {"x": z.conj().imag, "w": torch.rand(2)}, "conjugated": {"x": z.conj(), "w": torch.rand(2)}, "sparse": {"x": torch.eye(3).to_sparse(), "w": torch.rand(2)},
                "csr": {"x": torch.eye(3).to_sparse_csr(), "w": torch.rand(2)}, "quantized": {"x": torch.quantize_per_tensor(torch.rand(4), 0.1, 0, torch.qint8), "w": torch.rand(2)},
                "meta": {"x": torch.rand(2, device="meta"), "w": torch.rand(2)}, "complex32": {"x": torch.randn(2, dtype=torch.complex32), "w": torch.rand(2)},
                "numpy": {"x": np.arange(4.), "w": torch.rand(2), "scalar": np.float64(0.5), "int": np.int32(-7)}, "nested_tensor": {"x": torch.nested.nested_tensor([torch.rand(2), torch.rand(3)]), "w": torch.rand(2)},
                "set": {"x": {1, 2}, "w": torch.rand(2)}, "module": {"x": nn.Linear(2, 2), "w": torch.rand(2)}}.items():
    torch.save(d, at(f"leaf_{name}.pt"))

# Optimizers by numbers and by names, of every kind.
make = {"adamw": lambda ps: torch.optim.AdamW(ps, lr=1e-2, weight_decay=0.2), "adam": lambda ps: torch.optim.Adam(ps, betas=(0.8, 0.9)), "sgd": lambda ps: torch.optim.SGD(ps, lr=1e-2),
        "momentum": lambda ps: torch.optim.SGD(ps, lr=1e-2, momentum=0.9), "rmsprop": lambda ps: torch.optim.RMSprop(ps), "adagrad": lambda ps: torch.optim.Adagrad(ps)}
for name, kind in make.items():
    net = nn.Sequential(nn.Linear(size(), 6), nn.Tanh(), nn.Linear(6, size())); opt = kind(net.parameters()); schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 9)
    for _ in range(random.randint(1, 5)): opt.zero_grad(); net(torch.rand(3, net[0].in_features)).pow(2).mean().backward(); opt.step(); schedule.step()
    write(f"opt_{name}.pt", {"net": net.state_dict(), "opt": opt.state_dict(), "schedule": schedule.state_dict(), "rng": torch.get_rng_state()})

import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.filesystem import FileSystemWriter
shutil.rmtree(at("dcp_one"), ignore_errors=True); shutil.rmtree(at("dcp_items"), ignore_errors=True); shutil.rmtree(at("dcp_threads"), ignore_errors=True)
state = {"model": sd, "deep": {"list": [torch.rand(2), {"x": torch.rand(1).bfloat16()}], "views": {k: v for k, v in views.items() if k != "broadcast_0d"}}, "step": 12}
dcp.save(state, checkpoint_id=at("dcp_one"), no_dist=True); expect("dcp_one", state)
dcp.save(state, storage_writer=FileSystemWriter(at("dcp_items"), single_file_per_rank=False), no_dist=True); expect("dcp_items", state)
dcp.save(state, storage_writer=FileSystemWriter(at("dcp_threads"), thread_count=3), no_dist=True); expect("dcp_threads", state)
typed = {str(t).split(".")[1]: of(t, size(), size()) for t in types}
shutil.rmtree(at("dcp_types"), ignore_errors=True); dcp.save(typed, checkpoint_id=at("dcp_types"), no_dist=True); expect("dcp_types", typed)
