"""Writes distributed checkpoints of several processes for `tests/system/peers.rs`, beside the files of `make_more_files.py`: meshes of
one and of two axes, uneven and empty shards, more ranks than rows, replicas, other element types.

    python tests/peers/make_more_shards.py /tmp/peers 7

Needs torch, safetensors."""
import logging, os, random, shutil, sys, warnings
import torch, torch.distributed as dist, torch.distributed.checkpoint as dcp, torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from safetensors.torch import save_file

warnings.filterwarnings("ignore"); logging.disable(logging.WARNING)

def tensors(seed, placements):
    """Full tensors, and how each lies on the mesh."""
    torch.manual_seed(seed); pick = random.Random(seed); types = [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.uint8]
    shapes = [(7, 5), (1, 6), (2, 3), (13,), (4, 4, 3), (3, 1), (6, 9), (17, 2), (5, 5, 1, 2)]
    out = {}
    for number, shape in enumerate(shapes):
        for way, placement in enumerate(placements):
            dims = [p.dim for p in placement if isinstance(p, Shard)]
            if any(d >= len(shape) for d in dims): continue
            t = (torch.randn(shape) * 50).to(types[(number + way) % len(types)])
            out[f"block.{number}.{'wxyzuv'[way]}"] = (t, placement)
    return out

def run(rank, world, out, seed, port, axes):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(world))
    dist.init_process_group("gloo", rank=rank, world_size=world)
    mesh = init_device_mesh("cpu", axes, mesh_dim_names=tuple("ab"[:len(axes)]))
    one = [[Shard(0)], [Shard(1)], [Replicate()], [Shard(2)]]
    two = [[Shard(0), Shard(1)], [Shard(1), Shard(0)], [Shard(0), Shard(0)], [Replicate(), Shard(0)], [Shard(1), Replicate()], [Replicate(), Replicate()]]
    full = tensors(seed, one if len(axes) == 1 else two)
    state = {name: distribute_tensor(t, mesh, placement) for name, (t, placement) in full.items()}
    kind = "x".join(map(str, axes)); plain = {name: t.contiguous() for name, (t, _) in full.items()}
    for prefix, writer in {"dcp": dcp.FileSystemWriter, "hf": lambda path: dcp.HuggingFaceStorageWriter(path=path, save_distributed=True)}.items():
        path = os.path.join(out, f"{prefix}_mesh_{kind}")
        if rank == 0: shutil.rmtree(path, ignore_errors=True)
        dist.barrier(); dcp.save(dict(state), storage_writer=writer(path)); dist.barrier()
        if rank == 0: save_file(plain, path + ".expected.safetensors")
    dist.barrier(); dist.destroy_process_group()

if __name__ == "__main__":
    out, seed = sys.argv[1], int(sys.argv[2])
    for number, axes in enumerate([(2,), (3,), (2, 2)]):
        world = axes[0] if len(axes) == 1 else axes[0] * axes[1]
        mp.spawn(run, (world, out, seed + number, 29710 + number, axes), world)
