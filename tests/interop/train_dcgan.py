"""Trains a run's networks in PyTorch with the run's own settings, and leaves them in a copy of the run.

    likely train dcgan --preset small --data mnist --data-dir DATA --out runs/ours
    ~/peers/bin/python tests/interop/train_dcgan.py runs/ours runs/peer --data-dir DATA --seed 1
    likely evaluate runs/peer

so that both are judged by the same program. The run is a dcgan on mnist or fashion-mnist; the order of images, noise and
first weights are PyTorch's own. Needs numpy and torch.
"""
import argparse
import gzip
import json
import pathlib
import shutil
import struct
import time
import tomllib
import zlib

import numpy
import torch
import torch.nn.functional as F
from torch import nn

DOUBLING = {"kernel_size": 4, "stride": 2, "padding": 1, "bias": False}


def generator(latents, width):
    return nn.Sequential(nn.ConvTranspose2d(latents, 2 * width, 7, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(),
                         nn.ConvTranspose2d(2 * width, width, **DOUBLING), nn.BatchNorm2d(width), nn.ReLU(),
                         nn.ConvTranspose2d(width, 1, **DOUBLING), nn.Tanh())


def discriminator(width):
    return nn.Sequential(nn.Conv2d(1, width, **DOUBLING), nn.LeakyReLU(0.2),
                         nn.Conv2d(width, 2 * width, **DOUBLING), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2),
                         nn.Conv2d(2 * width, 1, 7, bias=False), nn.Flatten(0))


def initialise(module):
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1, 0.02)
    elif hasattr(module, "weight"):
        nn.init.normal_(module.weight, 0, 0.02)


def training_images(folder):
    data = gzip.open(folder / "train-images-idx3-ubyte.gz").read()
    count, rows, columns = struct.unpack_from(">III", data, 4)
    pixels = numpy.frombuffer(data, numpy.uint8, offset=16).reshape(count, 1, rows, columns)
    return torch.tensor(pixels / 127.5 - 1, dtype=torch.float32)


def train(settings, images):
    """algorithm 1 of Goodfellow et al. with Adam, as pytorch/examples does it"""
    g, d = generator(settings["latents"], settings["width"]), discriminator(settings["width"])
    for network in (g, d):
        network.apply(initialise).to(memory_format=torch.channels_last)
    adams = [torch.optim.Adam(n.parameters(), settings["rate"], (settings["beta1"], 0.999), fused=True) for n in (g, d)]
    batch, order = settings["batch"], []
    for _ in range(settings["steps"]):
        order = order or list(torch.randperm(len(images)).split(batch))
        real = images[order.pop()].contiguous(memory_format=torch.channels_last)
        fake = g(torch.randn(len(real), settings["latents"], 1, 1))
        d.requires_grad_(True)
        loss = F.softplus(-d(real)).mean() + F.softplus(d(fake.detach())).mean()
        adams[1].zero_grad()
        loss.backward()
        adams[1].step()
        d.requires_grad_(False)
        adams[0].zero_grad()
        F.softplus(-d(fake)).mean().backward()
        adams[0].step()
    return {"generator": g, "discriminator": d}


OURS = {"scale": "weight", "shift": "bias", "running_variance": "running_var"}


def replace_weights(folder, networks):
    """our file's tensors, in its order and layout, and the sums over it"""
    path = folder / "model.safetensors"
    old = path.read_bytes()
    size = struct.unpack_from("<Q", old)[0]
    new = bytearray(old)
    for name, entry in json.loads(old[8:8 + size]).items():
        if name == "__metadata__":
            continue
        network, _, number, part = name.split(".")
        value = networks[network].state_dict()[f"{number}.{OURS.get(part, part)}"]
        value = value.permute(0, 2, 3, 1) if value.dim() == 4 else value  # channels last
        assert list(value.shape) == entry["shape"], name
        begin, end = entry["data_offsets"]
        new[8 + size + begin:8 + size + end] = value.contiguous().numpy().tobytes()
    path.write_bytes(new)
    state = json.loads((folder / "state.json").read_text())
    del state["checksum"]
    state["files"]["model.safetensors"]["crc32"] = f"{zlib.crc32(new):08x}"
    dumped = json.dumps(state, separators=(",", ":"))
    state["checksum"] = f"{zlib.crc32(dumped.encode()):08x}"
    (folder / "state.json").write_text(json.dumps(state, indent=2))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run", type=pathlib.Path)
parser.add_argument("out", type=pathlib.Path)
parser.add_argument("--data-dir", type=pathlib.Path, required=True)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--threads", type=int, default=2)
arguments = parser.parse_args()
torch.manual_seed(arguments.seed)
torch.set_num_threads(arguments.threads)
settings = tomllib.loads((arguments.run / "config.toml").read_text())
assert settings["model"] == "dcgan" and settings["schedule"] == "constant", settings
begun = time.monotonic()
networks = train(settings, training_images(arguments.data_dir / settings["data"]))
print(f"{settings['steps']} steps in {time.monotonic() - begun:.0f} s")
shutil.copytree(arguments.run, arguments.out, symlinks=True)
(arguments.out / "evaluation.json").unlink(missing_ok=True)
replace_weights(arguments.out / "checkpoints" / "last", networks)
