"""Fixtures that every room's tests share: tiny models of four families, saved as users save theirs, and tiny tasks."""

from __future__ import annotations

import os

from evaluator.environment import REPEATABLE

# Before torch is imported.
os.environ.update({**REPEATABLE, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", **os.environ})

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from evaluator.backbone import Backbone
    from evaluator.evaluate import EvaluationRequest
    from space.plan import Plan

# No test is held to a time: on a busy machine a slow example is no fault.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

TINY_TEXTS = (
    "the river rose after three days of rain and the bridge was closed",
    "a striker scored twice as the home side won the cup final",
    "shares fell when the bank cut its forecast for the year",
    "the new phone has a better camera and a larger battery",
    "the film opens with a long quiet scene in a train station",
    "voters go to the polls on sunday in a close election",
)
TINY_WORDS = {
    "water": ("river", "rain", "bridge", "flood", "lake"),
    "sport": ("striker", "cup", "final", "home", "goal"),
    "money": ("shares", "bank", "forecast", "year", "profit"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run tests that take minutes")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: a worker for each core that this process may use, four at most, as each takes about 2 GB."""
    return min(4, len(os.sched_getaffinity(0)))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="minutes long; run with --slow"))


def _save_tokenizer(folder: Path) -> int:
    """A word-piece tokenizer of the words of `TINY_TEXTS` and `TINY_WORDS`, and any other letter by letter; returns its
    vocabulary's size. Written out, as a trained one orders what is equally frequent anew in every process.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    texts = [*TINY_TEXTS, *(" ".join(words) for words in TINY_WORDS.values())]
    words = sorted({word for text in texts for word in text.split() if len(word) > 1})
    pieces = [*special, *letters, *(f"##{letter}" for letter in letters), *words]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
    ).save_pretrained(folder)
    return tokenizer.get_vocab_size()


def _tiny_model(family: str, vocabulary: int) -> PreTrainedModel:
    from transformers import (
        BertConfig,
        BertForMaskedLM,
        GPT2Config,
        GPT2LMHeadModel,
        LlamaConfig,
        LlamaForCausalLM,
    )

    if family == "bert":
        return BertForMaskedLM(
            BertConfig(
                vocab_size=vocabulary,
                hidden_size=32,
                num_hidden_layers=3,
                num_attention_heads=4,
                intermediate_size=64,
                max_position_embeddings=64,
                pad_token_id=0,
            )
        )
    if family == "llama":
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocabulary,
                hidden_size=32,
                num_hidden_layers=3,
                num_attention_heads=4,
                num_key_value_heads=2,
                intermediate_size=48,
                max_position_embeddings=64,
                bos_token_id=2,
                eos_token_id=3,
                pad_token_id=0,
            )
        )
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary, n_embd=32, n_layer=3, n_head=4, n_positions=64, bos_token_id=2, eos_token_id=3
        )
    )


def _tiny_vit() -> PreTrainedModel:
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=8,
        patch_size=2,
        num_channels=1,
        hidden_dropout_prob=0.1,
    )
    return ViTModel(config, add_pooling_layer=False)


TINY_PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": 8, "width": 8},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5],
    "image_std": [0.5],
}


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of pre-trained models in miniature (random weights, safetensors, tokenizer), by family.

    Hidden size 32, 3 layers, 4 heads, 64 positions. "bert": an encoder saved without pooler; "llama": a decoder with
    grouped-query attention (2 key-value heads); "gpt2": a decoder with fused query, key and value, and no pad token id.
    "vit": images of 8 x 8 grey pixels as a class token and 16 patches, with an image processor for a tokenizer.
    """
    import torch

    folders = {}
    for family in ("bert", "llama", "gpt2"):
        folder = tmp_path_factory.mktemp(f"tiny-{family}")
        vocabulary = _save_tokenizer(folder)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            _tiny_model(family, vocabulary).save_pretrained(folder)
        folders[family] = folder
    folders["vit"] = tmp_path_factory.mktemp("tiny-vit")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _tiny_vit().save_pretrained(folders["vit"])
    (folders["vit"] / "preprocessor_config.json").write_text(json.dumps(TINY_PROCESSOR))
    return folders


@pytest.fixture(scope="session")
def tiny_backbones(tiny_models: dict[str, Path]) -> dict[str, Backbone]:
    """`tiny_models` loaded with three classes, and shared: whoever attaches to one must leave it as it was."""
    from evaluator.backbone import load_backbone
    from evaluator.task import ModelSpec

    return {family: load_backbone(ModelSpec(path=str(folder)), labels=3) for family, folder in tiny_models.items()}


def _tiny_rows(count: int) -> list[tuple[str, str, str, float]]:
    """(text, second text, class, number): the class shows in the words, the number in how many there are."""
    chance = random.Random(0)
    rows = []
    for index in range(count):
        label = sorted(TINY_WORDS)[index % 3]
        words = [chance.choice(TINY_WORDS[label]) for _ in range(chance.randint(2, 12))]
        rows.append((f"{' '.join(words)} {index}", " ".join(words[:2]), label, len(words) / 3))
    return rows


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A csv of 120 rows with columns text, second, label, number."""
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    lines = ["text,second,label,number", *(",".join(map(str, row)) for row in _tiny_rows(120))]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def tiny_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A csv of 30 rows with columns image and label, dark or light, beside grey images of 10 x 12 noisy pixels."""
    import numpy as np
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    (folder / "pictures").mkdir()
    lines = ["image,label"]
    noise = np.random.default_rng(0)
    for index in range(30):
        label, level = (("dark", 40), ("light", 200))[index % 2]
        pixels = (level + noise.integers(-20, 20, (10, 12))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{index}.png")
        lines.append(f"pictures/{index}.png,{label}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    return folder / "rows.csv"


@pytest.fixture(scope="session")
def plan_of(tiny_models: dict[str, Path]) -> Callable[..., Plan]:
    """`plan_of(*methods, family="bert", learning_rate=…, **component)`: the plan of these methods on a tiny model."""
    from evaluator.backbone import inspect
    from evaluator.task import ModelSpec
    from space.configuration import Component, Configuration
    from space.resolve import resolve

    tables = {family: inspect(ModelSpec(path=str(folder))) for family, folder in tiny_models.items()}

    def _plan(*methods: str, family: str = "bert", learning_rate: float | None = None, **component: object) -> Plan:
        components = tuple(Component.model_validate({"method": method, **component}) for method in methods)
        return resolve(Configuration(components=components, learning_rate=learning_rate), tables[family])

    return _plan


@pytest.fixture(scope="session")
def request_of(
    tiny_models: dict[str, Path], tiny_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., EvaluationRequest]:
    """`request_of(plan, family="bert", task={…}, training={…}, **fields)`: 12 steps on the tiny data."""
    from evaluator.data.split import make_split
    from evaluator.evaluate import EvaluationRequest
    from evaluator.task import DataSpec, ModelSpec, TaskSpec, Training

    folder = tmp_path_factory.mktemp("splits")

    def _request(
        plan: Plan,
        family: str = "bert",
        task: dict[str, object] | None = None,
        training: dict[str, object] | None = None,
        **fields: object,
    ) -> EvaluationRequest:
        spec = TaskSpec.model_validate({"data": DataSpec(path=str(tiny_data)), "max_length": 32, **(task or {})})
        split = folder / f"{spec.type}-{spec.text_pair}.json"
        if not split.exists():
            make_split(spec).save(split)
        return EvaluationRequest.model_validate(
            {
                "evaluation": "e",
                "model": ModelSpec(path=str(tiny_models[family])),
                "task": spec,
                "training": Training.model_validate({"batch_size": 8, **(training or {})}),
                "split_file": str(split),
                "plan": plan,
                "full_steps": 12,
                "stop_step": fields.get("full_steps", 12),
                "seed": 0,
                **fields,
            }
        )

    return _request
