"""A LoRA adapter read from its folder and judged before it touches the model.

Only `adapter_config.json` and `adapter_model.safetensors` are read, and of the config only the
fields below: PEFT's own loader would fall back to a pickle, and some of its fields name Python
modules to import. What can change the base model itself (biases, whole modules, token rows) is
refused, so that the base without adapter is always exactly the base.

Source: Hu et al., LoRA (arXiv:2106.09685); PEFT `LoraConfig`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.errors import AdapterUnsupported

MAX_RANK = 512
_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_BASE = "__base__"
"""PEFT's name for a row of a batch without an adapter."""
_CHANGES_BASE = ("modules_to_save", "trainable_token_indices", "layer_replication", "target_parameters")


@dataclass(frozen=True, slots=True)
class LoraSpec:
    """The part of a PEFT LoRA config that is honoured."""

    rank: int
    alpha: float
    targets: tuple[str, ...]
    base: str = ""
    rslora: bool = False
    dora: bool = False
    rank_pattern: tuple[tuple[str, int], ...] = ()
    alpha_pattern: tuple[tuple[str, float], ...] = ()


def read_spec(path: Path) -> LoraSpec:
    """The adapter's shape.

    Raises:
        AdapterUnsupported: not a LoRA adapter in safetensors, or one that would change the base.
    """
    if not (path / _WEIGHTS).is_file():
        raise AdapterUnsupported(
            f"{path} holds no {_WEIGHTS}.", hint="Pickled adapters (.bin) are never read; save it as safetensors."
        )
    try:
        data = json.loads((path / _CONFIG).read_text(encoding="utf-8"))
        spec = _spec_of(data)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise AdapterUnsupported(f"{path / _CONFIG} is not the config of a LoRA adapter: {error!r}.") from error
    if data.get("peft_type") != "LORA":
        raise AdapterUnsupported(f"{path} is a {data.get('peft_type')} adapter; only LORA is hosted.")
    changing = [key for key in _CHANGES_BASE if data.get(key)]
    if data.get("bias", "none") != "none":
        changing.append("bias")
    if data.get("megatron_config"):
        changing.append("megatron_config")
    if changing:
        raise AdapterUnsupported(f"{path} uses {', '.join(changing)}, which would change the base model.")
    return spec


def _spec_of(data: dict[str, Any]) -> LoraSpec:
    rank = data["r"]
    if not isinstance(rank, int) or not 1 <= rank <= MAX_RANK:
        raise ValueError(f"rank {rank!r} is not between 1 and {MAX_RANK}")
    targets = data["target_modules"]
    if not isinstance(targets, list) or not targets or not all(isinstance(name, str) for name in targets):
        raise ValueError("target_modules is not a list of names")
    return LoraSpec(
        rank=rank,
        alpha=float(data["lora_alpha"]),
        targets=tuple(sorted(targets)),
        base=str(data.get("base_model_name_or_path") or ""),
        rslora=bool(data.get("use_rslora", False)),
        dora=bool(data.get("use_dora", False)),
        rank_pattern=tuple(sorted((str(k), int(v)) for k, v in (data.get("rank_pattern") or {}).items())),
        alpha_pattern=tuple(sorted((str(k), float(v)) for k, v in (data.get("alpha_pattern") or {}).items())),
    )


def check_base(spec: LoraSpec, known: tuple[str, ...], *, model: str) -> None:
    """Refuses an adapter made for another base. `known` are the names this base goes by.

    Raises:
        AdapterUnsupported: names both.
    """
    named = spec.base.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].lower()
    if named and named not in {name.rsplit("/", 1)[-1].lower() for name in known}:
        raise AdapterUnsupported(
            f"The adapter was made for {spec.base!r}, and the model here is {model!r}.",
            hint="Load that model, or train the adapter again on this one.",
        )


