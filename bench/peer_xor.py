# SPDX-License-Identifier: MIT
"""Runs of the synthetic tasks in PyTorch, for bench/xor.sh: the networks, losses, masks and constants of
the presets xor-spurious and xor-pid, written as one would, with whole tensors instead of a DataLoader.

    python3 peer_xor.py spurious ARM KAPPA SEED     ARM: vanilla, oracle, random or learned
    python3 peer_xor.py pid ARM SEED THREADS        ARM: vanilla, oracle or none
    python3 peer_xor.py figure6 PROCESSES SEEDS     all strengths, arms and seeds 0..SEEDS-1

Prints one line per run: version, task, arm, seed, test accuracy, wall and CPU seconds of training with
validation and test, for the spurious task with making the data too; figure6 adds one for the whole, wall
seconds from the start of its processes."""
import multiprocessing
import sys
import time

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

STRENGTHS = (0, 0.2, 0.4, 0.6, 0.8, 1, 2)
ARMS = ("vanilla", "oracle", "random", "learned")


def spurious_data(n, kappa, seed):
    g = torch.Generator().manual_seed(seed)
    bits = torch.randint(0, 2, (n, 2), generator=g).float()
    y = (bits[:, 0] != bits[:, 1]).float()
    x = [torch.randn(n, 64, generator=g) for _ in range(2)]
    for m in range(2):
        x[m][:, :4] = 2.2 * (2 * bits[:, m:m + 1] - 1) + 0.55 * x[m][:, :4]
    rest = max(0.0, 1 - kappa * kappa) ** 0.5
    x[0][:, 4:10] = 1.3 * (kappa * (2 * y[:, None] - 1) + rest * x[0][:, 4:10])
    oracle = torch.zeros(n, 64)
    oracle[:, :4] = 1
    return x, y, [oracle, oracle]


def pid_data(n, seed, shares=(0.45, 0.0, 0.45, 0.10)):
    g = torch.Generator().manual_seed(seed)
    fixed = torch.Generator().manual_seed(999)
    matrix = [0.5 * torch.randn(6, 4, generator=fixed) for _ in range(6)]
    source = torch.multinomial(torch.tensor(shares), n, replacement=True, generator=g)
    bits = torch.randint(0, 2, (n, 2), generator=g).float()
    y = torch.where(source == 3, (bits[:, 0] != bits[:, 1]).float(), bits[:, 0])
    x = [torch.randn(n, 32, generator=g) for _ in range(2)]
    oracle = [torch.zeros(n, 32) for _ in range(2)]
    places = {0: ((0, 0),), 1: ((1, 0),), 2: ((0, 6), (1, 6)), 3: ((0, 12), (1, 12))}
    for s, blocks in places.items():
        rows = source == s
        for m, first in blocks:
            bit = bits[rows, m] if s == 3 else y[rows]
            z = 3 * torch.randn(int(rows.sum()), 4, generator=g).abs() * (2 * bit[:, None] - 1)
            x[m][rows, first:first + 6] = z @ matrix[2 * (first // 6) + m].T
            if s == 3:
                oracle[m][rows, first:first + 6] = 1
    return x, y, oracle


class Model(nn.Module):
    def __init__(self, encoder, head, trunk, features, detach):
        super().__init__()
        self.encoder = nn.ModuleList(encoder() for _ in range(2))
        self.head = nn.ModuleList(head() for _ in range(2))
        self.trunk = trunk()
        self.detach = detach

    def fuse(self, z):
        return self.trunk(torch.cat(z, 1)).squeeze(1)

    def unimodal(self, m, z):
        return self.head[m](z.detach() if self.detach else z).squeeze(1)


def spurious_model():
    return Model(lambda: nn.Sequential(nn.Linear(64, 16), nn.ReLU()), lambda: nn.Linear(16, 1),
                 lambda: nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)), 16, False)


