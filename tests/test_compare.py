"""`hfcli compare`: tests against all resamples and all swaps, one by one, and what the user sees."""

import gzip
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from hfcli import metrics
from hfcli.cli.console import Console
from hfcli.errors import DataError
from hfcli.metrics import comparing, mcnemar, resampling, results
from hfcli.metrics.base import Statistics
from hfcli.metrics.results import Drawing, Part, Result

SHARED = Path(__file__).parents[2] / "shared" / "data" / "mt" / "wmt17_en_de"
SIGNED = "data:imdb@e628166:test|n:{n}|ci:bs1000-12345|hfcli:0.2.0"


def part(predictions, references, *names, signature=SIGNED):
    chosen = [metrics.get(name) for name in names]
    family = chosen[0].families[0]
    kept = family.reduce(predictions, references, family.options())
    return Part(family, family.options(), tuple(chosen), kept, signature.format(n=len(references)))


def compared(first, second, references, name, resamples=20_000, trials=20_000, **drawing):
    parts = [part(predictions, references, name) for predictions in (first, second)]
    drawing = Drawing(resamples=resamples, **drawing)
    (difference,) = comparing.compare(*parts, parts[0].metrics, drawing, trials)
    return difference


# The tests themselves

LABELS = ("a b b a c", "a b a c a", "a b a c b")  # of a system, of another one, and what they should be
NUMBERS = ([1.0, 2.5, 2.0, 4.5, 4.0], [1.5, 2.0, 3.0, 4.0, 5.5], [1.0, 2.0, 3.0, 4.0, 5.0])
SURE = (
    [{"x": p, "y": 1 - p} for p in (0.9, 0.4, 0.7, 0.2, 0.6)],
    [{"x": p, "y": 1 - p} for p in (0.6, 0.3, 0.8, 0.5, 0.3)],
    list("xyxyx"),
)
CASES = [
    ("accuracy", *(text.split() for text in LABELS)),
    ("f1_macro", *(text.split() for text in LABELS)),
    ("mae", *NUMBERS),
    ("pearson", *NUMBERS),
    ("log_loss", *SURE),
    ("exact_match", ["x", "y", "z", "v", "w"], ["x", "b", "c", "v", "e"], [["x"], ["b"], ["z"], ["v"], ["e"]]),
]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def plainly(name, predictions, references):
    """A score, written down anew."""
    if name in ("accuracy", "exact_match"):
        right = [given in right for given, right in zip(predictions, references, strict=True)]
        return mean(right) * (100 if name == "exact_match" else 1)
    if name == "mae":
        return mean(abs(x - y) for x, y in zip(predictions, references, strict=True))
    if name == "log_loss":
        return mean(-math.log(given[right]) for given, right in zip(predictions, references, strict=True))
    if name == "pearson":
        x, y = np.array(predictions), np.array(references)
        varies = len({*predictions}) > 1 and len({*references}) > 1
        return float(np.corrcoef(x, y)[0, 1]) if varies else math.nan
    scores = []
    for label in {*predictions, *references}:
        both = sum(p == r == label for p, r in zip(predictions, references, strict=True))
        scores.append(2 * both / (predictions.count(label) + references.count(label)))
    return mean(scores)


def difference_of(name, pairs):
    first, second, references = (list(each) for each in zip(*pairs, strict=True))
    return plainly(name, second, references) - plainly(name, first, references)


@pytest.mark.parametrize(("name", "first", "second", "references"), CASES, ids=[case[0] for case in CASES])
def test_it_is_what_all_resamples_and_all_swaps_say(name, first, second, references):
    records = list(zip(first, second, references, strict=True))
    observed = difference_of(name, records)
    found = compared(first, second, references, name)
    assert found.value == pytest.approx(observed)

    drawn = [difference_of(name, each) for each in itertools.product(records, repeat=len(records))]
    drawn = [each for each in drawn if not math.isnan(each)]
    for end, share in zip((found.low, found.high, *found.inner), (0.025, 0.975, 0.05, 0.95), strict=True):
        least, most = np.quantile(drawn, [share - 0.005, share + 0.005])
        assert least - 1e-9 <= end <= most + 1e-9
    sizes = [abs(each) for each in drawn]
    shifted = mean(each - mean(sizes) >= abs(observed) - 1e-12 for each in sizes)
    assert found.p_bootstrap == pytest.approx(shifted, abs=0.015)

    sides = itertools.product((False, True), repeat=len(records))
    swapped = [
        [(b, a, r) if swap else (a, b, r) for swap, (a, b, r) in zip(side, records, strict=True)] for side in sides
    ]
    as_far = mean(not abs(difference_of(name, each)) < abs(observed) - 1e-12 for each in swapped)
    assert found.p_randomised == pytest.approx(as_far, abs=0.015)


