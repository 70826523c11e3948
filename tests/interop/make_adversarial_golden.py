"""Writes dcgan.safetensors and wgan-gp.safetensors beside this file: the first updates of narrow networks computed by
PyTorch, for tests/zoo/adversarial_golden.cpp. Run it as make_golden.py.

Images of 16x16x3 in [-1, 1], width 4, 6 latents, a batch of 4. Parameters are named and laid out as `likely export`
writes them; gradients stand under gradient/, what one step of Adam leaves under after/, losses under result/.
"""
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

BATCH, LATENTS, WIDTH, CHANNELS, SIDE = 4, 6, 4, 3, 16
DOUBLING = {"kernel_size": 4, "stride": 2, "padding": 1}


def dcgan_generator():
    return nn.Sequential(nn.ConvTranspose2d(LATENTS, 2 * WIDTH, 4, bias=False), nn.BatchNorm2d(2 * WIDTH), nn.ReLU(),
                         nn.ConvTranspose2d(2 * WIDTH, WIDTH, **DOUBLING, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU(),
                         nn.ConvTranspose2d(WIDTH, CHANNELS, **DOUBLING, bias=False), nn.Tanh())


def dcgan_discriminator():
    return nn.Sequential(nn.Conv2d(CHANNELS, WIDTH, **DOUBLING, bias=False), nn.LeakyReLU(0.2),
                         nn.Conv2d(WIDTH, 2 * WIDTH, **DOUBLING, bias=False), nn.BatchNorm2d(2 * WIDTH),
                         nn.LeakyReLU(0.2), nn.Conv2d(2 * WIDTH, 1, 4, bias=False))


class Network(nn.Module):
    """A Sequential named main, between a linear layer from z or to a number where there is one."""

    def __init__(self, main, lift=None, out=None):
        super().__init__()
        if lift:
            self.lift = lift
        self.main = main
        if out:
            self.out = out

    def forward(self, x):
        if hasattr(self, "lift"):
            x = self.lift(x).view(len(x), -1, 4, 4)
        elif x.dim() == 2:
            x = x[:, :, None, None]
        x = self.main(x)
        return self.out(x.flatten(1)).squeeze(1) if hasattr(self, "out") else x


def wgan_generator():
    main = nn.Sequential(nn.BatchNorm2d(2 * WIDTH), nn.ReLU(), nn.ConvTranspose2d(2 * WIDTH, WIDTH, **DOUBLING),
                         nn.BatchNorm2d(WIDTH), nn.ReLU(), nn.ConvTranspose2d(WIDTH, CHANNELS, **DOUBLING), nn.Tanh())
    return Network(main, lift=nn.Linear(LATENTS, 2 * WIDTH * 16))


def wgan_critic():
    main = nn.Sequential(nn.Conv2d(CHANNELS, WIDTH, **DOUBLING), nn.LeakyReLU(0.2),
                         nn.Conv2d(WIDTH, 2 * WIDTH, **DOUBLING), nn.LeakyReLU(0.2))
    return Network(main, out=nn.Linear(2 * WIDTH * 16, 1))


def randomise(module):
    for name, p in module.named_parameters():
        p.data = torch.randn_like(p) * 0.2 + (1.0 if p.dim() == 1 and name.endswith("weight") else 0.0)


def tensors(prefix, module):
    return {prefix + name: t.detach().clone() for name, t in module.state_dict().items()
            if not name.endswith("num_batches_tracked")}


class Golden:
    def __init__(self, names, networks):
        self.networks = dict(zip(names, networks))
        for network in networks:
            randomise(network)
        self.found = {}
        for name, network in self.networks.items():
            self.found |= tensors(name + ".", network)

    def update(self, name, loss, betas):
        network = self.networks[name]
        parameters = list(network.parameters())
        gradients = torch.autograd.grad(loss, parameters)
        self.found["result/" + name] = loss.detach()
        for (key, p), g in zip(network.named_parameters(), gradients):
            self.found[f"gradient/{name}.{key}"] = g
            p.grad = g
        torch.optim.Adam(parameters, 2e-4, betas).step()
        self.found |= tensors(f"after/{name}.", network)

    def save(self, file, **inputs):
        save_file({k: v.contiguous() for k, v in (self.found | inputs).items()},
                  pathlib.Path(__file__).with_name(file), metadata={"torch": torch.__version__})


def dcgan():
    g, d = Network(dcgan_generator()), Network(dcgan_discriminator())
    golden = Golden(("generator", "discriminator"), (g, d))
    real, z = torch.rand(BATCH, CHANNELS, SIDE, SIDE) * 2 - 1, torch.randn(BATCH, LATENTS)
    one, zero = torch.ones(BATCH), torch.zeros(BATCH)

    def loss(x, target):
        return F.binary_cross_entropy_with_logits(d(x).flatten(), target)

    fake = g(z)
    golden.update("discriminator", loss(real, one) + loss(fake.detach(), zero), (0.5, 0.999))
    golden.update("generator", loss(fake, one), (0.5, 0.999))
    golden.save("dcgan.safetensors", real=real, z=z, fake=fake.detach())


def wgan_gp():
    g, critic = wgan_generator(), wgan_critic()
    golden = Golden(("generator", "critic"), (g, critic))
    real, z = torch.rand(BATCH, CHANNELS, SIDE, SIDE) * 2 - 1, torch.randn(BATCH, LATENTS)
    with torch.no_grad():
        fake = g(z)
    share = torch.rand(BATCH, 1, 1, 1)
    mix = (share * real + (1 - share) * fake).requires_grad_(True)
    slope, = torch.autograd.grad(critic(mix).sum(), mix, create_graph=True)
    penalty = ((slope.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
    golden.update("critic", critic(fake).mean() - critic(real).mean() + 10 * penalty, (0.0, 0.9))
    golden.update("generator", -critic(g(z)).mean(), (0.0, 0.9))
    golden.save("wgan-gp.safetensors", real=real, z=z, fake=fake, mix=mix.detach())


torch.manual_seed(20151119)
torch.use_deterministic_algorithms(True)
dcgan()
wgan_gp()
