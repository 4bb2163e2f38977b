"""The contestants that differentiate with PyTorch, each used as its documentation says.

All of them minimize, so that they get −F, as a module whose only parameter is Z, and their products are negated. On a machine
with an accelerator they compute there if PyTorch can, else on the processor.
"""

from __future__ import annotations

import warnings
from typing import Any

import jax
import numpy as np
import torch  # pyright: ignore[reportMissingImports]

from mcr2_landscape.bench.contestants import Multiplier
from mcr2_landscape.mcr2 import MCR2


def device() -> torch.device:
    """Where PyTorch computes: on the kind of device that JAX computes on, if it can."""
    return torch.device("cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu")


class Objective(torch.nn.Module):
    """−F as a module whose parameter is Z. It ignores its input: there is no data but the problem's numbers.

    Log-determinants are `slogdet`'s, whose derivatives are the cheapest, or by `cholesky`: under `torch.no_grad`, forward over
    reverse differentiation of `slogdet` (and `logdet`, `det`) is wrong in PyTorch 2.13.
    """

    def __init__(self, problem: MCR2, Z: np.ndarray, *, cholesky: bool = False):
        super().__init__()
        self.logdet = _by_cholesky if cholesky else _by_lu
        p = problem.parameters
        self.Z = torch.nn.Parameter(torch.tensor(Z, device=device()))
        self.widths, self.alpha, self.penalty = list(p.widths), p.alpha, p.regularization
        self.identity = torch.eye(p.dim, dtype=self.Z.dtype, device=device())
        self.alphas = torch.tensor(p.alphas, device=device())[:, None, None]
        self.weights = torch.tensor(1 / p.ratios, device=device())

    def forward(self, inputs: Any = None) -> torch.Tensor:
        """−F(Z)."""
        return self.value(self.Z)

    def value(self, Z: torch.Tensor) -> torch.Tensor:
        """−F at any point."""
        grams = torch.stack([block @ block.T for block in torch.split(Z, self.widths, dim=1)])
        whole = self.logdet(self.identity + self.alpha * grams.sum(0))
        classes = self.logdet(self.identity + self.alphas * grams)
        return -0.5 * (whole - (self.weights * classes).sum() - self.penalty * (Z * Z).sum())


def _by_lu(matrices: torch.Tensor) -> torch.Tensor:
    return torch.linalg.slogdet(matrices)[1]


def _by_cholesky(matrices: torch.Tensor) -> torch.Tensor:
    return 2 * torch.log(torch.diagonal(torch.linalg.cholesky(matrices), dim1=-2, dim2=-1)).sum(-1)


def _prediction(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The loss: the module's output as it is."""
    return outputs


class _Loss(torch.nn.Module):
    reduction = "sum"

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return outputs


def _give(D: np.ndarray) -> torch.Tensor:
    return torch.tensor(D, device=device())


def _wait(result: torch.Tensor) -> torch.Tensor:
    if result.is_cuda:
        torch.cuda.synchronize()
    return result


def _take(result: torch.Tensor) -> np.ndarray:
    return -result.detach().cpu().numpy()


def _nothing() -> torch.Tensor:
    return torch.zeros(1, dtype=torch.float64, device=device())


def pyhessian(problem: MCR2, Z: np.ndarray) -> Multiplier:
    """PyHessian: the gradient's graph is built once and retained, a product is one backward pass through it."""
    from pyhessian import hessian  # pyright: ignore[reportMissingImports]
    from pyhessian.utils import hessian_vector_product  # pyright: ignore[reportMissingImports]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls backward(create_graph=True), about which PyTorch warns
        H = hessian(Objective(problem, Z), _prediction, data=(_nothing(), _nothing()), cuda=device().type == "cuda")
    return Multiplier(_give, lambda D: _wait(hessian_vector_product(H.gradsH, H.params, [D])[0]), _take, "retained graph")


def eigenthings(problem: MCR2, Z: np.ndarray) -> Multiplier:
    """hessian-eigenthings: two backward passes through a graph that every product builds afresh."""
    from hessian_eigenthings import HessianOperator  # pyright: ignore[reportMissingImports]

    H = HessianOperator(Objective(problem, Z), [(_nothing(), _nothing())], lambda model, batch: model(batch[0]))
    return Multiplier(
        lambda D: _give(D).reshape(-1), lambda D: _wait(H.matvec(D)), lambda v: _take(v).reshape(Z.shape), "graph built afresh"
    )


def curvlinops(problem: MCR2, Z: np.ndarray) -> Multiplier:
    """curvlinops: forward over reverse with torch.func, under `torch.no_grad`."""
    from curvlinops import HessianLinearOperator  # pyright: ignore[reportMissingImports]

    model = Objective(problem, Z, cholesky=True)
    H = HessianLinearOperator(
        model, _Loss(), list(model.parameters()), [(_nothing(), _nothing())], check_deterministic=False, num_data=1
    )
    return Multiplier(
        lambda D: _give(D).reshape(-1),
        lambda D: _wait(H @ D),
        lambda v: _take(v).reshape(Z.shape),
        "forward over reverse, by Cholesky",
    )


def pymanopt(problem: MCR2, Z: np.ndarray) -> Multiplier:
    """pymanopt: the Euclidean Hessian of its PyTorch backend, NumPy arrays in and out, on the processor."""
    import pymanopt as package  # pyright: ignore[reportMissingImports]
    from pymanopt.manifolds import Euclidean  # pyright: ignore[reportMissingImports]

    model = Objective(problem, Z).cpu()
    model.identity, model.alphas, model.weights = (x.cpu() for x in (model.identity, model.alphas, model.weights))
    manifold = Euclidean(*Z.shape)

    @package.function.pytorch(manifold)
    def cost(point: torch.Tensor) -> torch.Tensor:
        return model.value(point)

    hessian = package.Problem(manifold, cost).euclidean_hessian
    return Multiplier(lambda D: np.array(D), lambda D: hessian(Z, D), lambda v: -v, "PyTorch backend")
