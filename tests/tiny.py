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
BERT_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
GOOD, BAD = ("good", "lovely", "fine"), ("bad", "awful", "dull")
FILLER = tuple("a quiet the film was it story and in two hours gone actor scene".split())
WORDS = f"{' '.join((*GOOD, *BAD, *FILLER))} this example is about sports politics music . , This"
NLI = ("ENTAILMENT", "neutral", "contradiction")
EMOTIONS = ("joy", "anger", "fear", "surprise")


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

    def classifier(self) -> Path:
        """A BERT that was trained to tell good films from bad ones (`pos`, `neg`) by one word; takes 64 tokens."""
        return self._make("classifier", self._classifier)

    def answerer(self) -> Path:
        """A BERT that was trained to find the good word for the question `sports`, the bad one for `politics`, each
        where there is one; takes 64 tokens."""
        return self._make("answerer", self._answerer)

    def spans(self, kind: str, **special: Any) -> Path:
        """Random weights that differ a lot between texts, and a head that finds spans."""
        name = "-".join(["spans", kind, *special])
        return self._make(name, lambda folder: self._spans(folder, kind, special))

    def nli(self) -> Path:
        """Random weights that differ a lot between texts, and the labels of natural language inference."""
        return self._make("nli", lambda folder: self._head(folder, "bert", NLI))

    def several(self) -> Path:
        """The same, for several labels at once."""
        return self._make(
            "several", lambda folder: self._head(folder, "bert", EMOTIONS, problem_type="multi_label_classification")
        )

    def number(self) -> Path:
        """The same, with a number for an output."""
        return self._make("number", lambda folder: self._head(folder, "bert", ("LABEL_0",), problem_type="regression"))

    def head(self, kind: str, **special: Any) -> Path:
        """A classifier of three labels on a body of that kind, without a pad token for decoders unless one is given."""
        name = "-".join(["head", kind, *special]) + "".join(map(str, special.values())).strip("</>")
        return self._make(name, lambda folder: self._head(folder, kind, ("a", "b", "c"), special=special))

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

    def _words(self, **special: Any) -> Any:
        """A word is a token, as in a BERT; pairs have token types."""
        from tokenizers import Tokenizer, models, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        vocabulary = {word: i for i, word in enumerate([*BERT_TOKENS, *dict.fromkeys(WORDS.split())])}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        ends = [("[SEP]", 3), ("[CLS]", 2)]
        tokenizer.post_processor = processors.BertProcessing(*ends)
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
            model_input_names=["input_ids", "token_type_ids", "attention_mask"], model_max_length=64, **special,
        )  # fmt: skip

    def _classifier(self, folder: Path) -> None:
        import torch
        from transformers import BertConfig, BertForSequenceClassification

        tokenizer = self._words()
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=64, id2label={0: "neg", 1: "pos"}, label2id={"neg": 0, "pos": 1},
        )  # fmt: skip
        model = BertForSequenceClassification(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        filler = [tokenizer.convert_tokens_to_ids(word) for word in FILLER]
        for _ in range(120):
            ids = torch.tensor(filler)[torch.randint(len(filler), (32, int(torch.randint(3, 60, ()))))]
            labels = torch.randint(2, (32,))
            words = torch.tensor([tokenizer.convert_tokens_to_ids(list(words)) for words in (BAD, GOOD)])
            ids[torch.arange(32), torch.randint(ids.shape[1], (32,))] = words[labels, torch.randint(3, (32,))]
            rows = torch.cat([torch.full((32, 1), 2), ids, torch.full((32, 1), 3)], 1)
            model(input_ids=rows, labels=labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    def _answerer(self, folder: Path) -> None:
        import torch
        from transformers import BertConfig, BertForQuestionAnswering

        tokenizer = self._words()
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            initializer_range=0.1,
        )  # fmt: skip
        model = BertForQuestionAnswering(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        number = tokenizer.convert_tokens_to_ids
        filler, kinds = torch.tensor(number(list(FILLER))), torch.tensor([number(list(GOOD)), number(list(BAD))])
        asked = torch.tensor(number(["sports", "politics"]))
        for step in range(220):
            length = int(torch.randint(8, 16 if step < 140 else 58, ()))
            ids = filler[torch.randint(len(filler), (32, length))]
            places = torch.rand(32, length).argsort(1)[:, :2]
            for kind in (0, 1):
                there = torch.rand(32) < 0.75
                ids[torch.arange(32)[there], places[there, kind]] = kinds[kind, torch.randint(3, (int(there.sum()),))]
            question = torch.randint(2, (32,))
            hit = (ids[:, :, None] == kinds[question][:, None]).any(2)
            right = torch.where(hit.any(1), hit.int().argmax(1) + 3, 0)
            one = torch.ones(32, 1, dtype=torch.long)
            rows = torch.cat([2 * one, asked[question, None], 3 * one, ids, 3 * one], 1)
            types = torch.cat([torch.zeros(32, 3, dtype=torch.long), torch.ones(32, length + 1, dtype=torch.long)], 1)
            loss = model(input_ids=rows, token_type_ids=types, start_positions=right, end_positions=right).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    def _spans(self, folder: Path, kind: str, special: Any) -> None:
        import transformers

        byte = kind in ("gpt2", "roberta")
        tokenizer = self._tokenizer(model_max_length=64, **special) if byte else self._words(**special)
        sizes = {"d_inner": 64, "d_head": 16} if kind == "xlnet" else {"intermediate_size": 64}
        sizes |= {} if kind == "xlnet" else {"max_position_embeddings": 66}
        config = transformers.AutoConfig.for_model(
            kind, vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            initializer_range=0.3, **sizes,
        )  # fmt: skip
        transformers.AutoModelForQuestionAnswering.from_config(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    def _head(self, folder: Path, kind: str, labels: Any, special: Any = None, **entries: Any) -> None:
        import transformers

        decoder = kind in ("gpt2", "llama")
        tokenizer = self._tokenizer(model_max_length=64, **special) if decoder else self._words(**(special or {}))
        entries |= (
            {"d_inner": 64, "d_head": 16}
            if kind == "xlnet"
            else {"intermediate_size": 64, "max_position_embeddings": 64}
        )
        config = transformers.AutoConfig.for_model(
            kind, vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            initializer_range=0.3, id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)}, **entries,
        )  # fmt: skip
        if decoder and "pad_token" not in (special or {}):
            config.pad_token_id = None
        transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    def _bert(self, folder: Path) -> None:
        from transformers import BertConfig, BertForSequenceClassification

        tokenizer = self._tokenizer(pad_token="</s>")
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2
        )
        BertForSequenceClassification(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
