"""Methods that peft trains by itself and that add small factors to a weight, each against its paper's formula.

The adapted weight is written out as a whole matrix, out x in, from what the tuner holds.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from tuned_site import Case, Definition, Kept, Options, assert_defined, assert_same, placed, tuned_sites

from evaluator.backbone import Backbone


def deft(w: Tensor, kept: Kept) -> Tensor:
    p, r = kept["deft_P"], kept["deft_R"]
    return w - p @ p.relu().T @ w + p @ r


def deft_orthogonal(w: Tensor, kept: Kept) -> Tensor:
    q, _ = torch.linalg.qr(kept["deft_P"])
    return (torch.eye(len(w)) - q @ q.T) @ w + q @ kept["deft_R"]


def delora(w: Tensor, kept: Kept) -> Tensor:
    a, b, strength = kept["delora_A"], kept["delora_B"], kept["delora_lambda"]
    terms = [torch.outer(b[:, i] / b[:, i].norm(), a[i] / a[i].norm()) for i in range(len(a))]
    # The paper scales with the norm of the whole weight, peft with the norm of each of its columns.
    return w + strength / len(a) * sum(terms) * w.norm(dim=0)


def gralora(w: Tensor, kept: Kept) -> Tensor:
    a, b = kept["gralora_A"], kept["gralora_B"]
    grid = len(a)
    rank = a.shape[2] // grid
    rows = [
        torch.cat(
            [
                b[row][column * rank : (column + 1) * rank].T @ a[column][:, row * rank : (row + 1) * rank].T
                for column in range(grid)
            ],
            dim=1,
        )
        for row in range(grid)
    ]
    return w + 3.0 * torch.cat(rows)


def hira(w: Tensor, kept: Kept) -> Tensor:
    return w + w * (kept["hira_B"] @ kept["hira_A"])


def loha(w: Tensor, kept: Kept) -> Tensor:
    return w + 3.0 * (kept["hada_w1_a"] @ kept["hada_w1_b"]) * (kept["hada_w2_a"] @ kept["hada_w2_b"])


def lokr(w: Tensor, kept: Kept) -> Tensor:
    return w + 3.0 * torch.kron(kept["lokr_w1"], kept["lokr_w2_a"] @ kept["lokr_w2_b"])


def miss(w: Tensor, kept: Kept) -> Tensor:
    shard = kept["miss_block"].T
    return w + torch.stack([shard[:, column % shard.shape[1]] for column in range(w.shape[1])], dim=1)


def neat(w: Tensor, kept: Kept) -> Tensor:
    """As in the authors' code: the network reads the columns of the weight, and a way out takes what its way in had."""
    first = (w.T @ kept["peanut_A.weight"].T).tanh()
    second = (first @ kept["peanut_encoders.0.weight"].T).tanh()
    middle = (second @ kept["peanut_encoders.1.weight"].T).tanh()
    back = (middle @ kept["peanut_decoders.0.weight"].T).tanh() + second
    last = (back @ kept["peanut_decoders.1.weight"].T).tanh() + first
    return w + 3.0 * (last @ kept["peanut_B.weight"].T).T


def neat_shallow(w: Tensor, kept: Kept) -> Tensor:
    return w + kept["peanut_B.weight"] @ (kept["peanut_A.weight"] @ w).relu()


