"""The site table of a backbone: roles found at their module paths, with the sizes that parameter formulas need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)
from transformers.pytorch_utils import Conv1D

from evaluator.families import FAMILIES, SUBLAYER_KEYS, position_embeddings
from space.errors import FieldError
from space.sites import LAYER_ROLE, LINEAR_ROLES, NORM_ROLES, Site, SiteTable

_FIRST_MATRIX = {
    "attention": ("attention.query", "attention.query_key_value"),
    "mlp": ("mlp.gate", "mlp.gate_up", "mlp.up"),
}
_LAST_MATRIX = {"attention": "attention.output", "mlp": "mlp.down"}


def site_table(
    model: PreTrainedModel,
    head_parameter_names: tuple[str, ...],
    head_modules: tuple[str, ...],
    mapping: Mapping[str, str] | None,
) -> SiteTable:
    """The sites of `model`'s backbone. `mapping` is the user's (`ModelSpec.sites`); it goes before the family's.

    Raises:
        FieldError: the family is unknown and `mapping` does not say enough, or a path leads nowhere.
    """
    config, backbone = model.config, model.base_model
    family = FAMILIES.get(config.model_type)
    if family is None and not mapping:
        known = ", ".join(sorted(FAMILIES))
        raise FieldError(
            "model.sites",
            f"the family {config.model_type!r} is not known; say where its matrices lie, for example "
            "{'attention.query': 'layers.{layer}.attention.q', ...}, see docs/sites.md; known families: " + known,
        )
    paths = {**(family.sites if family else {}), **(mapping or {})}
    _check_mapping(mapping or {})
    depth, hidden_size, heads = (
        _number(config, name) for name in ("num_hidden_layers", "hidden_size", "num_attention_heads")
    )
    modules = dict(backbone.named_modules())
    sites = [
        site
        for layer in range(depth)
        for site in (
            *_layer_sites(layer, paths, modules, config.model_type),
            *_norm_sites(layer, paths, modules, config.model_type),
            *_whole_layer(layer, paths, modules, hidden_size),
        )
    ]
    head_size = getattr(config, "head_dim", None) or hidden_size // heads
    owned = set(head_parameter_names)
    return SiteTable(
        model_type=config.model_type,
        form=family.form if family else _form(config.model_type),
        inputs="image" if model.main_input_name == "pixel_values" else "text",
        hidden_size=hidden_size,
        depth=depth,
        heads=heads,
        key_value_size=(getattr(config, "num_key_value_heads", None) or heads) * head_size,
        max_positions=max(1, (family.max_positions if family else position_embeddings)(config)),
        parameters=sum(
            parameter.numel()
            for name, parameter in model.named_parameters()
            if name.startswith(f"{model.base_model_prefix}.") and name not in owned
        ),
        takes_prefix=_takes_prefix(model, sites, modules),
        backbone_path=model.base_model_prefix,
        head_modules=head_modules,
        sites=(*sites, Site(layer=-1, role="model", kind="model", in_size=0, out_size=0, module="")),
    )


def _check_mapping(mapping: Mapping[str, str]) -> None:
    for role, path in mapping.items():
        known_roles = (*LINEAR_ROLES, *NORM_ROLES, *SUBLAYER_KEYS)
        if role not in known_roles:
            known = ", ".join(known_roles)
            raise FieldError(f"model.sites.{role}", f"unknown role; known: {known}")
        if "{layer}" not in path:
            raise FieldError(f"model.sites.{role}", f"{path!r} must hold {{layer}} where the layer's index stands")


def _layer_sites(layer: int, paths: Mapping[str, str], modules: Mapping[str, nn.Module], model_type: str) -> list[Site]:
    sites = []
    for role in LINEAR_ROLES:
        if role in paths:
            module = _find(role, paths[role], layer, modules, model_type)
            if not isinstance(module, nn.Linear | Conv1D):
                raise FieldError(
                    f"model.sites.{role}", f"{paths[role]!r} is a {type(module).__name__}, not a linear layer"
                )
            in_size, out_size = _sizes(module)
            sites.append(
                Site(
                    layer=layer,
                    role=role,
                    kind="linear",
                    in_size=in_size,
                    out_size=out_size,
                    module=paths[role].format(layer=layer),
                    layout="conv1d" if isinstance(module, Conv1D) else "linear",
                    bias=module.bias is not None,
                )
            )
    for role, first in _FIRST_MATRIX.items():
        entrance = next((paths[key] for key in (f"{role}.input", *first) if key in paths), None)
        leaving = next((paths[key] for key in (role, _LAST_MATRIX[role]) if key in paths), None)
        if entrance is None or leaving is None:
            continue
        sites.append(
            Site(
                layer=layer,
                role=role,
                kind="sublayer",
                in_size=_sizes(_find(role, entrance, layer, modules, model_type))[0],
                out_size=_sizes(_find(role, leaving, layer, modules, model_type))[1],
                module=leaving.format(layer=layer),
                input_module=entrance.format(layer=layer),
            )
        )
    return sites


def _norm_sites(layer: int, paths: Mapping[str, str], modules: Mapping[str, nn.Module], model_type: str) -> list[Site]:
    """The layer's norms that have a weight; some models leave one out of one layer, or have norms without."""
    sites = []
    for role in NORM_ROLES:
        if role not in paths:
            continue
        module = _find(role, paths[role], layer, modules, model_type)
        own = dict(module.named_parameters())
        if not own:
            continue
        weight = own.pop("weight", None)
        if weight is None or weight.dim() != 1 or own.keys() - {"bias"}:
            raise FieldError(f"model.sites.{role}", f"{paths[role]!r} is a {type(module).__name__}, not a norm")
        sites.append(
            Site(
                layer=layer,
                role=role,
                kind="norm",
                in_size=len(weight),
                out_size=len(weight),
                module=paths[role].format(layer=layer),
                bias="bias" in own,
            )
        )
    return sites


