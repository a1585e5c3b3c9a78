"""A BERT of MiniLM's size with random weights, and made-up sentences for it."""

import csv
import random
from pathlib import Path

WORDS = "the film was a slow quiet story of two people who never meet again in town"
MADE_UP = {"short": (19.5, 0.45, 60), "long": (230, 0.65, 1200)}  # words: geometric mean, spread, most


def made_up(path: Path, kind: str, records: int, seed: int) -> None:
    typical, spread, most = MADE_UP[kind]
    rng = random.Random(seed)
    words = WORDS.split()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(records):
            count = min(most, max(2, round(typical * rng.lognormvariate(0, spread) * (1 if kind == "long" else 0.95))))
            writer.writerow([" ".join(rng.choices(words, k=count)), ("neg", "pos")[number % 2]])


def mini(folder: Path) -> str:
    """A BERT of MiniLM's size with random weights."""
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = {word: i for i, word in enumerate([*special, *dict.fromkeys(WORDS.split())])}
    tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **names).save_pretrained(
        folder
    )
    shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    transformers.BertForSequenceClassification(transformers.BertConfig(**shape)).save_pretrained(folder)
    return str(folder)
