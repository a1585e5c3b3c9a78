"""bleu, chrf, chrf++ and ter against sacrebleu's corpus scores, and against the numbers of the original tools."""

import gzip
import json
import random
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import sacrebleu

from hfcli import metrics
from hfcli.errors import DataError, ModelError, UsageError
from hfcli.metrics import resampling, results, translation
from hfcli.metrics.translation import (
    BLEU,
    CHRF,
    SMOOTHING,
    TER,
    BleuOptions,
    ChrfOptions,
    TerOptions,
)

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")

SACREBLEU = {BleuOptions: sacrebleu.BLEU, ChrfOptions: sacrebleu.CHRF, TerOptions: sacrebleu.TER}
FAMILIES = {BleuOptions: BLEU, ChrfOptions: CHRF, TerOptions: TER}
NAMES = {BleuOptions: "bleu", ChrfOptions: "chrf", TerOptions: "ter"}

ALL_OPTIONS = [
    *(BleuOptions(tokenize=each) for each in ("13a", "intl", "char", "zh", "none")),
    *(BleuOptions(smooth_method=each, effective_order=order) for each in SMOOTHING for order in (False, True)),
    BleuOptions(smooth_method="floor", smooth_value=0.5),
    BleuOptions(smooth_method="floor", smooth_value=0.0),
    BleuOptions(smooth_method="add-k", smooth_value=2.5),
    BleuOptions(smooth_method="add-k", smooth_value=0.0, effective_order=True),
    BleuOptions(max_ngram_order=1, lowercase=True),
    BleuOptions(max_ngram_order=9, smooth_method="floor", effective_order=True),
    ChrfOptions(),
    ChrfOptions(word_order=2),
    ChrfOptions(eps_smoothing=True),
    ChrfOptions(eps_smoothing=True, word_order=2, beta=1, lowercase=True),
    ChrfOptions(char_order=1, word_order=1, beta=0),
    ChrfOptions(char_order=9, beta=3, whitespace=True),
    TerOptions(),
    TerOptions(normalized=True),
    TerOptions(no_punct=True, case_sensitive=True),
    TerOptions(normalized=True, no_punct=True, asian_support=True),
]
every_option = pytest.mark.parametrize("options", ALL_OPTIONS, ids=repr)

WORDS = [
    "the",
    "The",
    "a",
    "cat",
    "cat",
    "sat.",
    "on",
    "mat,",
    "3.5",
    "1,000-2",
    "&quot;",
    "it's",
    "(x)",
    "über",
    "猫",
    "が、",
    "\u3000",
    "\udcff",
    "🙂",
    ".",
    " .",
    "<skipped>",
    "x-",
    "\t",
    "e\u0301",
]


def texts(seed, n=12, most_references=3):
    """Texts that are somewhat like their references, of which some have more than others; some texts are empty."""
    rng = random.Random(seed)
    predictions, references = [], []
    for _ in range(n):
        words = rng.choices(WORDS, k=rng.choice([0, 1, 2, 5, 9]))
        several = []
        for _ in range(rng.randint(1, most_references)):
            other = [word for word in words if rng.random() < 0.8] + rng.choices(WORDS, k=rng.choice([0, 0, 1, 3]))
            if rng.random() < 0.3:
                rng.shuffle(other)
            several.append(" ".join(other))
        predictions.append(" ".join(words) + rng.choice(["", "", "  ", "\n"]))
        references.append(several)
    return predictions, references


def sums(statistics, options):
    family = FAMILIES[type(options)]
    kinds = family.kinds(statistics, options)
    return kinds.sample(np.ones((1, len(statistics))))


def score(predictions, references, options):
    """The corpus score."""
    statistics = FAMILIES[type(options)].reduce(predictions, references, options)
    return metrics.get(NAMES[type(options)]).function(sums(statistics, options))[0]


def expected(predictions, references, options):
    """sacrebleu's corpus score."""
    most = max(map(len, references))
    streams = [[several[at] if at < len(several) else None for several in references] for at in range(most)]
    # It looks at the types of the first record's references only, which must not be None.
    return SACREBLEU[type(options)](**asdict(options)).corpus_score(predictions, streams).score