def test_many_records_of_few_kinds_are_as_many_of_their_own_kind():
    """The same numbers as labels, in few kinds, and as values, in as many kinds as records."""
    rng = np.random.default_rng(1)
    right = rng.random((2, 600)) < [[0.8], [0.84]]
    ones = ["1"] * 600
    few = compared([*np.where(right[0], "1", "0")], [*np.where(right[1], "1", "0")], ones, "accuracy")
    wrong = [(~each).astype(float).tolist() for each in right]
    many = compared(*wrong, [0.0] * 600, "mae", resamples=4000)
    assert few.value == pytest.approx(-many.value)
    assert (few.low, few.high) == pytest.approx((-many.high, -many.low), abs=0.004)
    assert few.p_randomised == pytest.approx(many.p_randomised, abs=0.02)
    assert few.p_bootstrap == pytest.approx(many.p_bootstrap, abs=0.03)
    assert few.p_randomised == pytest.approx(mcnemar.sign_test(*_counts(right)), abs=0.02)


def numbers(found):
    return [*found[1:5], *found.inner, found.p_randomised, found.p_bootstrap]


def _counts(right):
    return int((~right[0] & right[1]).sum()), int((right[0] & ~right[1]).sum())


@pytest.mark.parametrize("case", [CASES[0], CASES[3]], ids=["few kinds", "many kinds"])
def test_draws_do_not_depend_on_how_many_are_drawn_at_once(case, monkeypatch):
    name, *sides = case
    sides = [side * 30 for side in sides]
    at_once = compared(*sides, name, 200, 200)
    monkeypatch.setattr(resampling, "BLOCK_COUNTS", 300)
    monkeypatch.setattr(resampling, "PIECE_COUNTS", 200)
    monkeypatch.setattr(comparing, "_TRIAL_COUNTS", 900)
    assert numbers(compared(*sides, name, 200, 200)) == pytest.approx(numbers(at_once))
    assert numbers(compared(*sides, name, 200, 200, seed=1))[2:] != pytest.approx(numbers(at_once)[2:])


def test_the_other_way_round_it_is_the_same_difference():
    for name, first, second, references in CASES:
        there, back = (compared(*sides, references, name, 200, 200) for sides in ((first, second), (second, first)))
        assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-12)
        assert (back.p_randomised, back.p_bootstrap) == (there.p_randomised, there.p_bootstrap)


def test_equal_systems_do_not_differ():
    for name, first, _, references in CASES:
        found = compared(first, first, references, name, 100, 100)
        assert (found.value, found.low, found.high, found.inner) == (0, 0, 0, (0, 0))
        assert found.p_randomised == found.p_bootstrap == 1
        assert found.verdict(1, 0.95, None) == "no difference seen"
        assert found.verdict(1, 0.95, 1e-9) == "equivalent"


def test_p_is_as_small_by_chance_as_it_says_and_the_bootstraps_is_twice_as_often():
    rng, small, smaller, said = np.random.default_rng(4), 0, 0, 0
    for seed in range(400):
        right = (rng.random(200) < 0.5) | (rng.random((2, 200)) < 0.5)
        sides = [np.where(each, "1", "0").tolist() for each in right]
        found = compared(*sides, ["1"] * 200, "accuracy", 300, 400, seed=seed)
        small += found.p_randomised <= 0.05
        smaller += found.p_bootstrap <= 0.05
        said += found.verdict(found.p_randomised, 0.95, None) != "no difference seen"
    assert 6 <= small <= 30
    assert said <= small
    assert 26 <= smaller <= 60


@pytest.mark.parametrize(
    ("ends", "inner", "p", "margin", "verdict"),
    [
        ((0.01, 0.05), (0.02, 0.04), 0.05, None, "better"),
        ((0.01, 0.05), (0.02, 0.04), 0.051, None, "no difference seen"),
        ((-0.001, 0.05), (0.001, 0.04), 0.04, None, "no difference seen"),
        ((0.01, 0.05), (0.02, 0.04), 0.01, 0.045, "equivalent"),
        ((0.01, 0.05), (0.02, 0.04), 0.01, 0.04, "better"),
        ((-0.05, 0.03), (-0.04, 0.02), 0.5, 0.045, "equivalent"),
        ((-0.05, 0.03), (-0.04, 0.02), 0.5, 0.03, "not shown to be equivalent"),
    ],
)
def test_verdicts(ends, inner, p, margin, verdict):
    for name, sign in (("accuracy", 1), ("mse", -1)):  # of mse, lower is better
        (low, high), inside = (sorted(sign * end for end in pair) for pair in (ends, inner))
        system = 0.5 + (low + high) / 2
        found = comparing.Difference(metrics.get(name), 0.5, system, low, high, tuple(inside), p, p)
        assert found.verdict(p, 0.95, margin) == verdict
        other = comparing.Difference(metrics.get(name), 0.5, 1 - system, -high, -low, (-inside[1], -inside[0]), p, p)
        assert other.verdict(p, 0.95, margin) == verdict.replace("better", "worse")


