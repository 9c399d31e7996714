"""The learning rate over a run, and the start from an earlier run's averaged weights; shared by the three trainings."""
import numpy as np
import torch

WARM_UP = 200


def rate(args, step):
    """Up in `WARM_UP` steps, held at `args.rate` for the share `args.hold` of `args.steps`, then half a cosine down to 0.5 %.

    While a run still holds its rate, it can be stopped and gone on with another `--steps` without a jump.
    """
    falling = max(0.0, (step / args.steps - args.hold) / (1 - args.hold))
    return args.rate * min(1.0, (step + 1) / WARM_UP) * max(0.005, 0.5 * (1 + np.cos(np.pi * falling)))


def begin_with(net, mean, path):
    """Puts the averaged weights of the state at `path` into both the network and its average.

    The network may be wider or longer than the one that was saved: what is new keeps its first values, small where it would
    disturb what is old (blocks that are added begin as nothing added).
    """
    saved = torch.load(path, weights_only=False)
    old = {k.removeprefix("module."): v for k, v in saved["mean"].items() if k.startswith("module.")}
    state = net.state_dict()
    for name, now in state.items():
        before = old.get(name)
        if before is None or before.shape == now.shape:
            state[name] = now if before is None else before
            continue
        if now.dim() == 4:
            now[:, before.shape[1]:] *= 0.01
        now[tuple(slice(n) for n in before.shape)] = before
    net.load_state_dict(state)
    mean.module.load_state_dict(net.state_dict())
