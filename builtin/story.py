"""Build `builtin/story`, the toy language model which ships inside hfcli so that it can be tried with no network.

    python builtin/story.py [--output DIR] [--steps N]     # about ten minutes on two CPU cores

One linear script, in five parts:

1. a seeded grammar writes short English stories (every sentence below was written for this project; no data set
   is read);
2. a byte-level BPE tokenizer is trained on them: all 256 bytes are in the vocabulary, so any Unicode text round-trips;
3. a small Llama is trained from scratch, in float32, on `<s> story </s>`, so that greedy decoding ends by itself;
4. the model is stored in bfloat16, read back, and measured on stories from another seed;
5. the model card is written with the numbers just measured.

How exact is a rebuild? The stories and the tokenizer depend only on SEED and come out identical on any machine. The
weights repeat with the same torch version on the same kind of CPU with two threads; elsewhere, floating-point sums are
taken in another order, so the weights and the scores differ slightly.
"""

import argparse
import itertools
import json
import math
import random
import re
import time
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

SEED = 20
HELD_OUT_SEED = 1_000_020
BATCH_SIZE = 16
PEAK_LEARNING_RATE = 3e-3
CONTEXT = 512
MAX_NEW_TOKENS = 256

# --- 1. The grammar -------------------------------------------------------------------------------------------------
# [a|b] chooses one alternative and may nest; <rule> inserts a rule; {slot} is filled with what this one story is about.
# A capital letter in a slot's name gives the form which starts a sentence.

GIRLS = """Mia Lily Anna Zoe Nora Ella Ruby Ivy Rosa Maya Lucy Emma Sara Alice Clara Mary Jane Sophie Hana Lena
Amy Kate Eva Leila""".split()
BOYS = """Tom Ben Max Leo Sam Noah Finn Omar Jack Theo Bob Tim Paul Peter John Oscar Ravi Hugo Adam Luke Ali
Daniel Henry Ken""".split()
PETS = {"she": ["Luna", "Coco", "Hazel", "Daisy", "Pepper", "Willow"], "he": ["Rusty", "Pip", "Bramble", "Biscuit",
        "Barney", "Teddy"]}
FORMS = {"she": ("her", "her", "herself", "girl"), "he": ("him", "his", "himself", "boy")}
ANIMALS = """fox rabbit bear mouse duck cat dog frog turtle squirrel hedgehog goat lamb pony badger panda puppy kitten
dragon robot""".split()
COLOURS = "red blue green yellow white purple silver golden".split()
PLACES = """the forest|the park|the garden|the meadow|the valley|the orchard|the woods|the old barn|the village|
the school yard""".replace("\n", "").split("|")