def test_half_of_the_records_are_swapped():
    counts = np.array([1, 7, 1, 100, *[1] * 70])
    swaps = np.concatenate(list(comparing._swaps(counts, 1000, 5000, seed=3)))
    assert swaps.shape == (5000, 74)
    np.testing.assert_allclose(swaps.mean(axis=0), counts / 2, atol=0.3)
    np.testing.assert_allclose(swaps.var(axis=0), counts / 4, rtol=0.1)
    np.testing.assert_allclose(np.corrcoef(swaps.T), np.eye(74), atol=0.08)


def test_a_label_that_one_system_never_heard_of_has_the_probability_0():
    first = part([{"x": 0.25, "y": 0.75}, {"x": 0.5, "y": 0.5}], ["x", "y"], "log_loss")
    second = part([{"x": 0.25, "y": 0.5, "z": 0.25}, {"x": 0, "y": 1.0, "z": 0}], ["x", "y"], "log_loss")
    (found,) = comparing.compare(first, second, first.metrics, Drawing(resamples=10), 10)
    assert (found.baseline, found.system) == pytest.approx(((math.log(4) + math.log(2)) / 2, math.log(4) / 2))


def test_systems_without_a_score_have_no_p():
    found = compared([1.0, 1.0, 1.0], [1.0, 2.0, 4.0], [1.0, 2.0, 3.0], "pearson", 50, 50)
    assert math.isnan(found.baseline)
    assert found.system == pytest.approx(0.982, abs=0.001)
    assert all(math.isnan(each) for each in (found.value, found.low, found.high, found.p_randomised, found.p_bootstrap))
    assert found.verdict(found.p_randomised, 0.95, 1.0) == "not defined"


@pytest.mark.parametrize("counts", [(0, 0), (5, 5), (1, 0), (9, 2), (2, 9), (0, 20), (60, 40), (895, 167), (700, 699)])
def test_mcnemars_p_is_exact(counts):
    n, k = sum(counts), min(counts)
    exact = min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n)
    assert mcnemar.sign_test(*counts) == pytest.approx(exact, rel=1e-9)


def test_mcnemars_p_of_very_many():
    assert mcnemar.sign_test(500_000, 500_000) == 1
    z = 1000 / math.sqrt(1_001_000)  # with a correction for continuity, the normal distribution's
    assert mcnemar.sign_test(501_000, 500_000) == pytest.approx(math.erfc((z - z / 1000) / math.sqrt(2)), rel=1e-3)


def test_holms_correction():
    assert comparing.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert comparing.holm([0.6, 0.7]) == [1, 1]
    assert comparing.holm([0.02]) == [0.02]
    first, second, third = comparing.holm([0.02, math.nan, 0.03])
    assert (first, third) == (0.04, 0.04)
    assert math.isnan(second)


def test_what_cannot_be_paired_is_refused():
    one, two = part(["a"], ["a"], "accuracy"), part(["a", "b"], ["a", "a"], "accuracy")
    with pytest.raises(DataError, match="1 records cannot be paired with 2"):
        comparing.compare(one, two, one.metrics, Drawing())
    nothing = one._replace(statistics=one.statistics.some(np.array([], dtype=np.int64)))
    with pytest.raises(DataError, match="no records"):
        comparing.compare(nothing, nothing, one.metrics, Drawing())
    other = one._replace(statistics=Statistics({"prediction": one.statistics.columns["prediction"]}))
    with pytest.raises(DataError, match=r"of two kinds \(reference\)"):
        comparing.compare(one, other, one.metrics, Drawing())


# Translation, whose systems these tests were made for


def translated(outputs, references):
    bleu = metrics.get("bleu")
    options = bleu.families[0].options(tokenize="none")
    kept = bleu.families[0].reduce(outputs, [[text] for text in references], options)
    return Part(bleu.families[0], options, (bleu,), kept, "")


def test_p_is_sacrebleus():
    import sacrebleu
    from sacrebleu.significance import PairedTest

    rng = np.random.default_rng(2)
    words = np.array("the a cat dog sat ran on under mat tree fast slowly".split())
    lines = words[rng.integers(len(words), size=(120, 14))]
    noisy = [np.where(rng.random(lines.shape) < share, words[0], lines) for share in (0.34, 0.31)]
    references, first, second = ([" ".join(line) for line in each] for each in (lines, *noisy))
    systems = [("first", first), ("second", second)]
    how = {"metrics": {"BLEU": sacrebleu.BLEU(tokenize="none")}, "references": [references]}
    theirs = {kind: PairedTest(systems, test_type=kind, n_samples=3000, **how)()[1]["BLEU"] for kind in ("ar", "bs")}
    parts = translated(first, references), translated(second, references)
    (ours,) = comparing.compare(*parts, parts[0].metrics, Drawing(resamples=3000), 3000)
    assert (ours.baseline, ours.system) == pytest.approx([each.score for each in theirs["bs"]])
    assert 0.02 < ours.p_randomised < 0.5
    assert ours.p_randomised == pytest.approx(theirs["ar"][1].p_value, abs=0.03)
    assert ours.p_bootstrap == pytest.approx(theirs["bs"][1].p_value, abs=0.03)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the outputs of WMT17")