@every_option
@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_sacrebleu(options, seed):
    predictions, references = texts(seed)
    assert score(predictions, references, options) == pytest.approx(
        expected(predictions, references, options), abs=1e-9
    )


@every_option
def test_a_single_record_scores_as_with_sacrebleu(options):
    """Where most n-grams are missing, so that every way of smoothing has something to do."""
    for prediction, several in zip(*texts(7, n=40), strict=True):
        found = score([prediction], [several], options)
        assert found == pytest.approx(expected([prediction], [several], options), abs=1e-9), (prediction, several)


@every_option
def test_statistics_of_parts_are_those_of_the_whole(options):
    family, (predictions, references) = FAMILIES[type(options)], texts(1, n=9)
    whole = family.reduce(predictions, references, options)
    parts = [family.reduce(predictions[at : at + 2], references[at : at + 2], options) for at in range(0, 11, 2)]
    assert len(whole) == 9
    for name, column in whole.columns.items():
        joined = np.concatenate([part.columns[name] for part in parts])  # the last of which has no records
        assert joined.dtype == column.dtype
        np.testing.assert_array_equal(joined, column)


def test_counts_of_bleu_are_those_that_sacrebleu_extracts_over_several_pieces(monkeypatch):
    monkeypatch.setattr("hfcli.metrics.ngrams.PIECE", 7)
    predictions, references = texts(3, n=40, most_references=1)
    options = BleuOptions(max_ngram_order=6)
    extracted = sacrebleu.BLEU(**asdict(options))._extract_corpus_statistics(
        predictions, list(zip(*references, strict=True))
    )
    assert BLEU.reduce(predictions, references, options).columns["counts"].tolist() == extracted


@pytest.mark.parametrize("options", [BleuOptions(), ChrfOptions(word_order=2), TerOptions()], ids=repr)
def test_a_resample_scores_as_its_records_written_out(options):
    family, (predictions, references) = FAMILIES[type(options)], texts(5, n=20)
    kinds = family.kinds(family.reduce(predictions, references, options), options)
    drawn = np.random.default_rng(0).integers(20, size=(8, 20))
    weights = np.stack([np.bincount(row, minlength=20) for row in drawn]).astype(float)
    written_out = [expected([predictions[at] for at in row], [references[at] for at in row], options) for row in drawn]
    np.testing.assert_allclose(
        metrics.get(NAMES[type(options)]).function(kinds.sample(weights)), written_out, atol=1e-9
    )


def test_13a_cuts_texts_with_tabs_for_spaces_as_it_does_with_spaces():
    """Which takes half the time."""
    rng, tokenizer = random.Random(0), sacrebleu.BLEU().tokenizer
    for _ in range(3000):
        text = "".join(rng.choices(".,-- 0a\t\n&;\"'(/é\u00a0\u2003", k=rng.randrange(12)))
        assert tokenizer(text.replace(" ", "\t")) == tokenizer(text)


@pytest.mark.parametrize(
    "options", [BleuOptions(), ChrfOptions(), ChrfOptions(eps_smoothing=True), TerOptions()], ids=repr
)
def test_empty_texts(options):
    """Nothing where there should be nothing has no n-grams, which scores 0, and no edits."""
    worst = 100.0 if options == TerOptions() else 0.0
    assert score([""], [["ab cd ef gh"]], options) == pytest.approx(worst)
    assert score(["ab cd ef gh"], [[""]], options) == pytest.approx(worst)
    assert score([""], [[""]], options) == pytest.approx(0)
    assert score(["ab cd ef gh", ""], [["ab cd ef gh"], [""]], options) == pytest.approx(100 - worst)
    with pytest.raises(DataError, match="'a b' has no reference"):
        FAMILIES[type(options)].reduce(["a", "a b"], [["a"], []], options)


def test_an_empty_reference_is_one():
    """Unlike none at all: its length of 0 is the one nearest to a text of one word, beside another of three."""
    found = BLEU.reduce(["x"], [["a b c", ""]], BleuOptions()).columns["counts"]
    assert found[0, :2].tolist() == [1, 0]


