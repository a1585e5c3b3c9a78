"""Tiny models of several architectures, built from a config, with tokenizers that set traps."""

from pathlib import Path
from typing import Any

TEXT = (
    "the small fox ran over the old hill and saw a bear who sang to the moon , then it went home . "
    "a girl and a boy found the red kite near the river ; they said hello to the fox and gave it bread . "
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


class Models:
    """Folders with tiny models, each made once a run."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def gpt2(self) -> Path:
        """Random weights; the tokenizer says `right` and has no pad token, as GPT-2's own."""
        return self._make("gpt2", self._gpt2)

    def llama(self) -> Path:
        """Random weights; pads on the right with the end token."""
        return self._make("llama", self._llama)

    def chat(self) -> Path:
        """A Llama with a chat template."""
        return self._make("chat", self._chat)

    def t5(self) -> Path:
        """An encoder-decoder."""
        return self._make("t5", self._t5)

    def bert(self) -> Path:
        """A classifier: it cannot generate."""
        return self._make("bert", self._bert)

    def _make(self, name: str, build: Any) -> Path:
        folder = self.root / name
        if not folder.exists():
            import torch

            torch.manual_seed(0)
            build(folder)
        return folder

    def _tokenizer(self, **special: Any) -> Any:
        """Byte-level BPE over a few sentences; `</s>` ends a text."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        from transformers import PreTrainedTokenizerFast

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        roles = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=["</s>", *roles], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        )
        tokenizer.train_from_iterator([TEXT], trainer)
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, eos_token="</s>", additional_special_tokens=roles, **special
        )

    def _gpt2(self, folder: Path) -> None:
        from transformers import GPT2Config, GPT2LMHeadModel

        tokenizer = self._tokenizer(padding_side="right", model_max_length=128)
        config = GPT2Config(
            vocab_size=len(tokenizer), n_embd=64, n_layer=2, n_head=4, n_positions=128, eos_token_id=0, bos_token_id=0
        )
        GPT2LMHeadModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    def _llama(self, folder: Path, template: str | None = None) -> None:
        from transformers import LlamaConfig, LlamaForCausalLM

        tokenizer = self._tokenizer(padding_side="right", pad_token="</s>")
        if template:
            tokenizer.chat_template = template
        config = LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=256, eos_token_id=0, bos_token_id=0, pad_token_id=0,
        )  # fmt: skip
        LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    def _chat(self, folder: Path) -> None:
        self._llama(folder, CHAT_TEMPLATE)

    def _t5(self, folder: Path) -> None:
        from transformers import T5Config, T5ForConditionalGeneration

        tokenizer = self._tokenizer(pad_token="</s>", model_max_length=64)
        config = T5Config(
            vocab_size=len(tokenizer), d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, eos_token_id=0,
            pad_token_id=0, decoder_start_token_id=0,
        )  # fmt: skip
        T5ForConditionalGeneration(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    def _bert(self, folder: Path) -> None:
        from transformers import BertConfig, BertForSequenceClassification

        tokenizer = self._tokenizer(pad_token="</s>")
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2
        )
        BertForSequenceClassification(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