RULES = {
    "sad": "[{He} felt very sad.|{He} began to cry.|A tear rolled down {his} cheek.|{He} did not know what to "
           "do.|{He} sat down and sighed.|{His} heart felt heavy.]",
    "meet": "[Just then, {friend_intro} came by.|Soon {friend_intro} came along the path.|{Friend_intro} heard {him} "
            "and came closer.|After a while, {friend_intro} walked by.|At that moment, {hero} saw {friend_intro}.]",
    "ask": '["What is the matter?" asked {friend}.|"Why are you so sad?" asked {friend}.|{Friend} asked, "What is '
           'wrong?"|"Can I help you?" asked {friend}.|{Friend} said, "You look sad. What happened?"]',
    "offer": '["Do not worry. I will help you," said {friend}.|"Let us try together," said {friend}.|{Friend} smiled. '
             '"I have an idea," {f_he} said.|"Two are better than one," said {friend}.|{Friend} thought for a moment. '
             '"I know what to do," {f_he} said.]',
    "thanks": '["Thank you!" said {hero}.|"Thank you, {friend_call}!" cried {hero}.|{Hero} hugged {friend}.|"You are '
              'a true friend," said {hero}.|{Hero} said, "Thank you so much!"|{Hero} jumped for joy.]',
    "end": "[From that day on, {hero} and {friend} played together every day.|{Hero} went home with a big smile.|That "
           "night, {hero} slept very well.|{Hero} and {friend} laughed and went home together.|It was the best day of "
           "the year.|And {hero} never forgot that day.|They were both very happy.|Then they sat down in the grass "
           "and shared [a sweet apple|some bread and honey|a big cake].|{Hero} told {his} mother all about it at "
           "dinner.]",
    "weather": "[sunny|warm|windy|quiet|bright|cool|cloudy|lovely]",
    "home": "[a small house near the sea|a little village in the hills|a yellow house by the river|a hut at the edge "
            "of the forest|a tall tower on a hill|a cottage in the woods|a quiet town|a cave behind a waterfall]",
    "trait": "[{He} was kind and curious.|{He} loved to play in {place}.|{He} had a {thing} and took it "
             "everywhere.|{He} was small, but {he} was very brave.|{He} liked to sing and dance.|Everyone in the "
             "village knew {him}.|{He} always wanted to see the world.]",
    "go": "[went to|walked to|ran to|went for a walk to|set out for]",
    # Openings that present the hero; the plot then begins on "one day".
    "intro": "[Once upon a time, there was {intro}.|Once upon a time, {intro} lived in <home>.|Once upon a time, in "
             "<home>, there lived {intro}.|There was once {intro}.|There was {intro} who lived in <home>.|Long ago, "
             "{intro} lived in <home>.|{Intro} lived in <home>.|In <home>, there lived {intro}.|{Long} lived in "
             "<home>.|This is a story about {intro}.|Far away, in <home>, lived {intro}.] [<trait>|<trait>|]",
    # Openings in which the two know each other already.
    "pair": "[{Hero} and {friend} were [good|best|old] friends.|{Hero} and {friend} lived in <home>.|Once upon a "
            "time, {hero} and {friend} lived in <home>.|{Hero} had a friend. {His} friend was {friend_intro}.|Every "
            "day, {hero} played with {friend} in {place}.] [They did everything together.|They lived next door to "
            "each other.|]",
    # Openings that set out at once.
    "day": "[One day, {hero} <go> {place}.|One <weather> [day|morning|afternoon], {hero} <go> {place}.|One morning, "
           "{hero} woke up early[ and|. {He}] <go> {place}.|{Long} <go> {place}.|{Long} was [happy|bored|hungry] that "
           "day. {He} <go> {place}.|It was a <weather> [day|morning|afternoon]. {Hero} <go> {place}.|Every morning, "
           "{hero} <go> {place}. But this morning was different.|Yesterday, {hero} <go> {place}.|On "
           "[Monday|Sunday|Friday], {hero} <go> {place}.|In {place}, the sun was shining. {Hero} came out to play.|In "
           "the morning, {hero} <go> {place}.|When the sun came up, {hero} <go> {place}.|The sun was shining. {Hero} "
           "<go> {place}.|The wind was blowing. {Hero} <go> {place}.|After school, {hero} <go> {place}.|A "
           "[warm|cool|soft] wind blew over the hills. {Hero} <go> {place}.|Last [night|week|summer], {hero} <go> "
           "{place}.|{Hero} was walking in {place}.|{Hero} wanted to play, so {he} <go> {place}.|{Hero} had a "
           "{thing}. {He} <go> {place} with it.]",
    "speech": '["What a lovely day!" said {hero}.|"I want to go to {place}," said {hero}.|{Hero} said, "What a lovely '
              'day!"|{Hero} said, "I want to go to {place}."|"Can I go out and play?" asked {hero}. "Yes, but come '
              'home for dinner," said {his} mother.|{Hero} asked, "Can I go out and play?" "Yes," said {his} '
              'mother.|{Hero} said, "Today I will go to {place}."|{Hero} looked out of the window and said, "The sun '
              'is out!"|"Good morning," said {hero} to the sun.|"Hello," said {hero} to the birds.] [{He} put on '
              "{his} [coat|boots|hat] and <go> {place}.|{He} <go> {place}.|Then {he} <go> {place}.]",
}