def pid_model():
    return Model(lambda: nn.Sequential(nn.Linear(32, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU()),
                 lambda: nn.Sequential(nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 1)),
                 lambda: nn.Sequential(nn.Linear(2048, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(),
                                       nn.Linear(128, 1)), 1024, True)


def learned_mask(model, m, x, y):
    """1 - the attacked set (App. D), by Adam on one logit per value."""
    logit = torch.full_like(x, -4.0, requires_grad=True)
    adam = torch.optim.Adam([logit], lr=3.0)
    for _ in range(50):
        gate = torch.sigmoid(logit)
        mixed = (1 - gate) * x + gate * torch.randn_like(x)
        loss = -bce(model.head[m](model.encoder[m](mixed)).squeeze(1), y) + 0.03 * gate.mean()
        (logit.grad,) = torch.autograd.grad(loss, logit)
        adam.step()
    return 1 - (torch.sigmoid(logit.detach()) > 0.5).float()


def divergence(logit):
    p = torch.sigmoid(logit).clamp(1e-6, 1 - 1e-6)
    return (p * (2 * p).log() + (1 - p) * (2 * (1 - p)).log()).mean()


def train(model, data, arm, lr, decay, batch, epochs, unimodal, val, warmup=0):
    x, y, oracle = data
    adam = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=decay)
    for epoch in range(epochs):
        strength = 10 * min(1, (epoch + 1) / warmup) if warmup > 0 else 10
        order = torch.randperm(len(y))
        for start in range(0, len(y), batch):
            rows = order[start:start + batch]
            xb, yb = [v[rows] for v in x], y[rows]
            z = [model.encoder[m](xb[m]) for m in range(2)]
            loss = bce(model.fuse(z), yb)
            loss = loss + unimodal * sum(bce(model.unimodal(m, z[m]), yb) for m in range(2))
            for m in range(2) if arm != "vanilla" else ():
                if arm == "none":
                    loss = loss + strength * divergence(model.fuse(z))
                    continue
                if arm == "oracle":
                    mask = oracle[m][rows]
                elif arm == "random":
                    mask = (torch.rand_like(xb[m]) < 0.4).float()
                else:
                    mask = learned_mask(model, m, xb[m], yb)
                masked = model.encoder[m]((1 - mask) * xb[m] + mask * torch.randn_like(xb[m]))
                pair = [masked, z[1]] if m == 0 else [z[0], masked]
                loss = loss + strength * divergence(model.fuse(pair))
            adam.zero_grad()
            loss.backward()
            adam.step()
        accuracy(model, val)


@torch.no_grad()
def accuracy(model, data):
    x, y, _ = data
    return float(((model.fuse([model.encoder[m](x[m]) for m in range(2)]) > 0) == (y > 0.5)).float().mean())


def spurious_run(job):
    arm, kappa, seed = job
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    begun = time.monotonic(), time.process_time()
    model = spurious_model()
    lr, decay = (1e-2, 1e-3) if arm == "vanilla" else (3e-4, 1e-5)
    train(model, spurious_data(300, kappa, seed + 101), arm, lr, decay, 128, 100, 0.05,
          spurious_data(120, kappa, seed + 151), 20 if arm == "learned" else 0)
    right = accuracy(model, spurious_data(30000, 0, seed + 201))
    return report(f"spurious:{kappa}", arm, seed, right, begun)


def pid_run(arm, seed, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    x, y, oracle = pid_data(2000, seed)
    mean, std = [v.mean(0) for v in x], [v.std(0) + 1e-7 for v in x]
    x = [(v - a) / s for v, a, s in zip(x, mean, std)]
    xt, yt, ot = pid_data(4000, seed + 1)
    xt = [(v - a) / s for v, a, s in zip(xt, mean, std)]
    begun = time.monotonic(), time.process_time()
    model = pid_model()
    part = [([v[k] for v in x], y[k], [v[k] for v in oracle]) for k in (slice(0, 1800), slice(1800, None))]
    train(model, part[0], arm, 3e-4, 1e-5, 64, 30, 1.0, part[1])
    return report("pid", arm, seed, accuracy(model, (xt, yt, ot)), begun)


def report(task, arm, seed, right, begun):
    return "\t".join((f"torch-{torch.__version__.split('+')[0]}", task, arm, str(seed), f"{right:.4f}",
                      f"{time.monotonic() - begun[0]:.3f}", f"{time.process_time() - begun[1]:.3f}"))


def main():
    if sys.argv[1] == "spurious":
        print(spurious_run((sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))))
    elif sys.argv[1] == "pid":
        print(pid_run(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    else:
        jobs = [(a, k, s) for a in ARMS[::-1] for k in STRENGTHS for s in range(int(sys.argv[3]))]
        begun = time.monotonic()
        with multiprocessing.Pool(int(sys.argv[2])) as pool:
            for line in pool.imap(spurious_run, jobs, chunksize=1):
                print(line, flush=True)
        print(f"torch-{torch.__version__.split('+')[0]}\tfigure6\tall\t-\t-\t{time.monotonic() - begun:.3f}\t-")


if __name__ == "__main__":
    main()
