"""Writes three_tower.json and three_tower_{2u1i,1u2i}.safetensors: DMMP's student by PyTorch.

Written apart from the C++: towers are torch.nn modules, the served score is the unfused sum
g_1 s_1 + g_2 s_2 of the towers' own inner products; weights are named as bundle/model_spec.h says.
Run in this folder: python3 make_three_tower.py
"""
import json
import struct
import torch
from torch import nn

torch.manual_seed(20240301)
torch.set_default_dtype(torch.float64)
TASKS, HIDDEN, USER_LAYERS, ITEM_LAYERS = ["click", "read"], [7], [8, 5], [6, 5]
FIELDS = {"user": [("user_id", 4), ("history", 6)], "item": [("item_id", 6), ("tags", 5)]}
DIM, DENSE = 3, {"user": 1, "item": 2}
# A row is a list of ids a field, and the dense values.
USERS = [([[1], [5, 1, 5]], [0.5]), ([[0], []], [-1.0]), ([[3], [2]], [0.0]),
         ([[2], [4, 3, 2, 1]], [2.5])]
ITEMS = [([[1], [0, 4]], [1.0, 0.0]), ([[2], []], [0.0, 1.0]), ([[0], [2]], [-1.0, 0.0]),
         ([[5], [1, 3, 4]], [0.5, -1.5])]
PAIRS = [(0, 0), (0, 1), (1, 2), (2, 3), (3, 0), (3, 3)]


def write_safetensors(path, weights):
    header, body = {}, b""
    for name in sorted(weights):
        data = weights[name].detach().float().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(weights[name].shape),
                        "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def make(reading):
    weights = {}

    def weight(name, *shape):
        weights[name] = (torch.randn(*shape) * 0.6).float().double()
        return weights[name]

    def stack(name, width, layers):
        modules = []
        for i, out in enumerate(layers):
            linear = nn.Linear(width, out)
            with torch.no_grad():
                linear.weight.copy_(weight(f"{name}.layer{i}.weight", out, width))
                linear.bias.copy_(weight(f"{name}.layer{i}.bias", out))
            modules += [linear, nn.ReLU()] if i + 1 < len(layers) else [linear]
            width = out
        return nn.Sequential(*modules)

    def inputs(side, rows):
        parts = []
        for at, (name, count) in enumerate(FIELDS[side]):
            table = weight(f"{side}.{name}.weight", count, DIM)
            parts.append(torch.stack([table[row[0][at]].mean(0) if row[0][at] else
                                      torch.zeros(DIM) for row in rows]))
        return torch.cat(parts + [torch.tensor([row[1] for row in rows])], 1)

    def spec(side, layers, towers):
        fields = [{"feature": name, "table": f"{side}.{name}", "rows": count, "dim": DIM,
                   "pooling": "mean", "storage": "fp32", "sparse_index": i}
                  for i, (name, count) in enumerate(FIELDS[side])]
        tower = {"name": side, "layers": layers,
                 "input": {"side": side, "fields": fields, "dense_width": DENSE[side]}}
        return {**tower, "towers": towers} if towers else tower

    two_users = reading == "2u1i"
    x, y = inputs("user", USERS), inputs("item", ITEMS)
    if two_users:
        users = [stack(f"user.tower_{t}", x.shape[1], USER_LAYERS)(x) for t in TASKS]
        items = [stack("item", y.shape[1], ITEM_LAYERS)(y)] * 2
    else:
        users = [stack("user", x.shape[1], USER_LAYERS)(x)] * 2
        items = [stack(f"item.tower_{t}", y.shape[1], ITEM_LAYERS)(y) for t in TASKS]
    gate = torch.softmax(stack("user.gate", x.shape[1], HIDDEN + [2])(x), 1)
    scores = {t: [users[k][u] @ items[k][i] for u, i in PAIRS] for k, t in enumerate(TASKS)}
    served = [gate[u, 0] * scores["click"][n] + gate[u, 1] * scores["read"][n]
              for n, (u, i) in enumerate(PAIRS)]
    write_safetensors(f"three_tower_{reading}.safetensors", weights)
    user = spec("user", USER_LAYERS, TASKS if two_users else [])
    user["gate"] = {"kind": "learned", "tasks": TASKS, "layers": HIDDEN}
    return {"spec": {"kind": "three_tower", "beta": 0.0, "user": user,
                     "item": spec("item", ITEM_LAYERS, [] if two_users else TASKS)},
            "gate": gate.tolist(), "served": [s.item() for s in served],
            **{t: [s.item() for s in scores[t]] for t in TASKS}}


with open("three_tower.json", "w") as file:
    json.dump({"users": [u for u, _ in USERS], "user_dense": [d for _, d in USERS],
               "items": [i for i, _ in ITEMS], "item_dense": [d for _, d in ITEMS],
               "pairs": PAIRS, "2u1i": make("2u1i"), "1u2i": make("1u2i")}, file, indent=1)
    file.write("\n")