# A plot: the things it can be about, then its beats. {start} is the subject of the first sentence; {home_start} says
# that the plot begins at home, so that no opening which leaves the house fits.
PLOTS: list[tuple[str, list[str]]] = [
    ("ball hat book bell scarf key button drum", [
        "{start} [could not find {his} {thing} anywhere|saw that {his} {thing} was gone|lost {his} {thing}]. {He} "
        "looked [under the bench and behind the wall|in every corner of {place}|high and low], but the {noun} was not "
        "there.", '<sad> <meet> <ask> "I have lost my {noun}," said {hero}.', "<offer>",
        "They looked [behind every tree|in the tall grass|under the leaves]. Suddenly {friend} saw something {colour} "
        "[under a bush|beside a stone|next to the gate|in a puddle]. It was the {noun}!", "<thanks> <end>"]),
    ("kite ball hat balloon ribbon scarf", [
        "{start} was playing with {his} {thing} when [a strong wind|the wind|a gust of wind] blew it up into a tall "
        "tree. The {noun} was stuck [on a high branch|between the leaves|at the very top].",
        "{Hero} jumped and jumped, but {he} [was too small|could not reach it]. <sad> <meet> <ask>",
        '"My {noun} is in the tree," said {hero}. <offer>',
        "[{Friend} found a long stick. {Hero} stood on a stone and pushed the {noun} with it|{Friend} held a ladder, "
        "and {hero} climbed up step by step|They shook the tree as hard as they could]. [At last|Soon|One, two, "
        "three, and] the {noun} came down!", "<thanks> <end>"]),
    ("cart boat kite chair drum lamp clock wagon", [
        "{start} tripped over a stone and dropped {his} {thing}. [Crack!|Oh no!|Crash!] The {noun} was broken.",
        "[{He} tried to fix it, but it fell apart again.|{He} picked up the pieces one by one.] <sad> <meet> <ask>",
        '{Hero} showed {f_him} the {noun}. "It is broken," {he} said. <offer>',
        "[{Friend} brought some glue and a piece of string|{Friend} had a hammer and three nails|They worked with "
        "rope and wood]. They worked [all afternoon|until the sun went down|for an hour], and in the end the {noun} "
        "was [as good as new|even better than before].", "<thanks> <end>"]),
    ("leaf flower stone feather", [
        "{start} heard a [small|soft|tiny] voice. It came from behind a rock. A baby bird was sitting on the ground.",
        '"I fell out of my nest," said the baby bird. "I want my mother." {Hero} [wanted to help|felt sorry for the '
        "bird].",
        "{He} looked up, but the nest was too high. <meet> [{Hero} told {f_him} about the bird|{Hero} asked {f_him} "
        "for help]. <offer>",
        "{Friend} [bent down|stood very still], and {hero} climbed on {f_his} back. Gently, {he} put the baby bird "
        "into the nest.", "[The mother bird sang a happy song for them.|The mother bird gave them a {thing}.] <end>"]),
    ("hat coat scarf umbrella", [
        "{start} saw dark clouds in the sky. [Soon|Then] it began to rain. [The rain fell harder and harder.|There "
        "was thunder and lightning.]",
        "{Hero} was [cold and wet|afraid of the thunder], and home was far away. <meet> {Friend} was wet, too.",
        '["Come under my {noun}," said {hero}. {He} had a big {thing}, and there was room for two|"Look, there is a '
        'cave!" said {friend}. They ran inside and waited|"Let us hide under this big tree," said {friend}. They sat '
        "close together].",
        "They told each other [funny stories|jokes|secrets] until the rain stopped. Then [a rainbow|the sun] came "
        'out. "[How beautiful|Look at that]!" said {hero}.', "<end>"]),
    ("basket bag box bowl", [
        "{start} had a {thing} full of [cookies|apples|berries|nuts]. {He} wanted to eat them all by {himself}.",
        '<meet> "I am so hungry," said {friend}. "I have not eaten since yesterday."',
        "{Hero} looked at the {noun}. [There was not much in it.|It was {his} favourite food.] {He} thought for a "
        "while.", '"Sit down and eat with me," said {hero}. [So they shared everything|They ate every bite together].',
        '[The next day|Later], {friend} came back with a [big cake|pot of soup]. "This is for you, because you were '
        'kind," {f_he} said. [{Hero} learned that sharing is better than having it all.|<end>]']),
    ("lamp candle blanket lantern", [
        "{start} heard a strange noise in the dark. [Tap, tap, tap!|Whoo, whoo!|Scratch, scratch!] {He} was afraid.",
        '"Is it a monster?" {he} whispered. {He} [took {his} {thing} and held it tight|hid behind {his} {thing}].',
        '<meet> "Did you hear that?" asked {hero}. "Yes, let us go and look," said {friend}.',
        "[Step by step|Slowly and quietly], they went closer. It was [only a branch in the wind|only a little "
        "owl|only a mouse with a nut]! {Hero} and {friend} laughed.",
        "[After that, {hero} was not afraid of the dark anymore.|Now {hero} knew that the dark was not so bad.] "
        "<end>"]),
    ("bike boat horn flute sled", [
        "{start} wanted to learn how to [swim|whistle|skate|dance|juggle|paint]. {He} tried once, but it went wrong.",
        '"I will never learn it," said {hero}. <sad> <meet>',
        '"[I could not do it at first|It is hard for everyone in the beginning]," said {friend}. "You must try again '
        'and again."',
        "So {hero} tried again [every day|ten times|all week]. {Friend} helped {him} and never laughed at {him}. "
        "[Little by little|Day after day], it went better.",
        '[At last|One day], {hero} could do it! "[I did it|Look at me]!" {he} cried. {Friend} was very proud of '
        "{him}. [<end>|]"]),
    ("flag map bell whistle", [
        "{start} followed a [butterfly|bee|little stream] deep into {place}. When {he} looked around, {he} did not "
        "know the way home.", "It was getting dark. {Hero} called for help, but nobody answered. <sad>",
        '<meet> "I am lost," said {hero}. <offer>',
        "[They followed the river|They followed the stars|They looked for footprints|{Friend} climbed a tree and "
        "looked around]. Soon they saw a light [in a window|far away]. It was {hero_s} home!",
        "{His} mother [was waiting at the door|gave them hot milk|hugged {him} for a long time]. <end>"]),
    ("medal cup ribbon crown", [
        "{start} heard about a big race. The winner would get a {thing}. {Hero} wanted to win.",
        "[Ready, steady, go!|Everyone lined up.] {Hero} ran as fast as {he} could. Soon {he} was in front.",
        "Then {he} heard a cry. {Friend_intro} had [fallen down|hurt {f_his} foot|slipped in the mud]. {Hero} stopped.",
        '"[Are you all right|Can you walk]?" asked {hero}. {He} helped {friend} up, and they walked slowly to the '
        "end. They came in last.",
        "But everyone clapped for them. [{Hero} got the {noun} for being kind|{Friend} made a {noun} out of leaves "
        "for {hero}]. [<end>|]"]),
    ("flower rose tulip bean tree pumpkin", [
        "{start} planted a seed in the ground. {He} wanted to grow a {thing}. {He} waited and waited, but nothing "
        "came up.", '"Why does it not grow?" {he} asked. <sad> <meet>',
        '"A seed needs [water and sun|time and care]," said {friend}. "[Give it a drink every day|Be patient]."',
        "[Every morning|Every day], {hero} brought water in a can. [Days passed|Weeks went by]. Then a tiny green "
        "leaf came out of the ground.",
        'It grew and grew until it was a {thing}. {Hero} showed it to {friend}. "[It is beautiful|How tall it is]!" '
        "{f_he} said. <end>"]),
    ("ball drum truck doll sled swing", [
        '{start} played with {his} {thing}. <meet> "Can I play with the {noun}, too?" asked {friend}.',
        '"No, it is mine!" said {hero}. {Friend} [went away without a word|turned around and left|looked at the '
        "ground].", "{Hero} played alone. But it was [not much fun|no fun at all|boring] without a friend. <sad>",
        '{He} ran after {friend}. "I am sorry," said {hero}. "Let us play together." "[That is all right|I would like '
        'that]," said {friend}.', "They took turns with the {noun} and [laughed a lot|played until dark]. <end>"]),
    ("cake card crown gift present", [
        '{home_start} was sad because it was {his} birthday and nobody had said a word. "[Did everyone forget|Does '
        'nobody remember]?" {he} asked.',
        "{He} looked for {known_friend}, but {friend} was not at home. The street was empty. <sad>",
        "Then {he} saw a light in [the old barn|the kitchen|the big tent]. {He} opened the door slowly.",
        '"Surprise!" cried {friend} and all the others. There was music, and there was a {thing} on the table.',
        '"We did not forget you," said {friend}. {Hero} [laughed with joy|smiled from ear to ear]. <end>']),
    ("cup vase plate bowl jar", [
        "{home_start} ran through the kitchen and knocked over a {thing}. It fell to the floor and broke.",
        "It was {his} mother's favourite {noun}. {Hero} hid the pieces [under the bed|in a box]. {He} felt bad.",
        '{He} told {known_friend} about it. "You should tell the truth," said {friend}. "I will come with you."',
        '{Hero} went to {his} mother. "I broke your {noun}. I am sorry," {he} said. [{He} looked at {his} feet.|]',
        '"Thank you for telling me the truth," said {his} mother. [She gave {him} a hug.|She was not angry.] [The '
        "next day, they made a new {noun} together.|{Hero} never hid anything again.|From then on, {hero} always "
        "told the truth.]"]),
    ("boat raft ball basket", [
        "{start} put {his} {thing} on the river. But the water was fast, and the {noun} floated away.",
        '"Come back!" cried {hero}. {He} ran along the river, but the {noun} was too far from the bank. <meet>',
        '"My {noun} is floating away," said {hero}. <offer>',
        "They ran to the bridge. {Friend} held {hero} by the hand, and {hero} [reached down with a long "
        "branch|reached out with a net]. [Splash!|Now!] {He} caught the {noun}.", "<thanks> <end>"]),
    ("scarf blanket coat hat", [
        "{home_start} could not sleep. {He} turned to the left and to the right. [The moon was too bright.|The bed "
        "was too cold.]",
        '"I am not tired at all," {he} said. {He} got up and went outside. There {he} saw {friend_intro}.',
        '"Can you not sleep, either?" asked {friend}. "No," said {hero}. They sat down under {hero_s} {thing}.',
        "They counted [the stars|the clouds], and {friend} sang a [soft|quiet|slow] song. It was about [the moon and "
        "the sea|a boat full of dreams].",
        "Before the song was over, {hero} was fast asleep. [Good night, {hero_call}!|]"]),
    ("hat ribbon coat bag", [
        "{start} saw somebody new. It was {stranger} with a {thing}. {Friend} sat alone and did not speak to anyone.",
        "{Hero} felt shy, too. [But {he} remembered how it feels to be alone.|But {he} took a deep breath.]",
        '"Hello, my name is {hero_call}. I like your {noun}," {he} said. "Do you want to play with me?"',
        "{Friend} [looked up and smiled|nodded quickly]. They played [hide and seek|games|catch] in {place}.",
        '"I was afraid that I would not find a friend," said {friend}. "Now you have one," said {hero}. [<end>|]']),
    ("door key box chest map book", [
        '{start} found an old {thing} under a pile of leaves. ["What can it be?" {he} asked.|It was covered with '
        "dust.]", "{He} [wanted to open it, but it was too heavy|pulled and pushed, but nothing happened]. <meet>",
        '{Hero} showed {f_him} the {noun}. "[It must be very old|Maybe it is magic]!" said {friend}. <offer>',
        'Together they [cleaned it|turned it around]. On the back was a note. It said, "[Look behind the '
        'waterfall|Dig under the oak tree|Count ten steps from the well]."',
        "There they found [a bag of sweets|a box of shiny stones|a pair of silver bells]. They shared the treasure "
        "with everyone. <end>"]),
]