def test_p_is_that_of_moses():
    key = "paired bootstrap p-values vs newstest2017.LIUM-NMT.4900.en-de"
    told = json.loads((SHARED / "EXPECTED.json").read_text())
    (expected,) = (values for name, values in told.items() if name.startswith(key))

    def lines(name):
        return gzip.decompress((SHARED / f"{name}.txt.gz").read_bytes()).decode().split("\n")[:-1]

    references = lines("reference")
    baseline = translated(lines("newstest2017.LIUM-NMT.4900.en-de"), references)
    for name, p in expected.items():
        system = translated(lines(name), references)
        (found,) = comparing.compare(baseline, system, baseline.metrics, Drawing(resamples=2000), 0)
        assert found.p_bootstrap == pytest.approx(p, abs=0.01), name


# The command


@pytest.fixture
def keep(tmp_path, monkeypatch):
    """`keep("old", predictions, references, "accuracy")`: a file of eval -o, and its name."""
    monkeypatch.chdir(tmp_path)

    def keep(name, predictions, references, *measured, signature=SIGNED, system=None, ids=(), said=None):
        parts = [part(predictions, references, *measured, signature=signature)]
        system = f"{name}@1234567|dtype:float32" if system is None else system
        result = Result(said or name, system, parts, results.scored(parts, Drawing(resamples=10)), list(ids))
        Path(f"{name}.json").write_text(json.dumps(results.to_json(result)))
        return f"{name}.json"

    return keep


# 400 records: a is wrong in the first 80, b in 20 of these and in 10 others, c in as many as a but for one.
RIGHT = ["pos", "neg"] * 200
WRONG = ["neg", "pos"] * 200
A = WRONG[:80] + RIGHT[80:]
B = RIGHT[:60] + WRONG[60:90] + RIGHT[90:]
C = RIGHT[:40] + WRONG[40:120] + RIGHT[120:]
BOTH = "accuracy", "f1_macro"


def only(result):
    assert (result.code, result.err) == (0, ""), result
    (told,) = result.records
    return told


def test_one_object_off_a_terminal(hfcli, keep):
    told = only(hfcli("compare", keep("a", A, RIGHT, *BOTH), keep("b", B, RIGHT, *BOTH)))
    assert next(iter(told)) == "verdicts"
    assert (told["verdicts"], told["baseline"], told["n"]) == ({"b": "better"}, "a", 400)
    (comparison,) = told["comparisons"]
    assert (comparison["system"], comparison["verdict"]) == ("b", "better")
    accuracy, f1 = comparison["metrics"]
    assert (accuracy["metric"], f1["metric"], accuracy["better"]) == ("accuracy", "f1_macro", "higher")
    assert (accuracy["baseline"], accuracy["score"]) == (0.8, 0.925)
    assert accuracy["difference"] == pytest.approx(0.125)
    assert 0.08 < accuracy["low"] < 0.1 < 0.15 < accuracy["high"] < 0.17
    assert accuracy["p"] == accuracy["p_randomised"] == 1 / 10_001
    assert accuracy["p_bootstrap"] == 1 / 1001
    flips = comparison["flips"]
    assert (flips["now_right"], flips["now_wrong"]) == (60, 10)
    assert flips["p"] == pytest.approx(2 * sum(math.comb(70, k) for k in range(11)) / 2**70)
    assert told["signatures"] == [
        "accuracy,f1_macro|data:imdb@e628166:test|n:400|ci:bs1000-12345|p:ar10000-12345|hfcli:0.2.0"
    ]
    assert told["systems"][1] == {"name": "b", "file": "b.json", "system": "b@1234567|dtype:float32"}
    assert told["differ"] == {"model": ["a@1234567", "b@1234567"]}


def test_a_terminal_gets_the_verdict_first(hfcli, keep, terminal):
    first = keep("minilm", A, RIGHT, *BOTH, system="minilm@1|max_len:256|dtype:bf16")
    second = keep("bert", B, RIGHT, *BOTH, system="bert@2|max_len:512|dtype:bf16")
    result = hfcli("compare", first, second)
    assert (result.code, result.err) == (0, "")
    assert result.lines == [
        "better   bert over minilm: accuracy +0.1250 [+0.0850, +0.1625], p = 0.0001",
        "",
        "          minilm    bert  difference     95% interval          p",
        "accuracy  0.8000  0.9250     +0.1250  [+0.0850, +0.1625]  0.0001",
        "f1_macro  0.8000  0.9250     +0.1250  [+0.0850, +0.1630]  0.0001",
        "",
        "now right     60   now wrong     10   of 400 records, McNemar p < 0.0001",
        "           --flips flips.jsonl writes all 70",
        "score      accuracy,f1_macro|data:imdb@e628166:test|n:400|ci:bs1000-12345|p:ar10000-12345|hfcli:0.2.0",
        "systems    differ in: model, max_len (256, 512)",
    ]
    assert all(len(line) <= 80 for line in result.lines if not line.startswith("score"))
    back = hfcli("compare", second, first).lines
    assert back[0] == "worse   minilm than bert: accuracy -0.1250 [-0.1625, -0.0850], p = 0.0001"
    assert only(hfcli("compare", first, second, "--json"))["verdicts"] == {"bert": "better"}


