"""Lightning Fabric on one device: one file, which `fabric.save` does not sync."""

import logging

logging.getLogger("lightning").setLevel(logging.ERROR)

from lightning.fabric import Fabric

FABRIC = Fabric(accelerator="cpu", devices=1)


def save(module, path):
    FABRIC.save(path, {"model": module})


def load(module, path):
    FABRIC.load(path, {"model": module})