def expand(text: str, rng: random.Random) -> str:
    """Insert the rules, then choose among alternatives, innermost first."""
    while "<" in text:
        text = re.sub(r"<(\w+)>", lambda match: RULES[match[1]], text)
    while "[" in text:
        text = re.sub(r"\[([^\[\]]*)\]", lambda match: rng.choice(match[1].split("|")), text)
    return text


def character(rng: random.Random, adjectives: list[str]) -> dict[str, str]:
    """Somebody with a name (sometimes made up, so that the model learns to copy names it never saw) and pronouns."""
    he = rng.choice(["he", "she"])
    him, his, himself, child = FORMS[he]
    adjective, animal, roll = rng.choice(adjectives), rng.choice(ANIMALS), rng.random()
    beast = ("an " if adjective[0] in "aeiou" else "a ") + f"{adjective} {animal}"
    if roll < 0.3:  # an animal without a name
        name, long, call, intro = f"the {animal}", f"the {adjective} {animal}", animal, beast
    else:
        name, intro = rng.choice(GIRLS if he == "she" else BOYS), f"a [|little |young ]{child}"
        if roll < 0.45:
            onsets = "b d f g h j k l m n p r s t v z br st tr".split()
            syllables = [rng.choice(onsets) + rng.choice("aeiou") for _ in range(2)]
            name = "".join(syllables).capitalize() + rng.choice("nlrsk")
        elif roll > 0.8:
            name, intro = rng.choice(PETS[he]), beast
        long, call, intro = name, name, expand(f"{intro} [named|called] {name}", rng)
    return {"hero": name, "long": long, "intro": intro, "call": call, "he": he, "him": him, "his": his,
            "himself": himself}