def test_several_systems_are_compared_with_the_first(hfcli, keep, terminal):
    files = [keep(name, side, RIGHT, "accuracy") for name, side in (("a", A), ("b", B), ("c", C))]
    lines = hfcli("compare", *files).lines
    assert lines[0].startswith("better               b over a: accuracy +0.1250 ")
    assert lines[0].endswith("p = 0.0002")
    assert lines[1].startswith("no difference seen   c and a: accuracy +0.0000 ")
    assert lines[1].endswith("p = 1.000")
    assert [line.split()[:2] for line in lines[3:7]] == [
        ["accuracy", "score"],
        ["a", "0.8000"],
        ["b", "0.9250"],
        ["c", "0.8000"],
    ]
    assert "now right     40   now wrong     40   of 400 records, McNemar p = 1.000 (c)" in lines
    assert "p          corrected for 2 systems by Holm's method" in lines
    told = only(hfcli("compare", *files, "--json"))
    assert told["verdicts"] == {"b": "better", "c": "no difference seen"}
    assert told["corrected"] == "holm"
    numbers = told["comparisons"][0]["metrics"][0]
    assert numbers["p"] == 2 * numbers["p_randomised"] == 2 / 10_001


def test_lower_can_be_better(hfcli, keep, terminal):
    right = [float(x) for x in range(50)]
    near, far = ([x + by * (-1) ** int(x) * (1 + x % 3) for x in right] for by in (0.1, 0.2))
    result = hfcli("compare", keep("far", far, right, "mae"), keep("near", near, right, "mae"))
    assert result.lines[0].startswith("better   near over far: mae -0.1980 [-0.2")
    assert not any("now right" in line or "flips" in line for line in result.lines)
    assert hfcli("compare", "near.json", "far.json").lines[0].startswith("worse   far than near: mae +0.1980 [+0.1")


def test_a_margin_asks_for_equivalence(hfcli, keep, terminal):
    old, new = keep("bert", A, RIGHT, *BOTH), keep("int8", WRONG[:81] + RIGHT[81:], RIGHT, *BOTH)
    first = hfcli("compare", old, new, "--margin", "0.02").lines[0]
    assert first == "equivalent   int8 and bert: accuracy -0.0025, 90% interval [-0.0075, +0.0000] within 0.02"
    first = hfcli("compare", old, new, "--margin", "0.005").lines[0]
    assert first.startswith("not shown to be equivalent   int8 and bert: accuracy -0.0025, 90% interval [-0.0075, ")
    assert first.endswith("] not within 0.005")
    told = only(hfcli("compare", old, new, "--margin", "0.02", "--json", "--confidence-level", "0.99"))
    first, second = told["comparisons"][0]["metrics"]
    assert first["equivalence"]["equivalent"] is True
    assert first["equivalence"]["low"] >= first["low"]
    assert (told["margin"], "equivalence" in second) == (0.02, False)
    assert "|ci:bs1000-12345-99|" in told["signatures"][0]
    keep("better", B, RIGHT, *BOTH)
    assert hfcli("compare", old, "better.json", "--margin", "0.02").lines[0].startswith("better   better over bert: ")
    assert hfcli("compare", old, "better.json", "--margin", "0.5").lines[0].startswith("equivalent   ")
    assert hfcli("compare", old, old, "--margin", "1e-9").lines[0].startswith("equivalent   bert (2) and bert (1): ")


def test_the_bootstraps_p_can_be_asked_for(hfcli, keep):
    files = keep("a", A, RIGHT, "accuracy"), keep("c", C[:-4] + WRONG[-4:], RIGHT, "accuracy")
    told = only(hfcli("compare", *files, "--test", "bs", "--resamples", "500", "--seed", "7"))
    numbers = told["comparisons"][0]["metrics"][0]
    assert numbers["p"] == numbers["p_bootstrap"] == pytest.approx(0.22, abs=0.06)
    assert numbers["p_randomised"] is None
    assert (told["test"], told["verdicts"]) == ("bs", {"c": "no difference seen"})
    assert "|ci:bs500-7|p:bs500-7|" in told["signatures"][0]
    told = only(hfcli("compare", *files, "--trials", "50", "--seed", "7"))
    numbers = told["comparisons"][0]["metrics"][0]
    assert numbers["p"] * 51 == pytest.approx(round(numbers["p"] * 51))
    assert "|p:ar50-7|" in told["signatures"][0]


