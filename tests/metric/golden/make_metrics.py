"""Writes metrics.json: reference values of the AUCs, GAUC, NDCG and calibration error.

Independent of the C++ code: the area is the integral of the ROC curve (trapezoids over distinct
thresholds, as scikit-learn's roc_auc_score does), NDCG follows ndcg_score on binary relevance.
Run: python3 make_metrics.py > metrics.json
"""
import json
import numpy as np


def roc_auc(labels, scores):
    order = np.argsort(-scores, kind="stable")
    labels, scores = labels[order], scores[order]
    last = np.r_[np.nonzero(np.diff(scores))[0], len(scores) - 1]
    tps = np.cumsum(labels)[last]
    fps = 1 + last - tps
    tpr = np.r_[0, tps / tps[-1]]
    fpr = np.r_[0, fps / fps[-1]]
    return float(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2))


def ndcg(relevance, k):
    discount = 1 / np.log2(np.arange(2, len(relevance) + 2))
    discount[k:] = 0
    return float((relevance * discount).sum() / (np.sort(relevance)[::-1] * discount).sum())


rng = np.random.default_rng(20240229)
n = 400
kinds = rng.choice([0, 1, 2], n, p=[0.7, 0.15, 0.15])
users = rng.integers(0, 25, n)
scores = np.round(rng.normal(size=n) + 0.7 * kinds, 1).astype(np.float32)  # many ties
read = (kinds == 2).astype(int)
rows, weighted = 0, 0.0
for u in range(25):
    at = users == u
    if 0 < read[at].sum() < at.sum():
        rows += int(at.sum())
        weighted += at.sum() * roc_auc(read[at], scores[at])


def pair(a, b):
    at = np.isin(kinds, a + b)
    return roc_auc(np.isin(kinds[at], a).astype(int), scores[at])


predicted = np.round(rng.random(n), 3).astype(np.float32)
order = np.argsort(predicted, kind="stable")
labels = (rng.random(n) < predicted**2).astype(int)
edges, begin, ece = [], 0, 0.0
for part in range(1, 11):
    end = part * n // 10
    while end < n and end > 0 and predicted[order[end]] == predicted[order[end - 1]]:
        end += 1
    if end > begin:
        at = order[begin:end]
        ece += len(at) / n * abs(predicted[at].astype(float).mean() - labels[at].mean())
        edges.append(int(end))
    begin = max(begin, end)

relevance = (rng.random(30) < 0.2).astype(int)
print(json.dumps({
    "kinds": kinds.tolist(), "users": users.tolist(), "scores": scores.astype(float).tolist(),
    "auc_read": pair([2], [0, 1]), "auc_click": pair([1, 2], [0]),
    "auc_read_given_click": pair([2], [1]), "auc_read_vs_sampled": pair([2], [0]),
    "omega": float((kinds == 1).sum() / (kinds != 2).sum()), "gauc": weighted / rows,
    "predicted": predicted.astype(float).tolist(), "labels": labels.tolist(), "ece_10": ece,
    "bin_ends": edges,
    "relevance": relevance.tolist(), "ndcg_5": ndcg(relevance, 5), "ndcg_30": ndcg(relevance, 30),
}))
