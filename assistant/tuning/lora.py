"""LoRA adapters put on a network, written to a folder and read back.

PEFT does the work; here are the defaults and the variants. Every variant is saved as an ordinary
LoRA folder (safetensors and JSON), so the engine that serves it needs to know one kind only. It is
not the card, and not the judge of a stranger's adapter.

Sources: LoRA (arXiv:2106.09685), rsLoRA (arXiv:2312.03732), DoRA (arXiv:2402.09353), AdaLoRA
(arXiv:2303.10512), frozen A: FFA-LoRA (arXiv:2403.12313), QLoRA (arXiv:2305.14314).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from assistant.errors import BadInput
from assistant.tuning.networks import Classifier, core

Method = Literal["lora", "rslora", "dora", "adalora", "frozen-a", "head"]
WEIGHTS, CONFIG, HEAD = "adapter_model.safetensors", "adapter_config.json", "head.json"
_BOOKS = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""AdaLoRA's running estimates of how much each direction matters."""
_LAYER = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class LoraPlan:
    """The shape of an adapter.

    `alpha` 0 = twice the rank. `targets` are names of linear layers, () = all but the output
    head. `layers` are the numbers of the adapted layers, () = all. `seed` decides A's start. "head" trains a
    classifier's head alone: few weights, which is what little data and much noise can teach; its LoRA stays at nothing.
    """

    method: Method = "lora"
    rank: int = 16
    alpha: float = 0.0
    targets: tuple[str, ...] = ()
    layers: tuple[int, ...] = ()
    dropout: float = 0.0
    steps: int = 0
    seed: int = 0

    @property
    def scale(self) -> float:
        """The alpha in force."""
        return self.alpha or 2.0 * self.rank


def attach(model: Any, plan: LoraPlan) -> Any:
    """The model with a fresh adapter that changes nothing yet; all else is frozen.

    A causal model comes back wrapped by PEFT; a `Classifier` is changed in place (its head is
    trained too) and returned. Put the model on its device first.

    Raises:
        BadInput: the plan fits no layer of this model.
    """
    import torch
    from peft import get_peft_model

    net = core(model)
    if plan.method == "head":
        if not isinstance(model, Classifier):
            raise BadInput("Only classifiers and taggers have a head of their own.", hint="Train with --method lora.")
        plan = replace(plan, rank=1, layers=plan.layers or top_layers(net))
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        wrapped = get_peft_model(net, _config(net, plan))
    hold(wrapped, plan.method)
    if isinstance(model, Classifier):
        model.net = wrapped
        model.head.requires_grad_(True)
        return model
    return wrapped


def hold(model: Any, method: str) -> None:
    """Stops the training of what a method leaves as it is: A, or for a head alone all of the LoRA."""
    held = {"frozen-a": ("lora_A",), "head": ("lora_A", "lora_B")}.get(method, ())
    for name, parameter in model.named_parameters():
        if any(part in name for part in held):
            parameter.requires_grad_(False)


def top_layers(model: Any, share: float = 0.2) -> tuple[int, ...]:
    """Numbers of the upper layers, at least one: what the small-machine preset adapts."""
    total = int(core(model).config.num_hidden_layers)
    return tuple(range(total - max(1, round(total * share)), total))


def trainable(model: Any) -> dict[str, Any]:
    """name -> parameter of all that is trained, in a fixed order."""
    return {name: value for name, value in sorted(model.named_parameters()) if value.requires_grad}


def after_step(model: Any, step: int) -> None:
    """What a variant does after each step: AdaLoRA moves rank to where it serves."""
    base = _peft(model).base_model
    if hasattr(base, "update_and_allocate"):
        base.update_and_allocate(step)


def penalty(model: Any) -> Any:
    """What a variant adds to a step's loss, or None: AdaLoRA keeps its factors orthogonal (its equation 4)."""
    import torch

    wrapped = _peft(model)
    if not hasattr(wrapped.base_model, "rankallocator"):
        return None
    factors = [
        value @ value.T if "lora_A" in name else value.T @ value
        for name, value in wrapped.named_parameters()
        if "lora_A" in name or "lora_B" in name
    ]
    parts = [torch.linalg.norm(square - torch.eye(len(square), device=square.device)) for square in factors]
    return wrapped.peft_config["default"].orth_reg_weight * sum(parts) / len(parts)


