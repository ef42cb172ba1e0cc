"""Writes multi_task.json and multi_task.safetensors: a user side of two tasks by PyTorch.

The model is composed of torch.nn modules, the weights are named as bundle/model_spec.h says. Rows:
a user of whom nothing is known, sequences of one step, of all lengths and longer than is kept.
Run in this folder: python3 make_multi_task.py
"""
import json
import struct
import torch
from torch import nn

torch.manual_seed(20240229)
torch.set_default_dtype(torch.float64)
TABLES = {"show": (12, 4), "user.age": (5, 4), "film": (9, 6), "user.gender": (4, 3)}
PRODUCT, EXPERTS, EXPERT_LAYERS, HEAD_LAYERS = 5, 3, [7, 6], [5, 4]
TASKS, FUSION = ["click", "dwm"], 0.3

weights = {}


def weight(name, *shape, around=0.0):
    weights[name] = (torch.randn(*shape) * 0.5 + around).float().double()
    return weights[name]


for table, shape in TABLES.items():
    weight(table + ".weight", *shape, around=0.5)


def field(feature, table, sparse_index, pooling="mean"):
    rows, dim = TABLES[table]
    return {"feature": feature, "table": table, "rows": rows, "dim": dim, "pooling": pooling,
            "storage": "fp32", "sparse_index": sparse_index}


SEQUENCES = [
    {"name": "user.watched_tv", "fields": [field("watched_tv", "show", 0),
                                           field("watched_tv.age", "user.age", 1)],
     "length": 5, "layers": 2, "heads": 2, "hidden": 7},
    {"name": "user.watched_films", "fields": [field("watched_films", "film", 2)],
     "length": 3, "layers": 1, "heads": 3, "hidden": 5},
    {"name": "user.saved", "fields": [field("saved", "show", 4)],
     "length": 4, "layers": 0, "heads": 1, "hidden": 1}]
INPUTS = [field("gender", "user.gender", 3), field("liked", "show", 5, "sum"),
          field("disliked", "show", 6, "mean")]
DENSE = 2
SPEC = {"kind": "multi_task", "beta": 0.0, "fusion": FUSION,
        "user": {"name": "user", "layers": [],
                 "input": {"side": "user", "fields": INPUTS, "dense_width": DENSE},
                 "sequences": SEQUENCES,
                 "mixture": {"product_dim": PRODUCT, "experts": EXPERTS,
                             "expert_layers": EXPERT_LAYERS, "head_layers": HEAD_LAYERS,
                             "tasks": TASKS}},
        "item": {"name": "item", "layers": [],
                 "input": {"side": "item", "fields": [field("item_id", "show", 0)],
                           "dense_width": 0}}}

# A user is a list a sparse feature, in the order of sparse_index, and the dense values.
USERS = [
    ([[], [], [], [0], [], [], []], [0.0, 0.0]),
    ([[3], [1], [5], [1], [2], [7], [8]], [0.3, -1.2]),
    ([[1, 2, 3, 4, 5, 6, 7, 8, 9], [4, 3, 2, 1, 0, 1, 2, 3, 4], [1, 2, 3, 4], [2],
      [1, 1, 2, 3, 5, 8], [1, 2, 3], [4, 5]], [2.0, 1.0]),
    ([[11, 0, 4], [0, 0, 3], [], [3], [9, 0], [], [0]], [-0.5, 0.25]),
    ([[], [], [8, 8, 1], [0], [], [10, 11], []], [1.5, 0.0]),
    ([[5, 6, 7, 8, 5], [2, 2, 2, 2, 2], [1], [1], [4, 3, 2, 1], [6], [1, 6, 1]], [0.0, 3.0]),
    ([[5, 6, 7, 8, 5, 9], [2, 2, 2, 2, 2, 1], [1], [1], [4, 3, 2, 1, 7], [6], [1, 6, 1]],
     [0.0, 3.0])]


def gaussian(module, prefix):
    """Random weights of a torch module, kept under prefix + their own names."""
    with torch.no_grad():
        for name, value in module.named_parameters():
            around = 1.0 if name in ("norm1.weight", "norm2.weight") else 0.0
            value.copy_(weight(prefix + name, *value.shape, around=around))
    return module.train()


def stack(name, width, layers, relu_last):
    modules = []
    for i, out in enumerate(layers):
        modules.append(gaussian(nn.Linear(width, out), f"{name}.layer{i}."))
        if relu_last or i + 1 < len(layers):
            modules.append(nn.ReLU())
        width = out
    return nn.Sequential(*modules)


class Sequence(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.spec, self.dim = spec, spec["fields"][0]["dim"]
        self.blocks = []
        if spec["layers"] > 0:
            self.positions = weight(spec["name"] + ".positions", spec["length"], self.dim)
        for i in range(spec["layers"]):
            layer = nn.TransformerEncoderLayer(self.dim, spec["heads"], spec["hidden"], dropout=0.0,
                                               activation="relu", batch_first=True)
            self.blocks.append(gaussian(layer, f"{spec['name']}.block{i}."))

    def forward(self, user):
        steps = 1
        for f in self.spec["fields"]:
            steps = steps * weights[f["table"] + ".weight"][user[f["sparse_index"]]]
        steps = steps[: self.spec["length"]]
        if len(steps) == 0:
            return torch.zeros(self.dim)
        if self.blocks:
            steps = steps + self.positions[: len(steps)]
        for block in self.blocks:
            steps = block(steps[None])[0]
        return steps.sum(0)


def pooled(user, f):
    rows = weights[f["table"] + ".weight"][user[f["sparse_index"]]]
    if len(rows) == 0:
        return torch.zeros(f["dim"])
    return rows.sum(0) if f["pooling"] == "sum" else rows.mean(0)


sequences = [Sequence(s) for s in SEQUENCES]
widths = [f["dim"] for f in INPUTS] + [DENSE] + [s.dim for s in sequences]
projections = [weight(f"user.product{i}.weight", PRODUCT, w) for i, w in enumerate(widths)]
width = sum(widths) + len(widths) * (len(widths) - 1) // 2
experts = [stack(f"user.expert{k}", width, EXPERT_LAYERS, True) for k in range(EXPERTS)]
gates = [weight(f"user.gate_{t}.weight", EXPERTS, width) for t in TASKS]
heads = [stack(f"user.head_{t}", EXPERT_LAYERS[-1], HEAD_LAYERS, False) for t in TASKS]


def encode(user, dense):
    f = [pooled(user, spec) for spec in INPUTS] + [torch.tensor(dense)]
    f += [s(user) for s in sequences]
    projected = [w @ v for w, v in zip(projections, f)]
    products = [projected[i] @ projected[j] for i in range(len(f)) for j in range(i + 1, len(f))]
    x = torch.cat(f + [torch.stack(products)])
    outs = torch.stack([e(x) for e in experts])
    return [h(torch.softmax(g @ x, 0) @ outs) for g, h in zip(gates, heads)]


def write_safetensors(path):
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


write_safetensors("multi_task.safetensors")
vectors = [encode(*user) for user in USERS]
with open("multi_task.json", "w") as file:
    json.dump({"spec": SPEC, "users": [u for u, _ in USERS], "dense": [d for _, d in USERS],
               "click": [v[0].tolist() for v in vectors],
               "dwm": [v[1].tolist() for v in vectors]}, file, indent=1)
    file.write("\n")
