"""Products of PyTorch (cuBLAS) as products.mjs measures them: JSON of microseconds on standard output."""
import json
import statistics
import sys

import torch


def timed(enqueue, calls):
    for i in range(3):
        enqueue(i)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(calls):
            enqueue(i)
    for _ in range(max(3, 2000 // calls)):
        graph.replay()
    torch.cuda.synchronize()
    times = []
    for _ in range(21):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e3 / calls)
    return statistics.median(times)


def normal(*shape):
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)


found = {}
for columns, depth in [(3648, 2048), (2048, 2048), (2048, 2816), (163840, 2048)]:
    copies = max(1, min(16, -(-300_000_000 // (columns * depth * 2))))
    weights = [normal(columns, depth) for _ in range(copies)]
    for rows in [1, 4, 8, 16, 32, 64, 128] + ([512, 4096] if columns < 10_000 else []):
        x, out = normal(rows, depth), normal(rows, columns)
        calls = max(8, copies) if columns * depth * rows < 2**34 else copies
        product = lambda i: torch.mm(x, weights[i % copies].t(), out=out)
        found[f"linear {rows} {columns} {depth}"] = timed(product, calls)
    del weights
json.dump(found, sys.stdout)