def more_state(model: Any) -> dict[str, Any]:
    """Tensors beside the weights that the rest of a run depends on: what AdaLoRA knows of importance."""
    import torch

    allocator = getattr(_peft(model).base_model, "rankallocator", None)
    if allocator is None:
        return {}
    state = {f"{book}/{name}": value for book in _BOOKS for name, value in getattr(allocator, book).items()}
    pattern = _peft(model).peft_config["default"].rank_pattern or {}
    return state | {f"rank_pattern/{name}": torch.tensor(kept) for name, kept in pattern.items()}


def take_more_state(model: Any, tensors: dict[str, Any]) -> None:
    """Puts back what `more_state` gave."""
    if not tensors:
        return
    wrapped = _peft(model)
    device = next(wrapped.parameters()).device
    for book in _BOOKS:
        found = {name: value.to(device) for name, value in _under(book, tensors).items()}
        setattr(wrapped.base_model.rankallocator, book, found)
    pattern = {name: value.tolist() for name, value in _under("rank_pattern", tensors).items()}
    wrapped.peft_config["default"].rank_pattern = pattern or None


def _under(book: str, tensors: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(f"{book}/"): value for name, value in tensors.items() if name.startswith(f"{book}/")}


def save(model: Any, folder: Path) -> None:
    """Writes the adapter: weights, config, and for a `Classifier` its head with the labels."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    classifier = model if isinstance(model, Classifier) else None
    wrapped = _peft(model)
    weights, config = _state(wrapped)
    if classifier is not None:
        for part, module in _own(classifier):
            weights |= {f"{part}.{name}": value for name, value in module.state_dict().items()}
        about: dict[str, Any] = {"labels": list(classifier.labels), "pooling": classifier.pooling}
        if classifier.reader is not None and classifier.reader.beside is not None:
            about["beside"] = classifier.reader.beside.name
        (folder / HEAD).write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    weights = {name: value.detach().to("cpu").contiguous() for name, value in sorted(weights.items())}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def pooling_of(folder: Path) -> tuple[str, str]:
    """How the classifier in a folder reads its texts, and the encoder that reads along; "" where there is none."""
    file = folder / HEAD
    about = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return str(about.get("pooling", "")), str(about.get("beside", ""))


def load(model: Any, folder: Path, *, train: bool = False) -> Any:
    """The bare model with the adapter of a folder that `save` wrote; `train` = to go on training it.

    Raises:
        BadInput: it does not fit this model.
    """
    from peft import get_peft_model, set_peft_model_state_dict
    from safetensors.torch import load_file

    weights = load_file(folder / WEIGHTS)
    if isinstance(model, Classifier):
        _check_labels(model.labels, folder)
    config = _read_config(folder / CONFIG, train=train)
    wrapped = get_peft_model(core(model), config)
    own = {name: weights.pop(name) for name in list(weights) if name.startswith(("head.", "reader."))}
    expected, _ = _state(wrapped)
    if {name: value.shape for name, value in expected.items()} != {n: v.shape for n, v in weights.items()}:
        raise BadInput(f"The adapter in {folder} does not fit this model.", hint="It was made for another base.")
    set_peft_model_state_dict(wrapped, weights)
    if isinstance(model, Classifier):
        model.net = wrapped
        for part, module in _own(model):
            state = {name.removeprefix(f"{part}."): own[name] for name in own if name.startswith(f"{part}.")}
            module.load_state_dict(state)
        model.head.requires_grad_(train)
        return model
    return wrapped


def _check_labels(labels: Sequence[str], folder: Path) -> None:
    file = folder / HEAD
    own = json.loads(file.read_text(encoding="utf-8"))["labels"] if file.is_file() else list(labels)
    if own != list(labels):
        raise BadInput(
            f"The adapter in {folder} tells {', '.join(own)} apart, not {', '.join(labels)}.",
            hint="Go on with records of the same classes, or train without --from.",
        )


def _own(model: Classifier) -> list[tuple[str, Any]]:
    """(name, module) of what a classifier keeps beside its LoRA."""
    return [("head", model.head), *([("reader", model.reader)] if model.reader is not None else [])]


def _config(net: Any, plan: LoraPlan) -> Any:
    from peft import AdaLoraConfig, LoraConfig

    shared: dict[str, Any] = {
        "lora_alpha": plan.scale,
        "target_modules": _targets(net, plan),
        "lora_dropout": plan.dropout,
        "task_type": "CAUSAL_LM" if net.get_output_embeddings() is not None else "FEATURE_EXTRACTION",
    }
    if plan.method == "adalora":
        steps = max(plan.steps, 10)
        return AdaLoraConfig(
            init_r=round(plan.rank * 1.5), target_r=plan.rank, total_step=steps, tinit=steps // 10,
            tfinal=steps // 3, deltaT=max(1, steps // 50), **shared,
        )  # fmt: skip
    return LoraConfig(r=plan.rank, use_rslora=plan.method == "rslora", use_dora=plan.method == "dora", **shared)


def _targets(net: Any, plan: LoraPlan) -> list[str]:
    """Names for PEFT and for the serving engine alike: short ones, or full ones where layers are chosen."""
    import torch
    from transformers.pytorch_utils import Conv1D

    head = net.get_output_embeddings()
    names = [
        name
        for name, module in net.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head and _LAYER.search(f".{name}.")
    ]
    if plan.targets:
        names = [name for name in names if name.rsplit(".", 1)[-1] in plan.targets]
    if plan.layers:
        names = [name for name in names if int(_LAYER.findall(f".{name}.")[0]) in plan.layers]
    if not names:
        raise BadInput(f"No layer of this model is called {', '.join(plan.targets) or 'linear'}.")
    return sorted(names if plan.layers else {name.rsplit(".", 1)[-1] for name in names})


def _peft(model: Any) -> Any:
    """The PEFT model inside whatever wraps it."""
    while not hasattr(model, "peft_config"):
        model = model.net if isinstance(model, Classifier) else model._module
    return model


def _state(wrapped: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(tensors, config) as an ordinary LoRA adapter."""
    from peft import get_peft_model_state_dict

    config = wrapped.peft_config["default"]
    if config.peft_type.value == "ADALORA":
        weights, config = _as_lora(wrapped)
    else:
        weights = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    about = config.to_dict()
    about["inference_mode"] = True
    about["base_model_name_or_path"] = core(wrapped).config._name_or_path
    return weights, {key: sorted(value) if isinstance(value, set) else value for key, value in about.items()}


