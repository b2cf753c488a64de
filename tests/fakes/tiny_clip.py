"""A CLIP with random weights, small enough to be made on the spot, as transformers saves one."""

from __future__ import annotations

from pathlib import Path

SPECIAL = ("<|startoftext|>", "<|endoftext|>")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def save_tiny_clip(folder: Path, seed: int = 0) -> Path:
    """Write the weights and the tokenizer into a folder."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), *SPECIAL]
    tokenizer = CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[])
    ends = {"bos_token_id": words.index(SPECIAL[0]), "eos_token_id": words.index(SPECIAL[1])}
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(seed)
    config = CLIPConfig(
        text_config={**small, **ends, "vocab_size": len(words), "max_position_embeddings": 40},
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )  # fmt: skip
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
