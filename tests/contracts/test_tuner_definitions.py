"""Methods that peft trains by itself and that turn, transform or pick a weight's own entries, each against its paper.

The adapted weight is written out as a whole matrix, out x in, from what the tuner holds.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from tuned_site import Case, Definition, Kept, Options, assert_defined, assert_same, placed, tuned_sites

from evaluator.backbone import Backbone


def cayley(q: Tensor) -> Tensor:
    """(I + Q)(I - Q)⁻¹, a rotation for a skew-symmetric Q."""
    identity = torch.eye(len(q))
    return (identity + q) @ torch.linalg.inv(identity - q)


def skew(entries: Tensor, width: int) -> Tensor:
    """The skew-symmetric matrix whose entries above the diagonal are `entries`."""
    upper = torch.zeros(width, width).index_put(tuple(torch.triu_indices(width, width, 1)), entries)
    return upper - upper.T


def boft(w: Tensor, kept: Kept) -> Tensor:
    blocks = [cayley((block - block.T) / 2) for block in kept["boft_R"][0]]
    return kept["boft_s"] * (w @ torch.block_diag(*blocks))


def oft(w: Tensor, kept: Kept) -> Tensor:
    return w @ torch.block_diag(*(cayley(skew(entries, 8)) for entries in kept["oft_R.weight"]))


def oft_shared(w: Tensor, kept: Kept) -> Tensor:
    (entries,) = kept["oft_R.weight"]
    return w @ torch.block_diag(*[cayley(skew(entries, 8))] * (w.shape[1] // 8))


def oft_series(w: Tensor, kept: Kept) -> Tensor:
    """OFTv2: the inverse as a Neumann series, (I + Q)(I + Q + Q² + Q³).

    In peft Q has the other sign here than for the exact value, so the two turn in opposite directions.
    """
    identity = torch.eye(8)
    blocks = [-skew(entries, 8) for entries in kept["oft_R.weight"]]
    return w @ torch.block_diag(*[(identity + q) @ (identity + q + q @ q + q @ q @ q) for q in blocks])


def hra(w: Tensor, kept: Kept) -> Tensor:
    for u in kept["hra_u"].T:
        w = w @ (torch.eye(len(u)) - 2 * torch.outer(u, u) / (u @ u))
    return w


def hra_orthogonal(w: Tensor, kept: Kept) -> Tensor:
    """With directions orthogonal to each other: those of the QR decomposition, up to their signs."""
    directions, _ = torch.linalg.qr(kept["hra_u"])
    return hra(w, {"hra_u": directions})


def psoft(w: Tensor, kept: Kept) -> Tensor:
    """The paper's W = Wᵣₑₛ + A'·diag(α)·R·diag(β)·B' over the top singular directions."""
    right = kept["_psoft_A_cache"]
    left = w @ right.T
    torch.testing.assert_close(left.norm(dim=0), torch.linalg.svdvals(w)[: len(right)])
    rotation = cayley(skew(kept["psoft_R.weight"], len(right)))
    turned = torch.diag(kept["psoft_R.vector_b"]) @ rotation @ torch.diag(kept["psoft_R.vector_a"])
    return w - left @ right + left @ turned @ right


def osf(w: Tensor, kept: Kept) -> Tensor:
    """Three quarters of the singular directions, the high ones, stay as they are."""
    u, values, vh = torch.linalg.svd(w, full_matrices=False)
    high = len(values) * 3 // 4
    low = kept["osf_svd_params.U_low"] @ torch.diag(kept["osf_svd_params.S_low"]) @ kept["osf_svd_params.V_low"]
    return u[:, :high] @ torch.diag(values[:high]) @ vh[:high] + low


def frod(w: Tensor, kept: Kept) -> Tensor:
    """W = U·diag(l)·Vᵀ with unit columns in U and V shared by the layers; l and the sparse S beside it are trained."""
    v = kept["frod_V"].double()
    columns = w.double() @ torch.linalg.inv(v).T
    u = (columns / columns.norm(dim=0)).float()
    rows, places = kept["frod_s_indices"]
    assert not (rows == places).any()
    middle = torch.diag(kept["frod_lambda_l"]).index_put((rows, places), kept["frod_lambda_s_values"])
    return u @ middle @ v.T.float()


def c3a(w: Tensor, kept: Kept) -> Tensor:
    """Blocks whose rows are their first turned right by one at a time; peft divides them by the input's width."""
    blocks = [
        torch.cat([torch.stack([first.roll(row) for row in range(len(first))]) for first in row_of_blocks], dim=1)
        for row_of_blocks in kept["c3a_kernel"]
    ]
    return w + torch.cat(blocks) / w.shape[1]


def spectrum(values: Tensor, places: Tensor, shape: torch.Size) -> Tensor:
    assert len(set(map(tuple, places.T.tolist()))) == len(values)
    return torch.zeros(shape).index_put(tuple(places), values)


def fourierft(w: Tensor, kept: Kept) -> Tensor:
    """The inverse discrete Fourier transform, divided by out·in, as matrices of exponentials."""

    def waves(width: int) -> Tensor:
        return torch.exp(2j * math.pi * torch.outer(torch.arange(width), torch.arange(width)) / width)

    coefficients = spectrum(kept["fourierft_spectrum"], kept["indices"], w.shape).to(torch.complex64)
    update = waves(len(w)) @ coefficients @ waves(w.shape[1]) / w.numel()
    return w + 30.0 * update.real


