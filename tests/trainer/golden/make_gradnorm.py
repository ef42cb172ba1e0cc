"""Writes gradnorm.json: GradNorm on three quadratic losses of two parameters, by PyTorch's autograd.

Written apart from the C++: equations 1 and 2 and algorithm 1 of Chen et al., ICML 2018, with the
norms, their gradient in w and Adam left to PyTorch; W moves by plain gradient descent on the
weighted sum with the weights of before the step, as the algorithm does.
Losses: L_k = scale_k |W - centre_k|^2 / 2 + floor_k.
Run in this folder: python3 make_gradnorm.py
"""
import json
import torch

torch.set_default_dtype(torch.float64)
SCALE, FLOOR = [1.0, 0.2, 6.0], [0.1, 0.0, 0.5]
CENTRE = [[1.0, 0.0], [-2.0, 3.0], [0.5, -1.0]]
ALPHA, RATE, STEP, STEPS, EVERY = 1.5, 0.025, 0.05, 60, 3

W = torch.tensor([3.0, 2.0], requires_grad=True)
w = torch.ones(3, requires_grad=True)
adam = torch.optim.Adam([w], lr=RATE)
first, path = None, []
for step in range(STEPS):
    losses = torch.stack([s * ((W - torch.tensor(c)) ** 2).sum() / 2 + f
                          for s, c, f in zip(SCALE, CENTRE, FLOOR)])
    first = losses.detach() if first is None else first
    direction = torch.autograd.grad((w.detach() * losses).sum(), W, retain_graph=True)[0]
    if step % EVERY == 0:
        norms = torch.stack([torch.autograd.grad(w[k] * losses[k], W, create_graph=True)[0].norm()
                             for k in range(3)])
        ratio = losses.detach() / first
        target = norms.mean().detach() * (ratio / ratio.mean()) ** ALPHA
        adam.zero_grad()
        w.grad = torch.autograd.grad((norms - target).abs().sum(), w)[0]
        adam.step()
        with torch.no_grad():
            w *= 3 / w.sum()
    with torch.no_grad():
        W -= STEP * direction
    path.append({"w": w.tolist(), "W": W.tolist()})

with open("gradnorm.json", "w") as file:
    json.dump({"scale": SCALE, "floor": FLOOR, "centre": CENTRE, "alpha": ALPHA, "rate": RATE,
               "step": STEP, "every": EVERY, "start": [3.0, 2.0], "path": path}, file, indent=1)
    file.write("\n")