def _whole_layer(layer: int, paths: Mapping[str, str], modules: Mapping[str, nn.Module], width: int) -> list[Site]:
    """The module that holds all of the layer's matrices; none where they lie apart."""
    holders = {f"{path.partition('{layer}')[0]}{layer}" for path in paths.values()}
    module = holders.pop()
    if holders or module not in modules:
        return []
    return [Site(layer=layer, role=LAYER_ROLE, kind="layer", in_size=width, out_size=width, module=module)]


def _find(role: str, path: str, layer: int, modules: Mapping[str, nn.Module], model_type: str) -> nn.Module:
    module = modules.get(path.format(layer=layer))
    if module is None:
        beside = sorted(name for name in modules if name.split(".")[-1] == path.split(".")[-1])[:3]
        hint = f"; modules of that name: {', '.join(beside)}" if beside else ""
        raise FieldError(
            f"model.sites.{role}", f"{model_type} has no module {path.format(layer=layer)!r} in its backbone{hint}"
        )
    return module


def _sizes(module: nn.Module) -> tuple[int, int]:
    """(in, out) of a matrix; of a norm, its width twice."""
    shape = module.get_parameter("weight").shape
    if isinstance(module, nn.Linear):
        return shape[1], shape[0]
    return shape[0], shape[-1]


def _number(config: PreTrainedConfig, name: str) -> int:
    value = getattr(config, name, None)
    if not isinstance(value, int) or value < 1:
        raise FieldError("model.path", f"config.json of this {config.model_type} gives no whole number {name}")
    return value


def _form(model_type: str) -> Literal["encoder", "decoder"]:
    only_causal = (
        model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )
    return "decoder" if only_causal else "encoder"


def _takes_prefix(model: PreTrainedModel, sites: list[Site], modules: Mapping[str, nn.Module]) -> bool:
    """Whether the attention sublayers' first matrices sit in modules that call transformers' attention interface."""
    if not getattr(model, "_supports_attention_backend", False):
        return False
    attention = [site for site in sites if site.role == "attention"]
    parents = (modules[site.input_module.rpartition(".")[0]] for site in attention)
    return bool(attention) and all(hasattr(parent, "config") for parent in parents)
