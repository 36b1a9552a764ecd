"""PyTorch's distributed checkpoint with one process: a directory, whose files are synced."""

import time
import warnings

import torch.distributed.checkpoint as dcp

warnings.filterwarnings("ignore")


def save(module, path):
    writer = dcp.FileSystemWriter(path, sync_files=True, overwrite=True)
    dcp.save(module.state_dict(), storage_writer=writer, no_dist=True)


def load(module, path):
    dcp.load(module.state_dict(), checkpoint_id=path, no_dist=True)


def save_async(module, path):
    """The time until the call returns; the write is waited for, and not counted."""
    writer = dcp.FileSystemWriter(path, sync_files=True, overwrite=True)
    begin = time.perf_counter()
    saving = dcp.async_save(module.state_dict(), storage_writer=writer, no_dist=True)
    seconds = time.perf_counter() - begin
    saving.result()
    return seconds
