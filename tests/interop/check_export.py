"""PyTorch draws the pictures of runs from what `likely export` wrote, on the same noise.

    for run in runs/dcgan runs/wgan runs/wgan-gp; do likely sample $run; likely export $run; done
    ~/golden/bin/python tests/interop/check_export.py runs/dcgan runs/wgan runs/wgan-gp

The runs are of dcgan, wgan or wgan-gp on images; the noise comes from Philox4x32-10, as tensor/random.h says. Needs
numpy, torch and safetensors. Says by how many grey levels the two differ at the most.
"""
import argparse
import math
import pathlib
import struct
import tomllib
import zlib

import numpy
import torch
from safetensors.torch import load_file
from torch import nn

PICTURES = 0xFFFFFFFE  # what stands for the update where pictures are drawn


def fnv1a(text):
    result = 2166136261
    for byte in text.encode():
        result = (result ^ byte) * 16777619 % 2**32
    return result


def philox(counters, key):
    low, mask = numpy.uint64(32), numpy.uint64(2**32 - 1)
    c = [counters[:, i].astype(numpy.uint64) for i in range(4)]
    for _ in range(10):
        a, b = numpy.uint64(0xD2511F53) * c[0], numpy.uint64(0xCD9E8D57) * c[2]
        c = [(b >> low) ^ c[1] ^ numpy.uint64(key[0]), b & mask, (a >> low) ^ c[3] ^ numpy.uint64(key[1]), a & mask]
        key = ((key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32)
    return numpy.stack(c, 1)


def normals(count, purpose, seed):
    blocks = (count + 3) // 4
    counters = numpy.zeros((blocks, 4), numpy.uint64)
    counters[:, 0] = numpy.arange(blocks)
    counters[:, 2], counters[:, 3] = PICTURES, fnv1a(purpose)
    uniform = ((philox(counters, (seed % 2**32, seed >> 32)) >> numpy.uint64(9)).astype(float) + 0.5) / 2**23
    radius, angle = numpy.sqrt(-2 * numpy.log(uniform[:, ::2])), 2 * numpy.pi * uniform[:, 1::2]
    return numpy.stack([radius * numpy.cos(angle), radius * numpy.sin(angle)], 2).reshape(-1)[:count]


def generator(weights):
    """The layers that the names and shapes of generator.* describe, and the number of latents."""
    own = {name.removeprefix("generator."): w for name, w in weights.items() if name.startswith("generator.")}
    channels = len(own["main.0.weight"])  # of the first small image, which z is itself where no layer lifts it
    lift = nn.Linear(*own["lift.weight"].shape[::-1]) if "lift.weight" in own else nn.Identity()
    main = []
    for i in range(1 + max(int(name.split(".")[1]) for name in own if name.startswith("main."))):
        weight = own.get(f"main.{i}.weight")
        if weight is None:
            main.append(nn.ReLU())
        elif weight.dim() == 1:
            main.append(nn.BatchNorm2d(len(weight)))
        else:
            how = (2, 1) if main or "lift.weight" in own else (1, 0)  # stride and padding
            main.append(nn.ConvTranspose2d(*weight.shape[:2], tuple(weight.shape[2:]), *how, bias=f"main.{i}.bias" in own))
    network = nn.ModuleDict({"lift": lift, "main": nn.Sequential(*main)})
    missing = network.load_state_dict(own, strict=False)
    assert not missing.unexpected_keys and all(name.endswith("num_batches_tracked") for name in missing.missing_keys)
    network.eval()

    def draw(z):
        lifted = lift(z)
        side = math.isqrt(lifted.shape[1] // channels)
        return torch.tanh(network["main"](lifted.view(len(z), channels, side, side))) * 0.5 + 0.5

    return draw, getattr(lift, "in_features", channels)


def read_png(path):
    """8 bits a channel, grey or RGB, without interlacing → [rows, columns, channels]"""
    data, at, packed = open(path, "rb").read(), 8, b""
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        chunk, at = data[at + 8:at + 8 + size], at + 12 + size
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack_from(">IIBB", chunk)
            assert depth == 8 and colour in (0, 2)
        elif kind == b"IDAT":
            packed += chunk
    channels = 3 if colour == 2 else 1
    lines = numpy.frombuffer(zlib.decompress(packed), numpy.uint8).reshape(height, 1 + width * channels).astype(int)
    rows = numpy.zeros((height + 1, (width + 1) * channels), int)  # black above and to the left
    for r in range(height):
        for i in range(width * channels):
            left, above, corner = rows[r + 1, i], rows[r, i + channels], rows[r, i]
            near = left + above - corner
            paeth = min((left, above, corner), key=lambda v: abs(near - v))
            rows[r + 1, i + channels] = (lines[r, 1 + i] + (0, left, above, (left + above) // 2, paeth)[lines[r, 0]]) % 256
    return rows[1:, channels:].reshape(height, width, channels)


def images_of(path, side, columns=8, padding=2):
    grid = read_png(path)
    rows = (grid.shape[0] - padding) // (side + padding)
    cells = [grid[padding + r * (side + padding):][:side, padding + c * (side + padding):][:, :side]
             for r in range(rows) for c in range(columns)]
    return numpy.stack(cells).astype(int)


def check(run):
    """At how many grey levels the run's samples differ from PyTorch's, at the most."""
    configuration = tomllib.loads((run / "config.toml").read_text())
    draw, latents = generator(load_file(run / "pytorch.safetensors"))
    z = normals(64 * latents, "sample/latent", configuration["seed"]).reshape(64, latents)
    with torch.no_grad():
        drawn = draw(torch.tensor(z, dtype=torch.float32)).permute(0, 2, 3, 1).numpy()
    ours = images_of(run / "samples" / "samples.png", drawn.shape[1])
    difference = numpy.abs(numpy.rint(drawn * 255).astype(int) - ours)
    print(f"{configuration['model']} on {configuration['data']}: 64 images of {drawn.shape[1:]}: at most "
          f"{difference.max()} of 255 levels apart, {(difference > 0).mean():.2%} of the values differ")
    return difference.max()


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("runs", nargs="+", metavar="RUN", type=pathlib.Path)
raise SystemExit(int(max([check(run) for run in parser.parse_args().runs]) > 1))