def test_flips_are_written(hfcli, keep):
    ids = [f"r{at}" for at in range(400)]
    files = [keep(name, side, RIGHT, *BOTH, ids=ids) for name, side in (("a", A), ("b", B), ("c", C))]
    only(hfcli("compare", *files[:2], "--flips", "flips.jsonl"))
    flips = [json.loads(line) for line in Path("flips.jsonl").read_text().splitlines()]
    assert [flip["index"] for flip in flips] == [*range(60), *range(80, 90)]
    assert flips[1] == {
        "index": 1,
        "id": "r1",
        "reference": "neg",
        "before": "pos",
        "now": "neg",
        "flip": "now right",
        "system": "b",
    }
    assert (flips[-1]["id"], flips[-1]["flip"], flips[-1]["before"]) == ("r89", "now wrong", "neg")
    only(hfcli("compare", *files, "--flips", "flips.jsonl"))
    flips = [json.loads(line) for line in Path("flips.jsonl").read_text().splitlines()]
    assert [sum(flip["system"] == name for flip in flips) for name in "bc"] == [70, 80]
    only(hfcli("compare", files[0], files[0], "--flips", "flips.jsonl"))
    assert Path("flips.jsonl").read_text() == ""
    keep("sets", [["x", "y"], ["x"]], [["x"], ["x"]], "subset_accuracy")
    keep("sets2", [["x"], ["y"]], [["x"], ["x"]], "subset_accuracy")
    only(hfcli("compare", "sets.json", "sets2.json", "--flips", "flips.jsonl"))
    first = json.loads(Path("flips.jsonl").read_text().splitlines()[0])
    assert (first["reference"], first["before"], first["now"], "id" in first) == (["x"], ["x", "y"], ["x"], False)


def test_what_a_system_says_of_other_words_is_no_reference(hfcli, keep):
    """Whether labels stay when words are swapped: both columns are the system's."""
    said = [{"label": label, "score": 0.9} for label in ("x", "y", "x", "y")]
    keep("a", said, said, "flip_rate")
    keep("b", said, [said[1], *said[1:]], "flip_rate")
    only(hfcli("compare", "a.json", "b.json", "--flips", "flips.jsonl"))
    assert json.loads(Path("flips.jsonl").read_text()) == {
        "index": 0,
        "before": "x",
        "now": "x",
        "flip": "now wrong",
        "system": "b",
    }


def test_metrics_can_be_chosen_and_the_first_decides(hfcli, keep):
    files = keep("a", A, RIGHT, *BOTH), keep("b", B, RIGHT, *BOTH, "recall_macro")
    told = only(hfcli("compare", *files, "--metric", "f1_macro", "--metric", "accuracy"))
    assert [each["metric"] for each in told["comparisons"][0]["metrics"]] == ["f1_macro", "accuracy"]
    assert told["signatures"][0].startswith("f1_macro,accuracy|")
    wrong = hfcli("compare", *files, "--metric", "f1_makro")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == (
        "error: no metric f1_makro in a.json; there is accuracy, f1_macro\nhint:  did you mean f1_macro?\n"
    )


def test_a_metric_of_one_file_is_left_out_and_said(hfcli, keep):
    files = keep("a", A, RIGHT, *BOTH), keep("b", B, RIGHT, "accuracy", "recall_macro")
    result = hfcli("compare", *files)
    assert result.err == "note: f1_macro is not compared: it is in a.json and not in b.json\n"
    assert [each["metric"] for each in result.records[0]["comparisons"][0]["metrics"]] == ["accuracy"]
    assert hfcli("compare", *files, "-q").err == ""


def test_a_metric_with_two_settings_is_compared_in_both(hfcli, tmp_path, monkeypatch, terminal):
    monkeypatch.chdir(tmp_path)
    exact, questions = metrics.get("exact_match"), [["x"], ["the"], ["z"]]
    family = exact.families[0]
    for name, answers in (("a", ["x", None, "v"]), ("b", ["x", None, "z"])):
        parts = []
        for version in (1, 2):
            options = family.options(version)
            kept = family.reduce(answers, questions, options)
            parts.append(Part(family, options, (exact,), kept, f"data:q|n:3|rules:{version}|ci:bs10-1"))
        result = Result(name, "", parts, results.scored(parts, Drawing(resamples=10)), [])
        Path(f"{name}.json").write_text(json.dumps(results.to_json(result)))
    lines = hfcli("compare", "a.json", "b.json", "--resamples", "50").lines
    assert [line.split()[:4] for line in lines[3:5]] == [
        ["exact_match", "rules:1", "33.33", "66.67"],
        ["exact_match", "rules:2", "66.67", "100.00"],
    ]
    assert lines[-2:] == [
        f"score      exact_match|data:q|n:3|rules:{version}|ci:bs50-12345|p:ar10000-12345" for version in (1, 2)
    ]


def test_what_takes_long_shows_how_far_it_is(hfcli, keep, monkeypatch):
    files = [keep(name, side, RIGHT, "accuracy") for name, side in (("a", A), ("b", B), ("c", C))]
    monkeypatch.setattr(Console, "due", lambda self: not self.quiet)
    monkeypatch.setattr(comparing, "_TRIAL_COUNTS", 40_000)
    shown = hfcli("compare", *files).err.splitlines()
    assert all("  comparing · ~" in line for line in shown)
    shares = [int(line.split("%")[0]) for line in shown]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (5, 100)
    assert hfcli("compare", *files, "-q").err == ""


