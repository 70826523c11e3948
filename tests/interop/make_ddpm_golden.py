"""Writes ddpm.safetensors beside this file: a small U-Net and a step of its training computed by PyTorch, for
tests/zoo/ddpm.cpp. Run it as make_golden.py.

Images of 8x8x2, width 4, multipliers 1,2, one block a level, attention at level 1, 2 groups, T = 1000, a batch of 3. Weights
are named and laid out as our checkpoints have them, drawn N(0, 1 / fan-in), so that no layer begins at zero. The given x, t - 1
and noise stand under their names, what the network finds under result/, gradients of the mean squared error under gradient/.
"""
import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

WIDTH, GROUPS, BATCH, SIZE, CHANNELS, STEPS = 4, 2, 3, 8, 2, 1000

torch.manual_seed(20200619)
torch.use_deterministic_algorithms(True)
weights = {}


def parameter(name, shape, scale, offset=0.0):
    if name not in weights:
        weights[name] = (offset + scale * torch.randn(*shape)).requires_grad_()
    return weights[name]


def linear(name, h, out):
    fan_in = h.shape[-1]
    return F.linear(h, parameter(f"{name}.weight", (out, fan_in), 1 / math.sqrt(fan_in)), parameter(f"{name}.bias", (out,), 0.1))


def convolution(name, h, out, stride=1):
    fan_in = h.shape[1]
    weight = parameter(f"{name}.weight", (out, 3, 3, fan_in), 1 / math.sqrt(9 * fan_in))
    return F.conv2d(h, weight.permute(0, 3, 1, 2), parameter(f"{name}.bias", (out,), 0.1), stride=stride, padding=1)


def norm(name, h):
    channels = h.shape[1]
    return F.group_norm(h, GROUPS, parameter(f"{name}.scale", (channels,), 0.2, 1.0), parameter(f"{name}.shift", (channels,), 0.2))


def pixels(f, h):
    """f on the channels of each pixel"""
    return f(h.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def residual(name, x, out, time):
    h = convolution(f"{name}.first", F.silu(norm(f"{name}.before", x)), out)
    h = h + linear(f"{name}.of_time", time, out)[:, :, None, None]
    h = convolution(f"{name}.second", F.silu(norm(f"{name}.between", h)), out)
    return h + (x if x.shape[1] == out else pixels(lambda y: linear(f"{name}.shortcut", y, out), x))


def attention(name, x):
    batch, channels, rows, columns = x.shape
    seen = norm(f"{name}.before", x).flatten(2).transpose(1, 2)
    q, k, v = (linear(f"{name}.{part}", seen, channels) for part in ("query", "key", "value"))
    h = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(channels), -1) @ v
    return x + linear(f"{name}.out", h, channels).transpose(1, 2).reshape(batch, channels, rows, columns)


def unet(x, step):
    half = WIDTH // 2
    angle = step[:, None].double() * torch.exp(-math.log(10000) * torch.arange(half).double() / (half - 1))
    time = torch.cat([torch.sin(angle), torch.cos(angle)], 1).float()
    time = F.silu(linear("time.second", F.silu(linear("time.first", time, 4 * WIDTH)), 4 * WIDTH))
    h = convolution("in", x, WIDTH)
    kept = [h]
    h = residual("down.0.0.residual", h, WIDTH, time)
    kept.append(h)
    h = convolution("down.0.resize", h, WIDTH, stride=2)
    kept.append(h)
    h = attention("down.1.0.attention", residual("down.1.0.residual", h, 2 * WIDTH, time))
    kept.append(h)
    h = attention("middle.0.attention", residual("middle.0.residual", h, 2 * WIDTH, time))
    h = residual("middle.1.residual", h, 2 * WIDTH, time)
    for block in range(2):
        h = residual(f"up.1.{block}.residual", torch.cat([h, kept.pop()], 1), 2 * WIDTH, time)
        h = attention(f"up.1.{block}.attention", h)
    h = convolution("up.1.resize", F.interpolate(h, scale_factor=2, mode="nearest"), 2 * WIDTH)
    for block in range(2):
        h = residual(f"up.0.{block}.residual", torch.cat([h, kept.pop()], 1), WIDTH, time)
    return convolution("out", F.silu(norm("norm", h)), CHANNELS)


x = torch.rand(BATCH, CHANNELS, SIZE, SIZE) * 2 - 1
noise = torch.randn(BATCH, CHANNELS, SIZE, SIZE)
step = torch.tensor([0, 137, STEPS - 1])
kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, STEPS, dtype=torch.float64), 0)[step].float()[:, None, None, None]
noisy = torch.sqrt(kept) * x + torch.sqrt(1 - kept) * noise
found = unet(noisy, step)
loss = ((noise - found) ** 2).mean()
loss.backward()

saved = {"x": x, "noise": noise, "result/noisy": noisy, "result/found": found}
saved = {name: value.permute(0, 2, 3, 1) for name, value in saved.items()}
saved.update({"step": step, "result/loss": loss})
for name, weight in weights.items():
    saved[name], saved[f"gradient/{name}"] = weight, weight.grad
save_file({name: value.detach().contiguous() for name, value in saved.items()},
          pathlib.Path(__file__).with_name("ddpm.safetensors"))
