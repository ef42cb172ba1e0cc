#!/usr/bin/env python3
"""The peer: DMTL as a practitioner writes it in PyTorch (eager, one process).

Same work as Retort's joint training step at the paper's settings: teacher with two
1024x512x256 experts, two softmax gates, two 256x256 task towers; student with two
512x256x128 towers; separate 30-wide embeddings; ESMM losses plus Bernoulli KL to the
stopped-gradient teacher pCTCVR; Adam on dense parameters, SparseAdam on embeddings.
Ids are drawn once before the clock starts, so no data loading is timed.

  /usr/bin/python3 bench/peers/dmtl_torch.py --threads 2 --precision fp32 --batch 2048 --steps 20

Needs Debian's python3-torch. Prints one line: samples_per_s=... (median of the steps).
"""
import argparse, statistics, time
import torch
import torch.nn as nn
import torch.nn.functional as F


def mlp(width, hidden, out=None):
    layers = []
    for h in hidden:
        layers += [nn.Linear(width, h), nn.ReLU()]
        width = h
    if out:
        layers.append(nn.Linear(width, out))
    return nn.Sequential(*layers)


class Teacher(nn.Module):
    def __init__(self, fields, rows, dim):
        super().__init__()
        x = fields * dim
        self.embedding = nn.Embedding(fields * rows, dim, sparse=True)
        self.experts = nn.ModuleList(mlp(x, [1024, 512, 256]) for _ in range(2))
        self.gates = nn.ModuleList(nn.Linear(x, 2, bias=False) for _ in range(2))
        self.towers = nn.ModuleList(mlp(256, [256, 256], 1) for _ in range(2))

    def forward(self, ids):
        x = self.embedding(ids).flatten(1)
        experts = torch.stack([f(x) for f in self.experts], 1)
        logits = []
        for gate, tower in zip(self.gates, self.towers):
            w = gate(x).softmax(-1).unsqueeze(-1)
            logits.append(tower((experts * w).sum(1)).squeeze(-1))
        return logits  # click, read-given-click


class Student(nn.Module):
    def __init__(self, user_fields, item_fields, rows, dim):
        super().__init__()
        self.user_fields = user_fields
        self.embedding = nn.Embedding((user_fields + item_fields) * rows, dim, sparse=True)
        self.user = mlp(user_fields * dim, [512, 256, 128])
        self.item = mlp(item_fields * dim, [512, 256, 128])

    def forward(self, ids):
        x = self.embedding(ids)
        u = self.user(x[:, :self.user_fields].flatten(1))
        v = self.item(x[:, self.user_fields:].flatten(1))
        return (u * v).sum(-1)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    p.add_argument("--batch", type=int, default=2048)
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--warmup", type=int, default=3)
    p.add_argument("--user-fields", type=int, default=8)
    p.add_argument("--item-fields", type=int, default=6)
    p.add_argument("--rows", type=int, default=100_000, help="rows in each field's embedding table")
    p.add_argument("--dim", type=int, default=30)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(7)
    fields = a.user_fields + a.item_fields
    teacher = Teacher(fields, a.rows, a.dim)
    student = Student(a.user_fields, a.item_fields, a.rows, a.dim)
    dense = [w for m in (teacher, student) for n, w in m.named_parameters() if "embedding" not in n]
    sparse = [teacher.embedding.weight, student.embedding.weight]
    optimizers = [torch.optim.Adam(dense, 1e-3), torch.optim.SparseAdam(sparse, 1e-3)]
    steps = a.warmup + a.steps
    ids = torch.randint(0, a.rows, (steps, a.batch, fields)) + torch.arange(fields) * a.rows
    click = (torch.rand(steps, a.batch) < 0.25).float()
    read = click * (torch.rand(steps, a.batch) < 0.5).float()
    times = []
    for s in range(steps):
        t0 = time.perf_counter()
        for o in optimizers:
            o.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=a.precision == "bf16"):
            ctr, cvr = teacher(ids[s])
            student_logit = student(ids[s])
        ctr, cvr, student_logit = ctr.float(), cvr.float(), student_logit.float()
        log_p = F.logsigmoid(ctr) + F.logsigmoid(cvr)
        log_q = torch.log(-torch.expm1(log_p.clamp(max=-1e-6)))
        p_teacher = log_p.exp().detach()
        loss = (-(read[s] * log_p + (1 - read[s]) * log_q).mean()
                + F.binary_cross_entropy_with_logits(ctr, click[s])
                + F.binary_cross_entropy_with_logits(student_logit, p_teacher))
        loss.backward()
        for o in optimizers:
            o.step()
        if s >= a.warmup:
            times.append(time.perf_counter() - t0)
    assert torch.isfinite(loss)
    x = fields * a.dim
    mac = (2 * (x * 1024 + 1024 * 512 + 512 * 256) + 2 * 2 * 256 * 256
           + x * 512 + 2 * (512 * 256 + 256 * 128))
    dt = statistics.median(times)
    print(f"peer=pytorch-{torch.__version__} precision={a.precision} threads={a.threads} batch={a.batch} "
          f"step_ms={dt * 1e3:.1f} dense_gflops={6 * mac * a.batch / dt / 1e9:.1f} "
          f"samples_per_s={a.batch / dt:.0f}")


if __name__ == "__main__":
    main()
