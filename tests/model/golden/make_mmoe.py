#!/usr/bin/env python3
"""Writes mmoe.json: a small MMoE teacher in float64, from equations 1 to 8 of the DMTL paper.

Written apart from the C++: weights and inputs are numpy draws, the forward pass is plain tensor
algebra, probabilities are products of sigmoids, and PyTorch differentiates L_d + L_c.
Run: python3 make_mmoe.py > mmoe.json
"""
import json

import numpy as np
import torch

rng = np.random.default_rng(7)
weights = {}


def weight(name, *shape):
    weights[name] = torch.tensor(rng.normal(0, 0.7, shape), dtype=torch.float64, requires_grad=True)
    return weights[name]


DIM, EXPERTS, HIDDEN, OUT, TOWER = 3, 2, 5, 4, 3
user_of_row = [0, 0, 1, 1, 0]
features = {  # name: (side, rows, lists of ids a row)
    "user_id": ("user", 4, [[2], [0]]),
    "history": ("user", 6, [[5, 1, 5], []]),
    "item_id": ("item", 6, [[1], [3], [1], [5], [0]]),
    "tags": ("item", 5, [[0, 4], [], [2], [2, 2], [1, 3, 4]]),
}
dense = {
    "user": rng.normal(0, 1, (2, 1)),
    "item": rng.normal(0, 1, (5, 2)),
    "pair": rng.normal(0, 1, (5, 1)),
}
click = np.array([1.0, 1.0, 0.0, 0.0, 1.0])
read = np.array([1.0, 0.0, 0.0, 0.0, 1.0])


def pooled(name):
    side, rows, lists = features[name]
    table = weight(f"teacher.{name}.weight", rows, DIM)
    means = [table[ids].mean(0) if ids else torch.zeros(DIM, dtype=torch.float64) for ids in lists]
    return torch.stack(means)


def t(array):
    return torch.tensor(array, dtype=torch.float64)


user = torch.cat([pooled("user_id"), pooled("history"), t(dense["user"])], 1)
item = torch.cat([pooled("item_id"), pooled("tags"), t(dense["item"])], 1)
x = torch.stack([torch.cat([user[g], item[r], t(dense["pair"])[r]])
                 for r, g in enumerate(user_of_row)])
width = x.shape[1]


def layer(name, x, out):
    return x @ weight(f"{name}.weight", out, x.shape[1]).T + weight(f"{name}.bias", out)


experts = []
for k in range(EXPERTS):
    h = torch.clamp(layer(f"teacher.expert{k}.layer0", x, HIDDEN), min=0)
    experts.append(torch.clamp(layer(f"teacher.expert{k}.layer1", h, OUT), min=0))


def head(task):
    raw = torch.exp(x @ weight(f"teacher.gate_{task}.weight", EXPERTS, width).T)
    gate = raw / raw.sum(1, keepdim=True)
    mixed = torch.zeros(len(user_of_row), OUT, dtype=torch.float64)
    for k in range(EXPERTS):
        mixed = mixed + gate[:, k:k + 1] * experts[k]
    h = torch.clamp(layer(f"teacher.tower_{task}.layer0", mixed, TOWER), min=0)
    return layer(f"teacher.tower_{task}.layer1", h, 1)[:, 0]


a, b = head("click"), head("read")
p_ctr, p_cvr = 1 / (1 + torch.exp(-a)), 1 / (1 + torch.exp(-b))
p = p_ctr * p_cvr
y, z = t(click), t(read)
loss_read = -(z * torch.log(p) + (1 - z) * torch.log(1 - p)).mean()
loss_click = -(y * torch.log(p_ctr) + (1 - y) * torch.log(1 - p_ctr)).mean()
(loss_read + loss_click).backward()


def plain(tensor):
    return np.asarray(tensor).tolist()


print(json.dumps({
    "user_of_row": user_of_row,
    "ids": {name: lists for name, (_, _, lists) in features.items()},
    "rows": {name: rows for name, (_, rows, _) in features.items()},
    "dense": {name: plain(values) for name, values in dense.items()},
    "click": plain(click), "read": plain(read),
    "weights": {name: plain(value.detach()) for name, value in weights.items()},
    "gradients": {name: plain(value.grad) for name, value in weights.items()},
    "logit_click": plain(a.detach()), "logit_read_given_click": plain(b.detach()),
    "p_read": plain(p.detach()),
    "loss_read": loss_read.item(), "loss_click": loss_click.item(),
}))
