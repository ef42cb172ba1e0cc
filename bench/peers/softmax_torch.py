"""Softmax cross-entropy over a catalogue in eager PyTorch fp32, forward and backward.
   softmax_torch.py THREADS ROWS ITEMS DIM REPEATS
Prints the median of the seconds a step, and the loss and gradient norms of the last."""
import statistics
import sys
import time

import torch
import torch.nn.functional as F

threads, rows, items, dim, repeats = map(int, sys.argv[1:6])
torch.set_num_threads(threads)
torch.manual_seed(1)
x = (torch.randn(rows, dim) / dim**0.25).requires_grad_()
v = (torch.randn(items, dim) / dim**0.25).requires_grad_()
target = torch.randint(items, (rows,))


def step():
    x.grad = v.grad = None
    loss = F.cross_entropy(x @ v.T, target)
    loss.backward()
    return loss


step()
seconds = []
for _ in range(repeats):
    begin = time.perf_counter()
    loss = step()
    seconds.append(time.perf_counter() - begin)
print(f"{statistics.median(seconds):.6f} {loss.item():.6f} "
      f"{x.grad.norm().item():.6f} {v.grad.norm().item():.6f}")