def _as_lora(wrapped: Any) -> tuple[dict[str, Any], Any]:
    """AdaLoRA's P diag(E) Q as B A with alpha = rank: directions without weight are dropped."""
    import torch
    from peft import LoraConfig

    config = wrapped.peft_config["default"]
    layers = {name: each for name, each in wrapped.named_modules() if hasattr(each, "lora_E") and each.lora_E}
    kept = {name: (each.lora_E["default"].flatten() != 0).nonzero().flatten() for name, each in layers.items()}
    rank = max(1, *(len(places) for places in kept.values()))
    weights: dict[str, Any] = {}
    for name, each in layers.items():
        places, scale = kept[name], each.scaling["default"] / (float(each.ranknum["default"]) + 1e-5)
        a = (each.lora_A["default"] * each.lora_E["default"])[places].detach()
        b = each.lora_B["default"][:, places].detach() * scale
        weights[f"{name}.lora_A.weight"] = torch.nn.functional.pad(a, (0, 0, 0, rank - len(places)))
        weights[f"{name}.lora_B.weight"] = torch.nn.functional.pad(b, (0, rank - len(places)))
    plain = LoraConfig(r=rank, lora_alpha=rank, target_modules=config.target_modules, task_type=config.task_type)
    return weights, plain


def _read_config(path: Path, *, train: bool) -> Any:
    from peft import LoraConfig

    data = json.loads(path.read_text(encoding="utf-8"))
    if data.get("peft_type") != "LORA":
        raise BadInput(f"{path} is not of a LoRA adapter.")
    return LoraConfig(
        r=data["r"], lora_alpha=data["lora_alpha"], target_modules=data["target_modules"],
        use_rslora=data["use_rslora"], use_dora=data["use_dora"], rank_pattern=data["rank_pattern"],
        alpha_pattern=data["alpha_pattern"], task_type=data["task_type"], inference_mode=not train,
    )  # fmt: skip
