"""Writes transformer.json: PyTorch's TransformerEncoderLayer on rows of different lengths.

Post-norm, ReLU, dropout off. Norms get random gains and biases, so that none can be left out.
Run: python3 make_transformer.py > transformer.json
"""
import json
import torch

torch.manual_seed(20240229)
DIM, HEADS, HIDDEN = 6, 3, 7
LENGTHS = [1, 4, 0, 19, 2]

layer = torch.nn.TransformerEncoderLayer(DIM, HEADS, HIDDEN, dropout=0.0, batch_first=True)
with torch.no_grad():
    for name, value in layer.named_parameters():
        value.copy_(torch.randn_like(value) * 0.7 + (1 if name in ("norm1.weight", "norm2.weight") else 0))
layer = layer.double()
layer.train()  # the fast path of eval mode is another implementation

rows = [torch.randn(length, DIM, dtype=torch.float64) for length in LENGTHS]
out = [layer(row[None])[0] if len(row) else row for row in rows]


def flat(tensor):
    return [round(float(x), 7) for x in tensor.detach().reshape(-1)]


weights = {name: flat(value) for name, value in layer.named_parameters()}
print(json.dumps({"dim": DIM, "heads": HEADS, "hidden": HIDDEN, "lengths": LENGTHS,
                  "weights": weights, "steps": flat(torch.cat(rows)), "out": flat(torch.cat(out))}))