@every_option
def test_signatures_are_those_of_sacrebleu(options):
    scorer = SACREBLEU[type(options)](**asdict(options))
    scorer.corpus_score(["a"], [["a"]])
    signed = FAMILIES[type(options)].signed(options)
    said = str(scorer.get_signature()).removeprefix("nrefs:1|").split("|")
    assert list(signed[: len(said)]) == said
    more = [part.partition(":")[0] for part in signed[len(said) :]]
    defaults = {"beta": 2, "max_ngram_order": 4}
    assert more == [name for name, value in defaults.items() if getattr(options, name, value) != value]


def test_signatures_differ_where_scores_do():
    assert BLEU.signed(BleuOptions())[:4] == ("case:mixed", "eff:no", "tok:13a", "smooth:exp")
    assert CHRF.signed(ChrfOptions())[2:5] == ("nc:6", "nw:0", "space:no")
    assert TER.signed(TerOptions())[:5] == ("case:lc", "tok:tercom", "norm:no", "punct:yes", "asian:no")
    small = [BLEU.signed(BleuOptions(smooth_method="floor", smooth_value=each)) for each in (0.001, 0.002)]
    assert small[0] != small[1]
    assert small[0][-1] == "smooth_value:0.001"
    assert (
        len({FAMILIES[type(options)].signed(options) for options in set(ALL_OPTIONS)}) == len(ALL_OPTIONS) - 1
    )  # exp is 13a


def test_texts_are_not_kept():
    BLEU.reduce(["a", "b"], [["a"], ["c"]], BleuOptions())
    TER.reduce(["a", "b"], [["a"], ["c"]], TerOptions())
    bleu, ter = sacrebleu.BLEU().tokenizer, sacrebleu.TER().tokenizer
    for each in (bleu, bleu._post_tokenizer, ter):
        assert type(each).__call__.cache_info().currsize == 0


@pytest.mark.parametrize(
    ("name", "said", "message", "hint"),
    [
        (
            "bleu",
            {"tokenize": "14a"},
            "tokenize is 14a; it may be none, zh, 13a, intl, char",
            "did you mean 13a?",
        ),
        (
            "bleu",
            {"smooth_method": "flor"},
            "smooth_method is flor; it may be exp, floor, add-k, none",
            "did you mean floor?",
        ),
        ("bleu", {"smooth_value": "0.1"}, "smooth_value is for floor and add-k; smooth_method is exp", None),
        (
            "bleu",
            {"smooth_method": "floor", "smooth_value": "-1"},
            "smooth_value is -1; it must be a number from 0 up",
            None,
        ),
        ("bleu", {"smooth_method": "floor", "smooth_value": "nan"}, "smooth_value is nan", None),
        ("bleu", {"max_ngram_order": "0"}, "max_ngram_order is 0; it must be a number from 1 up", None),
        ("chrf", {"char_order": "0"}, "char_order is 0; it must be a number from 1 up", None),
        ("chrf", {"word_order": "-1"}, "word_order is -1; it must be a number from 0 up", None),
        ("chrf", {"beta": "-1"}, "beta is -1; it must be a number from 0 up", None),
    ],
)
def test_options_that_cannot_be(name, said, message, hint):
    with pytest.raises(UsageError) as raised:
        metrics.options(metrics.get(name).families[0], said, name)
    assert raised.value.message.startswith(message)
    assert raised.value.hint == hint


def test_smoothing_has_the_values_of_sacrebleu():
    assert SMOOTHING == sacrebleu.BLEU.SMOOTH_DEFAULTS


@pytest.mark.parametrize(
    ("tokenize", "module", "hint"),
    [("ja-mecab", "ja_mecab", "'sacrebleu[ja]'"), ("ko-mecab", "ko_mecab", "'sacrebleu[ko]'")],
)
def test_tokenizers_whose_packages_are_missing(tokenize, module, hint, monkeypatch):
    monkeypatch.setattr(f"sacrebleu.tokenizers.tokenizer_{module}.MeCab", None)
    with pytest.raises(ModelError, match=f"the tokenizer {tokenize} needs packages") as raised:
        BLEU.signed(BleuOptions(tokenize=tokenize))
    assert raised.value.hint == f"pip install {hint}"