def story(rng: random.Random) -> str:
    """One story: an opening, the beats of one plot, sometimes two paragraphs."""
    nouns, beats = rng.choice(PLOTS)
    hero = character(rng, ["little", "little", "little", "small", "young", "brave", "shy", "clever"])
    friend = hero
    while friend["hero"] == hero["hero"]:
        friend = character(rng, ["old", "kind", "wise", "big", "friendly"])
    noun, colour, unnamed = rng.choice(nouns.split()), rng.choice(COLOURS), friend["hero"].startswith("the ")
    known_friend = f"{hero['his']} friend" + (", " if unnamed else " ") + friend["hero"]
    slots = {key: hero[key] for key in ("hero", "long", "intro", "he", "him", "his", "himself")}
    slots |= {"friend": friend["hero"], "friend_call": friend["call"], "hero_call": hero["call"],
              "hero_s": hero["hero"] + "'s", "f_he": friend["he"], "f_him": friend["him"], "f_his": friend["his"],
              "stranger": friend["intro"], "known_friend": known_friend,
              "friend_intro":
                  friend["intro"] if unnamed else rng.choice([friend["hero"], known_friend, friend["intro"]]),
              "thing": f"{colour} {noun}", "noun": noun, "colour": colour, "place": rng.choice(PLACES)}
    opening = rng.choices(["<intro>", "<pair>", "<day>", "<speech>"], [8, 2, 9, 4])[0]
    if "{home_start}" in beats[0] and opening != "<pair>":
        opening = "<intro>"
    if "{stranger}" in beats[0] and opening == "<pair>":
        opening = "<day>"
    starts = ["{Hero}", "{He}", "There {he}", "Then {he}", "But then {hero}"]
    if opening in ("<intro>", "<pair>"):
        starts = ["One day, {hero}", "One morning, {hero}", "One <weather> day, {hero}", "But one day, {hero}"]
        starts += ["One day, {he}"] * (opening == "<intro>")
    if opening == "<pair>":
        slots["friend_intro"] = friend["hero"]
    slots["start"] = slots["home_start"] = rng.choice(starts)
    slots |= {key.capitalize(): value[0].upper() + value[1:] for key, value in slots.items()}
    parts = [expand(part, rng) for part in [opening, *beats]]
    cut = rng.randrange(1, len(parts) - 1) if rng.random() < 0.15 else 0  # two paragraphs
    text = "\n".join(" ".join(part) for part in (parts[:cut], parts[cut:]) if part)
    while "{" in text:  # slots may hold rules and other slots
        text = expand(re.sub(r"\{(\w+)\}", lambda match: slots[match[1]], text), rng)
    return re.sub(r" *\n *", "\n", re.sub(" +", " ", text)).strip()


