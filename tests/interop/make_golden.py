"""Writes vae.safetensors beside this file: a small VAE computed by PyTorch, for tests/zoo/vae_golden.cpp.

    python3 -m venv ~/golden && ~/golden/bin/pip install torch safetensors     # outside the tree
    ~/golden/bin/python tests/interop/make_golden.py

Two hidden layers of 24 on each side, 5 latents, 7x7 binary images, tanh. Tensors are named as our checkpoints
name them; results stand under result/, gradients of the two objectives under gradient/elbo/ and gradient/iwae/.
"""
import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

PIXELS, HIDDEN, LATENTS, BATCH, DRAWS = 49, 24, 5, 8, 6
LAYERS = {"encoder.0": (PIXELS, HIDDEN), "encoder.1": (HIDDEN, HIDDEN), "mean": (HIDDEN, LATENTS),
          "log_variance": (HIDDEN, LATENTS), "decoder.0": (LATENTS, HIDDEN), "decoder.1": (HIDDEN, HIDDEN),
          "out": (HIDDEN, PIXELS)}

torch.manual_seed(20131220)
torch.use_deterministic_algorithms(True)
weights = {}
for name, (fan_in, fan_out) in LAYERS.items():
    weights[f"{name}.weight"] = (torch.randn(fan_out, fan_in) / math.sqrt(fan_in)).requires_grad_()
    weights[f"{name}.bias"] = (0.3 * torch.randn(fan_out)).requires_grad_()
x = (torch.rand(BATCH, PIXELS) < 0.4).float()
noise = torch.randn(BATCH, LATENTS)
draws = torch.randn(BATCH, DRAWS, LATENTS)


def layer(name, h):
    return F.linear(h, weights[f"{name}.weight"], weights[f"{name}.bias"])


def encode(x):
    h = torch.tanh(layer("encoder.1", torch.tanh(layer("encoder.0", x))))
    return layer("mean", h), layer("log_variance", h)


def logits(z):
    return layer("out", torch.tanh(layer("decoder.1", torch.tanh(layer("decoder.0", z)))))


def elbo():
    mean, log_variance = encode(x)
    z = mean + torch.exp(0.5 * log_variance) * noise
    reconstruction = F.binary_cross_entropy_with_logits(logits(z), x, reduction="sum")
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()
    return (reconstruction + kl) / BATCH


def iwae():
    mean, log_variance = (v[:, None, :] for v in encode(x))
    q = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
    z = mean + q.scale * draws
    prior = torch.distributions.Normal(0.0, 1.0)
    likelihood = torch.distributions.Bernoulli(logits=logits(z)).log_prob(x[:, None, :].expand(-1, DRAWS, -1)).sum(-1)
    log_weight = likelihood + prior.log_prob(z).sum(-1) - q.log_prob(z).sum(-1)
    return -(torch.logsumexp(log_weight, 1) - math.log(DRAWS)).mean()


golden = {name: w.detach() for name, w in weights.items()}
golden |= {"x": x, "noise": noise, "draws": draws}
mean, log_variance = encode(x)
golden |= {"result/mean": mean.detach(), "result/log_variance": log_variance.detach(),
           "result/logits": logits(noise).detach()}
for name, objective in {"elbo": elbo, "iwae": iwae}.items():
    loss = objective()
    golden[f"result/{name}"] = loss.detach()
    for key, gradient in zip(weights, torch.autograd.grad(loss, list(weights.values()))):
        golden[f"gradient/{name}/{key}"] = gradient
save_file({k: v.contiguous() for k, v in golden.items()}, pathlib.Path(__file__).with_name("vae.safetensors"),
          metadata={"torch": torch.__version__})