def waveft(w: Tensor, kept: Kept) -> Tensor:
    """One level of Haar's wavelets; peft keeps the details down the rows where those along them are usually kept."""

    def haar(width: int) -> Tensor:
        pairs = torch.eye(width // 2)
        means, differences = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, -1.0]])
        return torch.cat([torch.kron(pairs, means), torch.kron(pairs, differences)]) / 2**0.5

    upper, lower = spectrum(kept["waveft_spectrum"], kept["waveft_indices"], w.shape).chunk(2)
    (means, down), (along, both) = upper.chunk(2, dim=1), lower.chunk(2, dim=1)
    coefficients = torch.cat([torch.cat([means, along], dim=1), torch.cat([down, both], dim=1)])
    return w + 30.0 * haar(len(w)).T @ coefficients @ haar(w.shape[1])


def shira(w: Tensor, kept: Kept) -> Tensor:
    return w + spectrum(kept["shira_weight"], kept["shira_indices"].long(), w.shape)


def supertuning(w: Tensor, kept: Kept) -> Tensor:
    strongest = w.abs().flatten().argsort(descending=True)[: w.numel() // 10]
    return w + torch.zeros(w.numel()).index_put((strongest,), kept["supertuning_values"]).view(w.shape)


CASES: list[Case] = [
    ("boft", boft, 0, {"block_size": 4}),
    ("oft", oft, 0, {"block_size": 8, "series": False}),
    ("oft", oft_shared, 0, {"block_size": 8, "series": False, "block_share": True}),
    ("oft", oft_series, 0, {"block_size": 8}),
    ("hra", hra, 4, {}),
    ("hra", hra_orthogonal, 4, {"orthogonal": True}),
    ("psoft", psoft, 6, {}),
    ("frod", frod, 0, {"density": 0.05}),
    ("c3a", c3a, 0, {"block_size": 8}),
    ("fourierft", fourierft, 40, {"scaling": 30.0}),
    ("waveft", waveft, 40, {"scaling": 30.0}),
    ("shira", shira, 3, {}),
    ("supertuning", supertuning, 0, {"sparsity": 0.9}),
]


@pytest.mark.parametrize(("family", "method", "definition", "size", "options"), placed(CASES))
def test_output_and_gradients_are_the_definitions(
    tiny_backbones: dict[str, Backbone], family: str, method: str, definition: Definition, size: int, options: Options
) -> None:
    assert_defined(tiny_backbones[family], method, definition, size, options)


def test_osf_trains_across_the_high_directions_only(tiny_backbones: dict[str, Backbone]) -> None:
    """The output, and gradients whose part along the frozen directions is taken out."""
    with tuned_sites(tiny_backbones["bert"], "osf", 0, {"kept": 0.75}) as sites:
        for site in sites:
            output = site.module(site.x)
            expected = functional.linear(site.x, osf(site.weight, site.kept), site.bias)
            torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)
            trained = {name.rpartition(".")[2]: each for name, each in site.kept.items() if each.requires_grad}
            free = {name: each.detach().clone().requires_grad_() for name, each in trained.items()}
            whole = osf(site.weight, {f"osf_svd_params.{name}": each for name, each in free.items()})
            pull = torch.randn_like(output)
            found = dict(zip(trained, torch.autograd.grad((output * pull).sum(), list(trained.values())), strict=True))
            (functional.linear(site.x, whole, site.bias) * pull).sum().backward()
            u, _, vh = torch.linalg.svd(site.weight, full_matrices=False)
            u, vh = u[:, :24], vh[:24]
            right = {name: each.grad for name, each in free.items()}
            torch.testing.assert_close(found["S_low"], right["S_low"], rtol=1e-3, atol=1e-3)
            torch.testing.assert_close(found["U_low"], right["U_low"] - u @ u.T @ right["U_low"], rtol=1e-3, atol=1e-3)
            torch.testing.assert_close(
                found["V_low"], right["V_low"] - right["V_low"] @ vh.T @ vh, rtol=1e-3, atol=1e-3
            )


@pytest.mark.parametrize("variant", ["road_1", "road_2", "road_4"])
def test_road_turns_and_scales_pairs_of_outputs(tiny_backbones: dict[str, Backbone], variant: str) -> None:
    """The paper pairs neighbours; peft pairs outputs half a group apart."""
    half = 4
    with tuned_sites(tiny_backbones["bert"], "road", 0, {"variant": variant, "group_size": 2 * half}) as sites:
        for site in sites:
            angles, scales = (site.kept[name].view(-1, int(variant[-1]), half) for name in ("road_theta", "road_alpha"))
            turn = torch.zeros(len(site.weight), len(site.weight))
            for group in range(len(angles)):
                for pair in range(half):
                    # The angles and scales of the four entries of a 2 x 2 matrix.
                    which = {"road_1": (0, 0, 0, 0), "road_2": (0, 0, 1, 1), "road_4": (0, 2, 3, 1)}[variant]
                    (a, b, c, d), (s, t, u, v) = (each[group, which, pair] for each in (angles, scales))
                    first = 2 * half * group + pair
                    second = first + half
                    turn[first, first], turn[first, second] = s * a.cos(), -t * b.sin()
                    turn[second, first], turn[second, second] = u * c.sin(), v * d.cos()
            assert_same(site, functional.linear(site.x, site.weight, site.bias) @ turn.T)


def test_beft_trains_the_bias(tiny_backbones: dict[str, Backbone]) -> None:
    with tuned_sites(tiny_backbones["bert"], "beft", 0, {}) as sites:
        for site in sites:
            assert site.bias is not None
            assert_same(site, functional.linear(site.x, site.weight, site.bias + site.kept["beft_bias"].flatten()))