def test_a_score_that_is_not_defined_is_a_sentence(hfcli, keep, terminal):
    right = [1.0, 2.0, 3.0, 4.0]
    files = keep("flat", [2.0] * 4, right, "pearson", "mae"), keep("good", right, right, "pearson", "mae")
    lines = hfcli("compare", *files).lines
    assert lines[0] == "not defined   good and flat: pearson is not defined for flat"
    assert lines[3].split() == ["pearson", "-", "1.0000", "-", "-", "-"]
    pearson, mae = only(hfcli("compare", *files, "--json"))["comparisons"][0]["metrics"]
    assert [pearson[key] for key in ("baseline", "difference", "low", "p", "p_bootstrap")] == [None] * 5
    assert mae["difference"] == -1


def test_the_size_of_numbers_decides_how_many_digits_are_shown(hfcli, keep, terminal):
    questions = [["x"], ["y"], ["z"]]
    keep("a", ["x", "v", "w"], questions, "exact_match")
    keep("b", ["x", "y", "w"], questions, "exact_match")
    assert hfcli("compare", "a.json", "b.json").lines[3].split()[:4] == ["exact_match", "33.33", "66.67", "+33.33"]
    keep("a", [1e-3, 3e-3], [0.0, 0.0], "mse")
    keep("b", [1e-3, 2e-3], [0.0, 0.0], "mse")
    lines = hfcli("compare", "a.json", "b.json").lines
    assert lines[3].split()[:4] == ["mse", "0.000005000", "0.000002500", "-0.000002500"]


def test_names_are_those_of_the_files_where_systems_have_the_same(hfcli, keep):
    files = keep("old", A, RIGHT, "accuracy", said="bert"), keep("new", B, RIGHT, "accuracy", said="bert")
    told = only(hfcli("compare", *files))
    assert (told["baseline"], *told["verdicts"]) == ("old", "new")
    for name in ("x", "y"):
        Path(name).mkdir()
        Path(name, "s.json").write_text(Path("old.json").read_text())
    assert only(hfcli("compare", "x/s.json", "y/s.json"))["baseline"] == "x/s"


def test_files_come_packed_and_on_standard_input(hfcli, keep):
    content = Path(keep("b", B, RIGHT, "accuracy")).read_bytes()
    Path("b.json.gz").write_bytes(gzip.compress(content))
    keep("a", A, RIGHT, "accuracy")
    plain = only(hfcli("compare", "a.json", "b.json"))["comparisons"]
    assert only(hfcli("compare", "a.json", "b.json.gz"))["comparisons"] == plain
    assert only(hfcli("compare", "a.json", "-", stdin=content))["comparisons"] == plain


def test_other_data_cannot_be_compared(hfcli, keep):
    train = SIGNED.replace(":test", ":train")
    files = keep("a", A[:50], RIGHT[:50], *BOTH, signature=train), keep("b", B, RIGHT, *BOTH)
    result = hfcli("compare", *files)
    assert (result.code, result.out) == (4, "")
    assert result.err == (
        "error: these scores measure different things: data imdb@e628166:train (50 records) in a.json, "
        "imdb@e628166:test (400) in b.json\nhint:  measure both alike: hfcli eval ... -o a.json\n"
    )


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        (SIGNED + "|tok:intl", "tok is not said in a.json, intl in b.json"),
        (SIGNED.replace("n:{n}", "n:3"), "n 400 in a.json, 3 in b.json"),
        (
            SIGNED.replace("imdb@e628166", "sst2@1f3c5aa") + "|tok:intl",
            "data imdb@e628166:test (400 records) in a.json, sst2@1f3c5aa",
        ),
    ],
)
def test_what_was_measured_has_to_be_the_same(hfcli, keep, signature, said):
    files = keep("a", A, RIGHT, "accuracy"), keep("b", B, RIGHT, "accuracy", signature=signature)
    result = hfcli("compare", *files)
    assert (result.code, result.out) == (4, "")
    assert said in result.err


def test_how_intervals_were_made_may_differ_and_the_version_with_a_note(hfcli, keep):
    keep("a", A, RIGHT, "accuracy")
    keep("b", B, RIGHT, "accuracy", signature=SIGNED.replace("bs1000", "bs50"))
    assert only(hfcli("compare", "a.json", "b.json"))["verdicts"] == {"b": "better"}
    keep("b", B, RIGHT, "accuracy", signature=SIGNED.replace("0.2.0", "0.3.0"))
    result = hfcli("compare", "a.json", "b.json")
    assert result.code == 0
    assert result.err == "note: measured by different versions of hfcli: a.json by 0.2.0, b.json by 0.3.0\n"