def read_weights(path: Path) -> dict[str, Any]:
    """The adapter's tensors by PEFT's names, on the CPU; every number finite.

    Raises:
        AdapterUnsupported: unreadable, or with numbers that are not finite.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights: dict[str, torch.Tensor] = load_file(path / _WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise AdapterUnsupported(f"{path / _WEIGHTS} cannot be read: {error}.") from error
    broken = [name for name, tensor in weights.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise AdapterUnsupported(f"{path} holds numbers that are not finite ({broken[0]}).")
    return weights


def check_shapes(weights: dict[str, Any], expected: dict[str, tuple[int, ...]]) -> None:
    """Refuses tensors that do not fit: every expected one must be there with its shape, no other.

    Raises:
        AdapterUnsupported: names the first that does not fit.
    """
    if not expected:
        raise AdapterUnsupported("The adapter targets no layer of this model.")
    for name in sorted(expected.keys() | weights.keys()):
        want = expected.get(name)
        have = tuple(weights[name].shape) if name in weights else None
        if want != have:
            raise AdapterUnsupported(
                f"The adapter does not fit the model at {name}: the model wants {want or 'nothing'}, "
                f"the adapter has {have or 'nothing'}.",
                hint="It was made for another model or with another rank than its config says.",
            )


class AdapterHost:
    """The LoRA adapters attached to one network, one of them active at a time, or one for each row of a batch.

    Attaching changes the network's linear layers in place; with none active each of them computes
    exactly what it did before. Not thread-safe: the engine calls it while it holds its lock.
    """

    def __init__(self, net: Any) -> None:
        self._net = net
        self._peft: Any = None
        self._slots: dict[str, str] = {}  # our name -> PEFT's, which may hold no dots
        self._made = 0
        self._active: str | None = None
        self._dora: set[str] = set()

    @property
    def unmixable(self) -> frozenset[str]:
        """Names of the adapters that PEFT cannot compute in a batch with others."""
        return frozenset(self._dora)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the attached adapters, sorted."""
        return tuple(sorted(self._slots))

    def attach(self, name: str, spec: LoraSpec, weights: dict[str, Any]) -> None:
        """Adds an adapter, or replaces the one of this name.

        Raises:
            AdapterUnsupported: it does not fit; what was attached before still is.
        """
        from peft import get_peft_model_state_dict, set_peft_model_state_dict

        self._made += 1
        slot = f"adapter{self._made}"
        try:
            self._inject(slot, spec)
            shapes = get_peft_model_state_dict(self._peft, adapter_name=slot, save_embedding_layers=False)
            check_shapes(weights, {key: tuple(tensor.shape) for key, tensor in shapes.items()})
            set_peft_model_state_dict(self._peft, weights, adapter_name=slot)
        except Exception as error:
            self._drop(slot)
            if isinstance(error, ValueError):  # PEFT: no such target module, or of a kind without LoRA
                raise AdapterUnsupported(f"The adapter {name!r} does not fit the model: {error}") from error
            raise
        old = self._slots.get(name)
        self._slots[name] = slot
        self._dora.discard(name)
        if spec.dora:
            self._dora.add(name)
        if old is not None:
            self._drop(old)

    def detach(self, name: str) -> None:
        """Takes an adapter off the network."""
        self._drop(self._slots.pop(name))
        self._dora.discard(name)

    def merged(self, name: str) -> Any:
        """The network with this adapter's change in its weights; the host is of no use after. Raises ValueError."""
        return self._peft.base_model.merge_and_unload(safe_merge=True, adapter_names=[self._slots[name]])

    def activate(self, name: str | None) -> None:
        """From here on the network computes with this adapter, or as the bare base (None)."""
        slot = None if name is None else self._slots[name]
        if self._peft is None or slot == self._active:
            return
        if slot is None:
            self._peft.base_model.disable_adapter_layers()
        else:
            self._peft.base_model.enable_adapter_layers()
            self._peft.base_model.set_adapter(slot, inference_mode=True)
        self._active = slot

    @contextlib.contextmanager
    def rows(self, names: Sequence[str | None]) -> Iterator[None]:
        """Within it row i of a batch is computed with the adapter `names[i]`, or as the bare base (None).

        PEFT's own way (`adapter_names=` of the network's call) leaves its hooks behind where a step fails, and the
        next step would be computed under the adapters of this one.
        """
        if len(set(names)) == 1:
            self.activate(names[0])
            yield
            return
        from peft.tuners.lora import LoraLayer

        given = {"adapter_names": [_BASE if name is None else self._slots[name] for name in names]}
        if self._active != _BASE:
            self._peft.base_model.enable_adapter_layers()
            self._active = _BASE
        layers = [layer for layer in self._net.modules() if isinstance(layer, LoraLayer)]
        hooks = [
            layer.register_forward_pre_hook(lambda _, args, kwargs: (args, {**kwargs, **given}), with_kwargs=True)
            for layer in layers
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _inject(self, slot: str, spec: LoraSpec) -> None:
        from peft import LoraConfig, PeftModel

        config = LoraConfig(
            r=spec.rank,
            lora_alpha=spec.alpha,
            target_modules=list(spec.targets),
            use_rslora=spec.rslora,
            use_dora=spec.dora,
            rank_pattern=dict(spec.rank_pattern),
            alpha_pattern=dict(spec.alpha_pattern),
            task_type="CAUSAL_LM",
            inference_mode=True,
        )
        if self._peft is None:
            self._peft = PeftModel(self._net, config, adapter_name=slot, autocast_adapter_dtype=False)
        else:
            self._peft.add_adapter(slot, config, autocast_adapter_dtype=False)
        self._peft.base_model.disable_adapter_layers()
        self._active = None

    def _drop(self, slot: str) -> None:
        if self._peft is None:
            return
        self._peft.base_model.disable_adapter_layers()
        self._active = None
        if slot in self._peft.peft_config:
            self._peft.delete_adapter(slot)
