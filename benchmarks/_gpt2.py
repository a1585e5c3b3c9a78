"""A model of GPT-2's size with random weights, and a byte-level tokenizer for it."""

from pathlib import Path


def make(folder: Path) -> str:
    """Write the model to `folder`; it never ends a text by itself."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config())
    model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    # Ids beyond the bytes read as words of their own, so that every text the model makes can be compared.
    vocabulary = {token: i for i, token in enumerate(alphabet)}
    vocabulary |= {f"Ġw{i}": i for i in range(len(alphabet), 50257)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=1024).save_pretrained(folder)
    return str(folder)