def randlora(w: Tensor, kept: Kept) -> Tensor:
    narrow, wide = sorted(w.shape)
    a, scales, gammas = kept["randlora_A"][:, 0, :narrow], kept["randlora_lambda"], kept["randlora_gamma"]
    rank, count = scales.shape
    assert count == -(-narrow // rank)
    # The paper's sum; its random columns of B go round the bases in turn, not one basis after the other.
    b = kept["randlora_B"][:wide, :count].reshape(wide, rank, count)
    terms = [b[:, :, i] @ torch.diag(scales[:, i]) @ a @ torch.diag(gammas[i]) for i in range(count)]
    update = sum(terms, torch.zeros(wide, narrow))
    return w + 3.0 * (update if w.shape == update.shape else update.T)


def tinylora(w: Tensor, kept: Kept) -> Tensor:
    """At half tying the two sites of a layer share their numbers."""
    a, b = kept["tinylora_A"], kept["tinylora_B"]
    left, values, right = torch.linalg.svd(w, full_matrices=False)
    torch.testing.assert_close(b @ a, left[:, :2] @ torch.diag(values[:2]) @ right[:2], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(b.norm(dim=0), a.norm(dim=1))
    mixing = sum(number * each for number, each in zip(kept["tinylora_v.1"], kept["tinylora_P"], strict=True))
    # The paper has U Σ (Σ vᵢ Pᵢ) Vᵀ; peft gives half of Σ, its root, to either side.
    return w + b @ mixing @ a


def vblora(w: Tensor, kept: Kept) -> Tensor:
    bank = kept["vblora_vector_bank"]

    def mixture(logits: Tensor) -> Tensor:
        weakest = logits.sort(descending=True).values[..., 1:2]
        return logits.masked_fill(logits < weakest, -torch.inf).softmax(-1) @ bank

    a = mixture(kept["vblora_logits_A"]).flatten(1)
    b = mixture(kept["vblora_logits_B"].transpose(0, 1)).flatten(1)
    return w + b.T @ a


def vera(w: Tensor, kept: Kept) -> Tensor:
    out, wide = w.shape
    a, b = kept["vera_A"][:, :wide], kept["vera_B"][:out]
    return w + torch.diag(kept["vera_lambda_b"]) @ b @ torch.diag(kept["vera_lambda_d"]) @ a


CASES: list[Case] = [
    ("deft", deft, 3, {}),
    ("deft", deft_orthogonal, 3, {"decomposition": "qr"}),
    ("delora", delora, 3, {}),
    ("gralora", gralora, 4, {"scaling": 3.0}),
    ("hira", hira, 3, {}),
    ("loha", loha, 3, {"scaling": 3.0}),
    ("lokr", lokr, 3, {"scaling": 3.0}),
    ("miss", miss, 5, {}),
    ("neat", neat, 3, {"depth": 2, "non_linearity": "tanh", "scaling": 3.0}),
    ("neat", neat_shallow, 3, {}),
    ("randlora", randlora, 5, {"scaling": 3.0}),
    ("tinylora", tinylora, 4, {"tying": 0.5}),
    ("vblora", vblora, 3, {"vector_length": 16, "vectors": 32}),
    ("vera", vera, 6, {}),
]


@pytest.mark.parametrize(("family", "method", "definition", "size", "options"), placed(CASES))
def test_output_and_gradients_are_the_definitions(
    tiny_backbones: dict[str, Backbone], family: str, method: str, definition: Definition, size: int, options: Options
) -> None:
    assert_defined(tiny_backbones[family], method, definition, size, options)


def path(kept: Kept, name: str) -> Tensor:
    """GLoRA's A, B or C in one of its three forms."""
    low_rank = f"glora_{name}.Xd"
    return kept[low_rank] @ kept[f"glora_{name}.Xu"] if low_rank in kept else kept[f"glora_{name}.X"]


@pytest.mark.parametrize(
    ("weight", "prompt", "bias"), [("lora", "lora", "constant"), ("vector", "vector", "vector"), ("constant",) * 3]
)
def test_glora_scales_and_shifts_weight_and_bias(
    tiny_backbones: dict[str, Backbone], weight: str, prompt: str, bias: str
) -> None:
    prompt = "none" if prompt == "constant" else prompt
    options: Options = {"weight": weight, "prompt": prompt, "bias": bias}
    with tuned_sites(tiny_backbones["bert"], "glora", 3, options) as sites:
        for site in sites:
            w, b, kept = site.weight, site.bias, site.kept
            assert b is not None
            shift = w @ path(kept, "C").flatten() if prompt != "none" else torch.zeros(len(w))
            moved = b + b * kept["glora_D.X"] + kept["glora_E.X"] + shift
            assert_same(site, functional.linear(site.x, w + w * path(kept, "A") + path(kept, "B"), moved))


def test_lily_mixes_its_experts_by_the_mean_of_their_chances(tiny_backbones: dict[str, Backbone]) -> None:
    """As in the authors' code: the mean is over all tokens of a batch, so what stands beside a row moves its output."""
    options: Options = {"experts": 4, "scaling": 3.0}
    with tuned_sites(tiny_backbones["bert"], "lily", 3, options) as sites:
        for site in sites:
            a, router = site.kept["lily_A.weight"], site.kept["lily_router.weight"]
            experts = site.kept["lily_B.weight"].view(4, 3, -1)
            hidden = site.x @ a.T
            chances = (hidden @ router.T).softmax(-1).mean(dim=(0, 1))
            up = sum(chance * expert for chance, expert in zip(chances, experts, strict=True))
            assert_same(site, functional.linear(site.x, site.weight, site.bias) + 3.0 * hidden @ up)


def test_lily_shares_experts_among_all_layers_and_projections_among_neighbours(
    tiny_backbones: dict[str, Backbone],
) -> None:
    backbone = tiny_backbones["bert"]
    with tuned_sites(backbone, "lily", 3, {"stride": 2}, roles=("mlp.up",)):
        modules = [backbone.backbone.get_submodule(backbone.table.find(layer, "mlp.up").module) for layer in range(3)]
        downs, ups, routers = (
            [each.get_submodule(f"{name}.default").weight for each in modules]
            for name in ("lily_A", "lily_B", "lily_router")
        )
    assert downs[0] is downs[1]
    assert downs[1] is not downs[2]
    assert ups[0] is ups[1] is ups[2]
    assert len({id(each) for each in routers}) == 3


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_pvera_draws_its_inner_activation_in_training(tiny_backbones: dict[str, Backbone], family: str) -> None:
    with tuned_sites(tiny_backbones[family], "pvera", 6, {}) as sites:
        for site in sites:
            out, wide = site.weight.shape
            a, b = site.kept["pvera_A"][:, :wide], site.kept["pvera_B"][:out]
            inner = site.x @ a.T * site.kept["pvera_lambda_d"]
            mean, log_variance = inner[..., :6], inner[..., 6:]
            base = functional.linear(site.x, site.weight, site.bias)
            assert_same(site, base + mean @ b.T * site.kept["pvera_lambda_b"])
            site.module.train()
            torch.manual_seed(2)
            output = site.module(site.x)
            torch.manual_seed(2)
            drawn = mean + (log_variance.exp()) ** 0.5 * torch.randn(mean.shape)
            torch.testing.assert_close(output, base + drawn @ b.T * site.kept["pvera_lambda_b"])


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_unilora_gives_every_entry_a_share_of_one_number(tiny_backbones: dict[str, Backbone], family: str) -> None:
    """The projection from the shared numbers to all factors: one entry a row, columns of unit length."""
    backbone = tiny_backbones[family]
    with tuned_sites(backbone, "unilora", 50, {"rank": 3}) as sites:
        held = [each for each in backbone.backbone.modules() if hasattr(each, "unilora_indices_A")]
        assert len(held) == 6
        places = torch.cat(
            [getattr(each, f"unilora_indices_{factor}")["default"].flatten() for each in held for factor in "AB"]
        )
        lengths = torch.bincount(places, minlength=50) ** 0.5
        for site in sites:
            numbers = site.kept["unilora_theta_d"] / lengths
            a, b = numbers[site.kept["unilora_indices_A"]], numbers[site.kept["unilora_indices_B"]]
            assert_same(site, functional.linear(site.x, site.weight + b @ a, site.bias))