def opened(text: str, rng: random.Random) -> str:
    """Some stories begin in the middle or in lower case, because a prompt may be anything."""
    roll = rng.random()
    if roll < 0.2:
        words = text.split(" ")
        return " ".join(words[rng.randrange(len(words) // 2):])
    return text[0].lower() + text[1:] if roll < 0.25 else text


# --- 2. The tokenizer -----------------------------------------------------------------------------------------------


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE. A prompt gets <s> in front and no </s>, which is what a causal language model is to predict."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=1024, special_tokens=["<pad>", "<s>", "</s>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    bos = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", special_tokens=[("<s>", bos)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
                                   model_max_length=CONTEXT, padding_side="left", clean_up_tokenization_spaces=False)


def encode(tokenizer: PreTrainedTokenizerFast, text: str, rng: random.Random) -> list[int]:
    """<s> text </s>. Some texts are encoded in two pieces, as when a prompt stops inside a word or after a space."""
    cut = rng.randrange(len(text)) if rng.random() < 0.1 else len(text)
    pieces = [tokenizer.encode(piece, add_special_tokens=False) for piece in (text[:cut], text[cut:])]
    return [tokenizer.bos_token_id, *pieces[0], *pieces[1], tokenizer.eos_token_id]


# --- 3. Training ----------------------------------------------------------------------------------------------------


def train(model: LlamaForCausalLM, rows: list[list[int]], pad: int) -> None:
    """One pass over the rows: AdamW, a short warm-up, then a cosine down to zero."""
    steps = len(rows) // BATCH_SIZE
    # Rows of similar length share a batch (less padding); the order of the batches is random.
    batches = []
    for first in range(0, steps * BATCH_SIZE, BATCH_SIZE * 50):
        block = sorted(rows[first:first + BATCH_SIZE * 50], key=len)
        batches += [block[at:at + BATCH_SIZE] for at in range(0, len(block), BATCH_SIZE)]
    random.Random(SEED).shuffle(batches)
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), fused=True)
    warm_up = max(1, steps // 25)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, 0.5 + 0.5 * math.cos(math.pi * step / steps)))
    model.train()
    for step, batch in enumerate(batches):
        width = max(map(len, batch))
        inputs = torch.tensor([row + [pad] * (width - len(row)) for row in batch])
        loss = model(input_ids=inputs, labels=inputs.masked_fill(inputs == pad, -100)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        if step % max(1, steps // 8) == 0 or step == steps - 1:
            print(f"step {step:>5} of {steps}   loss {loss.item():.3f}", flush=True)
    model.eval()


# --- 4. Measuring ---------------------------------------------------------------------------------------------------

PROMPTS = ["Once upon a time", "The little fox", "One morning, Mia", "Tom said,"]


@torch.inference_mode()
def continuations(folder: Path, dtype: torch.dtype, prompts: list[str]) -> list[tuple[str, bool]]:
    """The greedy continuation of each prompt, and whether it ended by itself."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    results = []
    for first in range(0, len(prompts), 50):
        inputs = tokenizer(prompts[first:first + 50], return_tensors="pt", padding=True)
        output = model.generate(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"],
                                max_new_tokens=MAX_NEW_TOKENS)
        new = output[:, inputs["input_ids"].shape[1]:]
        ended = (new == tokenizer.eos_token_id).any(dim=1).tolist()
        results += list(zip(tokenizer.batch_decode(new, skip_special_tokens=True), ended, strict=True))
    return results


@torch.inference_mode()
def measure(folder: Path, dtype: torch.dtype, texts: list[str]) -> dict[str, float]:
    """The scores of the stored model, computed in `dtype`; the card says what each of them is."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    nats, tokens = 0.0, 0
    for text in texts:
        row = torch.tensor([[*tokenizer.encode(text), tokenizer.eos_token_id]])
        logits = model(input_ids=row).logits[0, :-1].float()
        nats += torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="sum").item()
        tokens += row.shape[1] - 1
    results = continuations(folder, dtype, [" ".join(text.split()[:4]) for text in texts[:200]])
    split = [text.split() for text, _ in results]
    pairs = [list(itertools.pairwise(words)) for words in split]
    eights = [[tuple(words[at:at + 8]) for at in range(len(words) - 7)] for words in split]
    return {"perplexity": math.exp(nats / tokens),
            "bits_per_byte": nats / math.log(2) / sum(len(text.encode()) for text in texts),
            "ended": 100 * sum(end for _, end in results) / len(results),
            "repeating": 100 * sum(len(set(spans)) < len(spans) for spans in eights) / len(results),
            "distinct_2": len({pair for row in pairs for pair in row}) / max(1, sum(map(len, pairs)))}


# --- 5. The card and the main program -------------------------------------------------------------------------------

CARD = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# builtin/story

An honest toy: a Llama with {parameters:,} parameters which writes very short children's stories in English. It ships
inside hfcli so that the commands can be tried with no network and no download. It knows the sentence patterns of one
small grammar and about {words:,} English words. It knows no facts, follows no instructions and cannot chat.

## How it was made

`builtin/story.py` in the hfcli repository makes every file of this folder, this card included:

- **Text.** A grammar written for this project ({plots} plots, {alternatives} alternative phrasings) writes the stories;
  no data set was used. {stories:,} stories were seen once each; a quarter of them begin in the middle or in lower
  case, so that any prompt can be continued.
- **Tokenizer.** Byte-level BPE, {vocabulary:,} tokens, all 256 bytes among them, so any Unicode text round-trips. A
  prompt gets `<s>` in front; a story ends with `</s>`.
- **Model.** Llama, {layers} layers, width {width}, tied embeddings, context {context}; stored in bfloat16.
- **Training.** From scratch in float32: {steps:,} steps of {batch} stories ({tokens:.1f} million tokens), AdamW, peak
  learning rate {peak}, warm-up and cosine, seed {seed}. It took {minutes:.1f} minutes on two CPU cores
  (torch {torch}, transformers {transformers}).

## Scores

Measured by the same script on the stored files. "bfloat16" is how transformers loads the folder by default.

| | computed in float32 | computed in bfloat16 |
|---|---|---|
{scores}

- Perplexity and bits per byte: {held_out} stories of the same grammar from another seed ({held_out_seed}), none of them
  in the training text. Each story is scored on its own after `<s>`, its `</s>` included; bits are divided by the UTF-8
  bytes of the text. This says how well the grammar was learned and nothing about English at large.
- The other rows: greedy continuations of at most {limit} tokens for the first four words of 200 of these stories.
  Ended by itself: `</s>` was generated. Repeats itself: some eight words in a row occur twice in one continuation.
  Distinct-2: different pairs of neighbouring words in all continuations together, divided by all pairs.

## Samples

Greedy, computed in float32, the prompt in bold:

{samples}

## Limits

- It writes the plots of its grammar whatever the prompt says. Names from the prompt are mostly kept; topics are not.
- Greedy decoding favours a few of the plots; sampling (`do_sample=True`) shows the others.
- Text of other kinds and other languages is continued with a story or with nonsense.
- The training texts are at most {longest} tokens long. Longer inputs are accepted up to {context} tokens, but the model
  has not learned to use them.
- It is of no use for judging the quality of anything but the program around it.

## Licence

Apache-2.0, as hfcli itself.
"""

ROWS = [("Perplexity per token", "perplexity", ".3f"), ("Bits per byte", "bits_per_byte", ".4f"),
        ("Ended by itself, %", "ended", ".1f"), ("Repeats itself, %", "repeating", ".1f"),
        ("Distinct-2", "distinct_2", ".3f")]


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the toy language model builtin/story.")
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--output", type=Path, default=root / "hfcli" / "builtin" / "story", help="folder to write")
    parser.add_argument("--steps", type=int, default=5500, help="training steps")
    arguments = parser.parse_args()
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    transformers.utils.logging.disable_progress_bar()

    rng = random.Random(SEED)
    texts = [story(rng) for _ in range(arguments.steps * BATCH_SIZE)]
    tokenizer = train_tokenizer(texts[:20_000])
    rows = [encode(tokenizer, opened(text, rng), rng) for text in texts]
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=96, intermediate_size=224, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=CONTEXT, tie_word_embeddings=True, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model = LlamaForCausalLM(config)
    start = time.perf_counter()
    train(model, rows, tokenizer.pad_token_id)
    minutes = (time.perf_counter() - start) / 60

    special = {name: getattr(config, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model.generation_config = GenerationConfig(**special)  # no sampling flags: greedy
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder)
    # The same fast tokenizer under the name which older releases of transformers know as well.
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(settings, indent=2) + "\n")

    rng, seen = random.Random(HELD_OUT_SEED), set(texts)
    held_out = [text for text in (story(rng) for _ in range(500)) if text not in seen]
    full = measure(folder, torch.float32, held_out)
    half = measure(folder, torch.bfloat16, held_out)
    grammar = "".join([*RULES.values(), *(beat for _, beats in PLOTS for beat in beats)])
    samples = zip(PROMPTS, continuations(folder, torch.float32, PROMPTS), strict=True)
    (folder / "README.md").write_text(CARD.format(
        parameters=model.num_parameters(), words=len(set(re.findall(r"\b[a-z]+\b", " ".join(texts[:20_000])))),
        plots=len(PLOTS), alternatives=grammar.count("[") + grammar.count("|"), stories=len(rows),
        vocabulary=len(tokenizer), layers=config.num_hidden_layers, width=config.hidden_size, context=CONTEXT,
        steps=arguments.steps, batch=BATCH_SIZE, tokens=sum(map(len, rows)) / 1e6, peak=PEAK_LEARNING_RATE, seed=SEED,
        minutes=minutes, torch=torch.__version__.split("+")[0], transformers=transformers.__version__,
        scores="\n".join(f"| {name} | {full[key]:{form}} | {half[key]:{form}} |" for name, key, form in ROWS),
        held_out=len(held_out), held_out_seed=HELD_OUT_SEED, limit=MAX_NEW_TOKENS, longest=max(map(len, rows)),
        samples="\n\n".join("> **" + prompt + "**" + text.replace("\n", "\n>\n> ") for prompt, (text, _) in samples)))
    print(f"{minutes:.1f} minutes of training   perplexity {full['perplexity']:.3f}   ended {full['ended']:.1f}%")


if __name__ == "__main__":
    main()
