"""Shards of training data: one .npz each, written whole or not at all, by several processes; one that exists is left alone."""
import os
from multiprocessing import Pool

import numpy as np


def write(path, **arrays):
    """Writes a shard and tells its name."""
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)
    os.replace(part, path)
    print(path.name, flush=True)


def in_turn(bank, wanted):
    """(bank, source, k) of as many shards as `wanted` says of each source, the sources in turn."""
    return [(bank, source, k) for k in range(max(wanted.values())) for source, n in wanted.items() if k < n]


def make(shard, jobs, workers):
    """Calls `shard(job)` for every job."""
    with Pool(workers) as pool:
        for _ in pool.imap(shard, jobs):
            pass
