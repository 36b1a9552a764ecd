"""PyTorch's distributed checkpoint on four ranks that talk over gloo: one JSON line for each round.

    python3 benches/peers/dcp_4_ranks.py DIRECTORY [--mib 2048] [--tensors 64] [--runs 7] [--ranks 4]

The state has `--mib` in all, in f32 matrices of equal size whose rows are dealt out to the ranks. Each round saves it with
synced files into a new directory, and loads it in place: once while it is in the page cache, once from the device:

    {"do": "save", "seconds": 1.9, "bytes": 2147483648, "ranks": 4}

A round's time is from a barrier before it to a barrier after it. The first round is not printed. Its files are removed.
"""

import argparse
import json
import os
import shutil
import socket
import time
import warnings


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", help="where the checkpoints are written; not a memory file system")
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--tensors", type=int, default=64)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--ranks", type=int, default=4)
    return parser.parse_args()


def read_file(path):
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass


def drop_pages(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def rank_main(rank, args, port):
    import torch
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    warnings.filterwarnings("ignore")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(args.ranks))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=args.ranks)
    mesh = init_device_mesh("cpu", (args.ranks,))
    columns = 1024
    rows = (args.mib << 20) // 4 // args.tensors // columns
    state = {
        f"layer{number:02}.weight": distribute_tensor(torch.rand(rows, columns), mesh, [Shard(0)])
        for number in range(args.tensors)
    }
    path = os.path.join(args.directory, "dcp-4-ranks")

    def timed(work):
        dist.barrier()
        begin = time.perf_counter()
        work()
        dist.barrier()
        return time.perf_counter() - begin

    for run in range(args.runs + 1):
        if rank == 0:
            shutil.rmtree(path, ignore_errors=True)
        writer = dcp.FileSystemWriter(path, sync_files=True)
        times = {"save": timed(lambda: dcp.save(state, storage_writer=writer))}
        for do, prepare in (("load", read_file), ("load cold", drop_pages)):
            if rank == 0:
                for name in os.listdir(path):
                    prepare(os.path.join(path, name))
            times[do] = timed(lambda: dcp.load(state, checkpoint_id=path))
        if rank == 0 and run > 0:
            for do, seconds in times.items():
                size = rows * columns * 4 * args.tensors
                print(json.dumps({"do": do, "seconds": seconds, "bytes": size, "ranks": args.ranks}), flush=True)
    if rank == 0:
        shutil.rmtree(path, ignore_errors=True)
    dist.destroy_process_group()


def main():
    args = arguments()
    try:
        import torch.multiprocessing as processes
    except ImportError:
        print(json.dumps({"missing": "torch: pip install torch numpy"}))
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes.spawn(rank_main, args=(args, port), nprocs=args.ranks)


if __name__ == "__main__":
    main()
