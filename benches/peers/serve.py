"""Saves and loads with other libraries, for a benchmark that runs elsewhere and decides when.

One request a line on standard input, one answer a line on standard output, both JSON:

    {"peer": "dcp", "do": "load", "state": "state.safetensors", "path": "dcp"}  ->  {"seconds": 0.14}

`state` names a safetensors file with the tensors that are saved, or loaded into; it stays in memory until another one is
named. Times are taken here, so they have no pipe in them. A library that is not installed is answered with
{"missing": ...}, and what goes wrong with {"error": ...}. What is needed:

    pip install torch lightning safetensors numpy
    pip install orbax-checkpoint            # if Orbax is to be compared too
"""

import gc
import importlib
import json
import os
import sys
import time

PEERS = ["torch_file", "safetensors_file", "lightning_fabric", "dcp", "orbax_checkpoint"]


class Current:
    """The state that was asked for last."""

    def __init__(self):
        self.path, self.module = None, None

    def of(self, path):
        if path != self.path:
            from state import module_of

            self.module = None
            gc.collect()
            self.path, self.module = path, module_of(path)
        return self.module


def answer(request, current):
    if request["peer"] not in PEERS:
        return {"error": f"there is no peer {request['peer']}"}
    try:
        peer = importlib.import_module(request["peer"])
        module = current.of(request["state"])
    except ImportError as error:
        return {"missing": str(error)}
    work = getattr(peer, request["do"])
    begin = time.perf_counter()
    # Work that is longer than the call of interest returns the time of that call.
    seconds = work(module, request["path"])
    took = time.perf_counter() - begin
    gc.collect()
    return {"seconds": took if seconds is None else seconds}


def main():
    # Libraries print what they like: only answers may reach standard output.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    current = Current()
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), current)
        except Exception as error:  # whatever a library raises is its answer
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answers)


if __name__ == "__main__":
    main()