@pytest.mark.parametrize("there", [False, True])
def test_tokenizers_whose_model_is_missing(there, monkeypatch):
    """sentencepiece is not installed, or is and the model cannot be fetched."""

    class Package:
        SentencePieceProcessor = object

    def refuse(*_):
        raise OSError("no network")

    monkeypatch.setitem(sys.modules, "sentencepiece", Package if there else None)
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_spm.SACREBLEU_DIR", "/nowhere")
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_spm.download_file", refuse)
    with pytest.raises(ModelError) as raised:
        BLEU.signed(BleuOptions(tokenize="flores200"))
    if there:
        assert raised.value.message.endswith("could not be fetched or read: no network")
        assert "sacrebleu --tokenize flores200" in raised.value.hint
    else:
        assert raised.value.hint == "pip install sentencepiece"


def test_chrf_with_words_has_a_name_of_its_own():
    asked = metrics.asked("chrf++:beta=1,word_order=5")
    (metric,) = asked.metrics
    options = metrics.options(metric.families[0], asked.options, "chrf++")
    assert (metric.title, options) == ("chrf++", ChrfOptions(beta=1, word_order=2))
    assert metric.function is metrics.get("chrf").function
    assert metrics.asked("chrf").metrics[0].title == "chrf"


def test_results_with_words_survive_a_file():
    (metric,), options = metrics.asked("chrf++").metrics, ChrfOptions(word_order=2)
    statistics = CHRF.reduce(*texts(2), options)
    part = results.Part(CHRF, options, (metric,), statistics, "|".join(CHRF.signed(options)))
    found = results.scored([part], results.Drawing(resamples=10))
    result = results.Result("system", "", [part], found, [])
    back = results.from_json(json.loads(json.dumps(results.to_json(result))), "a file")
    assert back.scores[0].metric.title == "chrf++"
    assert results.scored(back.parts, results.Drawing(resamples=10)) == found
    assert result.signature(found[0]).startswith("chrf++|case:mixed|eff:yes|nc:6|nw:2|space:no|version:")


def shared(path):
    return json.loads((SHARED / path).read_text(encoding="utf-8"))


def across(streams):
    """A list for each reference of every record, to a list of references for each record."""
    return [list(several) for several in zip(*streams, strict=True)]


@needs_shared
def test_cases_of_bleu_of_sacrebleu():
    cases = shared("mt/sacrebleu_unit_cases.json")
    bleu = cases["bleu"]
    raw = BleuOptions(tokenize="none", smooth_method="floor", effective_order=True)
    for predictions, streams, value in bleu["test_raw_bleu_cases"] + bleu["test_case_effective_order"]:
        found = score(predictions, across(streams), replace(raw, smooth_value=0.01))
        assert found / 100 == pytest.approx(value, abs=1e-8), predictions
    for predictions, streams, value, without in bleu["test_case_offset"]:
        assert score(predictions, across(streams), raw) / 100 == pytest.approx(value, abs=1e-8)
        assert score(predictions, across(streams), replace(raw, smooth_value=0.0)) == without
    for predictions, streams, given, value in bleu["test_corpus_bleu_cases"]:
        assert score(predictions, across(streams), BleuOptions(**given)) == pytest.approx(value, abs=1e-6), given
    text = "Producția de zahăr primă va fi exprimată în ceea ce privește zahărul alb;"
    reference = "producţia de zahăr brut se exprimă în zahăr alb;"
    for method, given, lowercase, tokenize, value in cases["sentence_bleu"]["test_cases"]:
        options = BleuOptions(tokenize, method, given, lowercase, effective_order=True)
        assert score([text], [[reference]], options) == pytest.approx(value, abs=1e-3), options


@needs_shared
def test_cases_of_chrf_and_ter_of_sacrebleu():
    cases = shared("mt/sacrebleu_unit_cases.json")
    chrf = cases["chrf"]
    for text, several, value in chrf["test_sentence_level_chrf"]:
        assert score([text], [several], ChrfOptions(eps_smoothing=True)) == pytest.approx(value, abs=1e-4)
    for group, options in (
        ("test_cases", ChrfOptions(beta=3, eps_smoothing=True)),
        ("test_cases_effective_order", ChrfOptions(beta=3)),
        ("test_cases_keep_whitespace", ChrfOptions(beta=3, whitespace=True)),
    ):
        for predictions, references, value in chrf[group]:
            found = score(predictions, across([references]), options)
            assert found == pytest.approx(value, abs=1e-4), (group, predictions)
    for predictions, references, value in cases["ter"]["test_cases"]:
        found = score(predictions, across([references]), TerOptions())
        assert found / 100 == pytest.approx(value, abs=1e-3), predictions


