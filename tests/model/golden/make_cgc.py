#!/usr/bin/env python3
"""Writes cgc.json: small teachers of customised gate control in float64, of one level and of two.

Written apart from the C++, from equations 4 to 6 and section 4.2 of PLE (Tang et al., RecSys 2020):
numpy draws, plain tensor algebra, products of sigmoids; PyTorch differentiates the sum of the two
cross-entropies over all rows.
Run: python3 make_cgc.py > cgc.json
"""
import json

import numpy as np
import torch

DIM, SHARED, OWN, LAYERS, TOWER, TASKS = 3, 2, 1, [5, 4], 3, ["click", "read"]
user_of_row = [0, 0, 1, 1, 0]
features = {  # name: (side, rows, lists of ids a row)
    "user_id": ("user", 4, [[2], [0]]),
    "history": ("user", 6, [[5, 1, 5], []]),
    "item_id": ("item", 6, [[1], [3], [1], [5], [0]]),
    "tags": ("item", 5, [[0, 4], [], [2], [2, 2], [1, 3, 4]]),
}
click = np.array([1.0, 1.0, 0.0, 0.0, 1.0])
read = np.array([1.0, 0.0, 0.0, 0.0, 1.0])


def t(array):
    return torch.tensor(array, dtype=torch.float64)


def plain(tensor):
    return np.asarray(tensor).tolist()


def make(levels, seed):
    rng = np.random.default_rng(seed)
    dense = {"user": rng.normal(0, 1, (2, 1)), "item": rng.normal(0, 1, (5, 2)),
             "pair": rng.normal(0, 1, (5, 1))}
    weights = {}

    def weight(name, *shape):
        weights[name] = torch.tensor(rng.normal(0, 0.7, shape), dtype=torch.float64,
                                     requires_grad=True)
        return weights[name]

    def pooled(name):
        _, rows, lists = features[name]
        table = weight(f"teacher.{name}.weight", rows, DIM)
        none = torch.zeros(DIM, dtype=torch.float64)
        return torch.stack([table[ids].mean(0) if ids else none for ids in lists])

    user = torch.cat([pooled("user_id"), pooled("history"), t(dense["user"])], 1)
    item = torch.cat([pooled("item_id"), pooled("tags"), t(dense["item"])], 1)
    x = torch.stack([torch.cat([user[g], item[r], t(dense["pair"])[r]])
                     for r, g in enumerate(user_of_row)])

    def layer(name, x, out):
        return x @ weight(f"{name}.weight", out, x.shape[1]).T + weight(f"{name}.bias", out)

    def expert(name, x):
        for i, out in enumerate(LAYERS):
            x = torch.clamp(layer(f"{name}.layer{i}", x, out), min=0)
        return x

    def gated(name, x, experts):
        raw = torch.exp(x @ weight(f"{name}.gate.weight", len(experts), x.shape[1]).T)
        gate = raw / raw.sum(1, keepdim=True)
        return sum(gate[:, k:k + 1] * e for k, e in enumerate(experts))

    seen = {task: x for task in TASKS}
    common = x
    for level in range(levels):
        at = f"teacher.level{level}"
        shared = [expert(f"{at}.shared.expert{k}", common) for k in range(SHARED)]
        own = {task: [expert(f"{at}.task_{task}.expert{k}", seen[task]) for k in range(OWN)]
               for task in TASKS}
        if level + 1 < levels:
            everyone = shared + [e for task in TASKS for e in own[task]]
            after = gated(f"{at}.shared", common, everyone)
        seen = {task: gated(f"{at}.task_{task}", seen[task], own[task] + shared) for task in TASKS}
        if level + 1 < levels:
            common = after

    def head(task):
        h = torch.clamp(layer(f"teacher.tower_{task}.layer0", seen[task], TOWER), min=0)
        return layer(f"teacher.tower_{task}.layer1", h, 1)[:, 0]

    a, b = head("click"), head("read")
    p_ctr, p_cvr = 1 / (1 + torch.exp(-a)), 1 / (1 + torch.exp(-b))
    p = p_ctr * p_cvr
    y, z = t(click), t(read)
    loss_read = -(z * torch.log(p) + (1 - z) * torch.log(1 - p)).mean()
    loss_click = -(y * torch.log(p_ctr) + (1 - y) * torch.log(1 - p_ctr)).mean()
    (loss_read + loss_click).backward()
    return {
        "user_of_row": user_of_row,
        "ids": {name: lists for name, (_, _, lists) in features.items()},
        "dense": {name: plain(values) for name, values in dense.items()},
        "click": plain(click), "read": plain(read),
        "weights": {name: plain(value.detach()) for name, value in weights.items()},
        "gradients": {name: plain(value.grad) for name, value in weights.items()},
        "logit_click": plain(a.detach()), "logit_read_given_click": plain(b.detach()),
        "p_read": plain(p.detach()),
        "loss_read": loss_read.item(), "loss_click": loss_click.item(),
    }


print(json.dumps({"cgc": make(1, 11), "ple": make(3, 12)}))
