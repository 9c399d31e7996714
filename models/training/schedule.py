"""What the trainings share: their arguments, the learning rate over a run, the start from an earlier run's averaged weights, and
the state that a stopped run goes on from (weights, averaged weights, optimiser, step)."""
import argparse
from pathlib import Path

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
    old = weights(torch.load(path, weights_only=False))
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


def weights(saved, part=""):
    """The averaged weights of a saved state; `part`: those of one part of what was trained, such as "net."."""
    prefix = f"module.{part}"
    return {k.removeprefix(prefix): v for k, v in saved["mean"].items() if k.startswith(prefix)}


def averaged(path, net, part=""):
    """(the network with the averaged weights of the state at `path`, ready to be asked; the step that they are of)."""
    saved = torch.load(path, weights_only=False, map_location="cpu")
    net.load_state_dict(weights(saved, part))
    return net.eval(), saved["step"]


def arguments(steps, batch, rate, start):
    """What is typed after a plate training; `start` says what `--start` is for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bank", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--rate", type=float, default=rate)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hold", type=float, default=0.0, help="share of the steps at the full rate before it falls")
    parser.add_argument("--start", type=Path, help=start)
    return parser.parse_args()


def resume(state, net, mean, optimiser):
    """Takes up the state of a stopped run; the step that comes next, 0 when there is no state."""
    if not state.exists():
        return 0
    saved = torch.load(state, weights_only=False)
    net.load_state_dict(saved["net"]); mean.load_state_dict(saved["mean"]); optimiser.load_state_dict(saved["optimiser"])
    print(f"goes on from step {saved['step']}", flush=True)
    return saved["step"]


def save(state, net, mean, optimiser, step):
    """Writes the state whole or not at all."""
    part = state.with_suffix(".part")
    torch.save({"net": net.state_dict(), "mean": mean.state_dict(), "optimiser": optimiser.state_dict(), "step": step}, part)
    part.replace(state)


def update(net, mean, optimiser, loss, highest):
    """One step down the gradient, no longer than `highest`, and into the average."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), highest)
    optimiser.step()
    mean.update_parameters(net)