def newstest(name):
    with gzip.open(SHARED / "mt" / "wmt17_en_de" / f"{name}.txt.gz", "rt", encoding="utf-8", newline="\n") as file:
        return file.read().removesuffix("\n").split("\n")


def original(start):
    """The numbers of an original tool, by system."""
    values = shared("mt/wmt17_en_de/EXPECTED.json")
    return next(value for key, value in values.items() if key.startswith(start))


def systems(start, options, scale, tolerance, count=None):
    references = [[line] for line in newstest("reference")]
    for name, value in list(original(start).items())[:count]:
        assert score(newstest(name), references, options) * scale == pytest.approx(value, abs=tolerance), name


@needs_shared
def test_bleu_of_mteval_of_a_system():
    systems("BLEU_mteval-v13a.pl", BleuOptions(), 1, 0.01, count=1)


@needs_shared
@pytest.mark.slow
def test_systems_of_newstest2017_score_as_with_the_original_tools():
    systems("BLEU_mteval-v13a.pl", BleuOptions(), 1, 0.01)
    systems("BLEU_mteval-v14.pl", BleuOptions(tokenize="intl"), 1, 0.01)
    systems("chrF2_chrF++.py", ChrfOptions(eps_smoothing=True), 1, 1e-4)
    systems("chrF2++_chrF++.py", ChrfOptions(word_order=2, eps_smoothing=True), 1, 1e-4)
    systems("TER_tercom-7.25", TerOptions(), 0.01, 0.001)


@needs_shared
@pytest.mark.slow
def test_resamples_of_two_systems_differ_as_often_as_with_moses():
    """By how much more than on average they differ: at least as much as the systems themselves, in what share of them.

    Source: bootstrap-hypothesis-difference-significance.pl of Moses, and sacrebleu 2.6, significance.
    """
    options = BleuOptions(tokenize="none")
    references = [[line] for line in newstest("reference")]

    def resampled(name):
        kinds = BLEU.kinds(BLEU.reduce(newstest(name), references, options), options)
        drawn = [np.ones((1, len(references))), *resampling.weights(kinds.of, 2000, 12345)]
        return np.concatenate([metrics.get("bleu").function(kinds.sample(weights)) for weights in drawn])

    baseline = resampled("newstest2017.LIUM-NMT.4900.en-de")
    for name, value in original("paired bootstrap p-values").items():
        real, *differences = abs(resampled(name) - baseline)
        as_much = differences - np.mean(differences) >= real
        assert as_much.mean() == pytest.approx(value, abs=0.01), name


@needs_shared
def test_multiling2011_whose_texts_have_two_or_three_references():
    records = shared("rouge/multiling2011/data.json")
    predictions = [" ".join(record["candidate"]) for record in records]
    references = [[" ".join(sentences) for sentences in record["references"]] for record in records]
    expected = shared("rouge/multiling2011/expected_sacrebleu.json")
    assert {len(several) for several in references} == {2, 3}
    assert score(predictions, references, BleuOptions()) == pytest.approx(expected["bleu"]["macro"]["bleu"], abs=1e-9)
    single = BleuOptions(effective_order=True)
    for prediction, several, each in zip(predictions, references, expected["sentbleu"]["micro"], strict=True):
        assert score([prediction], [several], single) == pytest.approx(each["sentbleu"], abs=1e-9)


def test_words_by_word_are_those_by_line():
    rng, characters = random.Random(7), "ab1.,-&;\"'!?() \t\u00a0\u2003<>é日/:$%quot amp lt<skipped>²\u0661"
    options = translation.BleuOptions()
    tokenizer = translation._scorer(options).tokenizer
    words = translation._words(tokenizer, options)
    for _ in range(20_000):
        line = "".join(rng.choice(characters) for _ in range(rng.randint(0, 25)))
        assert words(line) == tokenizer(line).split(), repr(line)
