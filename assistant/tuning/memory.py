"""Whether a training step fits the memory, and what is done where it does not: activations are computed twice.

With checkpointing a layer keeps only what went into it and is run again on the way back: about a third more work for a
fraction of the memory, and the same gradients. It is not used in private runs, whose hooks would count twice.

Source: Chen et al. 2016 (arXiv:1604.06174), by transformers' own implementation.
"""

from __future__ import annotations

from typing import Any

from assistant.tuning import networks

SHARE = 0.6
"""Of the free memory so much may go to activations."""
_WIDTHS, _INNER = 18, 6
"""Numbers that a layer keeps for a token, in widths of the model and of its feed-forward part.

Of a Llama layer with LoRA on all its matrices: what went into norms, matrices and adapters, queries, keys, values, what
the gate and its product gave.
"""


def needed(model: Any, tokens: int, bytes_per_number: int) -> int:
    """Bytes that a forward pass over so many tokens keeps for the backward pass: an estimate, rather high."""
    config = networks.core(model).config
    width = int(config.hidden_size)
    inner = int(getattr(config, "intermediate_size", None) or 4 * width)
    layers = int(config.num_hidden_layers)
    return tokens * layers * (_WIDTHS * width + _INNER * inner) * bytes_per_number


def free(device: Any) -> int:
    """Bytes of memory that are free where the model is."""
    import psutil
    import torch

    if str(device).startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def economise(model: Any) -> bool:
    """Makes each layer compute its activations twice; False where the model cannot."""
    net = networks.core(model)
    if not getattr(net, "supports_gradient_checkpointing", False):
        return False
    net.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    return True


def spend(model: Any) -> None:
    """Ends what `economise` began."""
    networks.core(model).activation_checkpointing_disable()