def test_other_records_cannot_be_compared(hfcli, keep):
    def refused(said):
        result = hfcli("compare", "a.json", "b.json")
        assert (result.code, result.out) == (4, "")
        assert said in result.err

    signature = "data:x"
    keep("a", A, RIGHT, "accuracy", signature=signature, ids=map(str, range(400)))
    keep("b", B[:9], RIGHT[:9], "accuracy", signature=signature)
    refused("a.json has 400 records and b.json 9")
    keep("b", B, RIGHT, "accuracy", signature=signature, ids=map(str, [0, 2, 1, *range(3, 400)]))
    refused("record 2 has the id '1' in a.json and '2' in b.json")
    keep("b", B, WRONG, "accuracy", signature=signature)
    refused("record 1 has the reference 'pos' in a.json and 'neg' in b.json")
    keep("b", [1.0] * 400, [1.0] * 400, "mae", signature=signature)
    refused("no metric is in all files: a.json has accuracy; b.json has mae")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "no files were given, and two are compared"),
        (("a.json",), "one file was given (a.json), and two are compared"),
        (("-", "-"), "standard input cannot be two files"),
        (("a.json", ""), "the name of a file is empty"),
        (("a.json", "a.json", "--flips", "a.json"), "--flips a.json is what is read, and would be lost"),
        (("a.json", "a.json", "--flips", ""), "--flips is empty"),
        (("a.json", "a.json", "--metric", ""), "--metric is empty"),
        (("a.json", "a.json", "--confidence-level", "1"), "--confidence-level 1 would take in everything"),
        (("a.json", "a.json", "--margin", "1", "--confidence-level", "0.5"), "--margin with --confidence-level 0.5"),
        (("a.json", "a.json", "--margin", "0"), "0 is out of range"),
        (("a.json", "a.json", "--margin", "nan"), "nan is out of range"),
    ],
)
def test_what_cannot_be_meant_is_refused(hfcli, keep, flags, said):
    keep("a", A, RIGHT, "accuracy")
    result = hfcli("compare", *flags)
    assert (result.code, result.out) == (2, "")
    assert said in result.err


def test_flips_need_records_that_are_right_or_wrong(hfcli, keep):
    files = keep("a", [1.0, 2.0], [1.0, 3.0], "mae"), keep("b", [1.0, 3.0], [1.0, 3.0], "mae")
    result = hfcli("compare", *files, "--flips", "flips.jsonl")
    assert (result.code, result.out) == (4, "")
    assert result.err == "error: --flips: no record is right or wrong in mae\nhint:  leave out --flips\n"
    assert not Path("flips.jsonl").exists()


def _edited(**fields):
    def edit(kept):
        return json.dumps({**kept, **fields})

    return edit


def _without_column(kept):
    del kept["parts"][0]["columns"]["reference"]
    return json.dumps(kept)


def _in_part(name, value):
    def edit(kept):
        kept["parts"][0][name] = value
        return json.dumps(kept)

    return edit


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda kept: json.dumps(kept)[:-20], "b.json:1 is not JSON (unexpected end"),
        (lambda kept: json.dumps(kept) + "}", "b.json:1 is not JSON (more text after the end"),
        (lambda kept: "", "b.json is empty"),
        (lambda kept: "[1, 2]", "b.json is not a file of hfcli eval -o"),
        (lambda kept: '{"scores": []}', "b.json is not a file of hfcli eval -o"),
        (lambda kept: "a,b\n1,2\n", "b.json:1 is not JSON"),
        (_edited(format=99), "b.json was written by another version of hfcli (format 99)"),
        (_edited(parts=[]), "b.json is not whole (IndexError"),
        (_edited(parts=["x"]), "b.json is not whole (TypeError"),
        (_edited(ids=["1", "2"]), "b.json is not whole (it has 2 and 400 records)"),
        (_edited(scores=[{}]), "b.json is not whole (KeyError"),
        (_in_part("family", "nothing"), "b.json is not whole (StopIteration"),
        (_in_part("metrics", ["nothing"]), "b.json is not whole (UsageError"),
        (_in_part("columns", []), "b.json is not whole (AttributeError"),
        (_without_column, "b.json is not whole (KeyError: 'reference')"),
    ],
)
def test_damaged_files_get_a_sentence(hfcli, keep, edit, said):
    keep("a", A, RIGHT, "accuracy")
    Path("b.json").write_text(edit(json.loads(Path(keep("b", B, RIGHT, "accuracy")).read_text())))
    result = hfcli("compare", "a.json", "b.json")
    assert (result.code, result.out) == (4, "")
    assert result.err.startswith(f"error: {said}")
    assert "Traceback" not in result.err


def test_a_file_that_is_not_there_names_its_neighbour(hfcli, keep):
    keep("bert", A, RIGHT, "accuracy")
    result = hfcli("compare", "bert.json", "brt.json")
    assert (result.code, result.err) == (4, "error: no file brt.json\nhint:  did you mean bert.json?\n")


def test_neither_torch_nor_transformers_is_imported_for_it(shell, keep):
    files = keep("a", A, RIGHT, "accuracy"), keep("b", B, RIGHT, "accuracy")
    done = shell(f"hfcli compare {' '.join(files)} | cat", PYTHONPROFILEIMPORTTIME="1")
    assert '"verdicts": {"b": "better"}' in done.stdout
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "numpy" in imported
    assert not imported & {"torch", "transformers", "datasets", "huggingface_hub", "pyarrow", "scipy", "sacrebleu"}
