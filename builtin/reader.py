"""Build `builtin/reader`, the toy that answers questions from a passage and ships inside hfcli to be tried with no network.

    python builtin/reader.py [--output DIR] [--steps N] [--outside NAME=FILE ...]     # about twenty minutes on one core

One linear script, in five parts:

1. a seeded grammar writes short documents full of facts, and questions about them (every sentence below was written for
   this project; no data set is read);
2. a lower-casing WordPiece tokenizer is trained on them;
3. a small BERT is trained from scratch, in float32, to point at the first and the last token of the answer, or at [CLS]
   where the passage has none;
4. how sure "no answer" is gets fitted on documents from a second seed; the model is stored in bfloat16, read back, and
   measured on documents from a third, on questions written by hand, and on files in SQuAD's JSON that `--outside` names,
   which nothing was learned from;
5. the model card is written with the numbers just measured.

How exact is a rebuild? The documents and the tokenizer depend only on SEED and come out identical on any machine. The
weights repeat with the same torch version on the same kind of CPU with one thread; elsewhere, floating-point sums are
taken in another order, so the weights and the scores differ slightly.
"""

import argparse
import json
import math
import random
import re
import time
from array import array
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    BertConfig,
    BertForQuestionAnswering,
    PreTrainedTokenizerFast,
)

from hfcli import __version__, metrics
from hfcli.metrics import spans
from hfcli.tasks.base import Settings

SEED = 22
FITTING_SEED = 500_022
HELD_OUT_SEED = 1_000_022
BATCH_SIZE = 32
PEAK_LEARNING_RATE = 2e-3
VOCABULARY = 5000
CONTEXT = 384
STRIDE = 128
LONGEST_ANSWER = 30

# --- 1. The grammar -------------------------------------------------------------------------------------------------
# Words first. Meaning hardly matters: what is to be learned is to find the place that a question speaks of.

FIRST = """Mary John Anna Peter Laura David Emma Paul Sofia Thomas Julia Mark Clara James Lucy Robert Nina George Elena Henry
Alice Martin Rosa Oliver Irene Victor Helen Simon Maria Daniel Ruth Frank Karen Philip Diana Walter Eva Hugo Linda Oscar Amina
Yusuf Mei Kenji Ravi Priya Fatima Omar Ingrid Lars Pierre Marie Carlos Lucia Ivan Olga Chen Wei Samuel Grace Edward Charles
William Elizabeth Margaret Catherine Joseph Louis Frederick Albert Arthur""".split()
LAST = """Smith Baker Miller Clark Turner Brown Wood Hill Green Carter Young King Wright Scott Adams Nelson Moore Taylor Garcia
Lopez Rossi Novak Berg Hansen Larsen Weber Fischer Keller Dubois Laurent Tanaka Sato Kim Park Singh Patel Khan Ali Okafor Mensah
Silva Costa Ivanova Petrov Kowalski Horvat Jansen Peeters Murphy Kelly Byrne Stone Marsh Field Brook Lane Hart Fox""".split()
CITIES = """London Paris Berlin Rome Madrid Vienna Prague Oslo Dublin Lisbon Athens Cairo Delhi Tokyo Boston Chicago Denver Austin
Toronto Sydney Warsaw Hamburg Munich Milan Venice Geneva Zurich Lyon Bristol Leeds York Oxford Cambridge Glasgow Bergen Turin
Naples Seville Porto Krakow Riga Moscow Beijing Shanghai Nairobi Lagos Lima Santiago Kyoto Seoul Jakarta""".split()
COUNTRIES = """France|Germany|Italy|Spain|Norway|Sweden|Poland|Ireland|Portugal|Greece|Egypt|India|Japan|China|Brazil|Canada|Mexico|
Kenya|Peru|Chile|Turkey|Austria|Hungary|the Netherlands|the United States|the United Kingdom|Australia|South Africa|Nigeria|
England|Scotland|California|Texas|Europe|Africa|Asia|North America|Russia|Iran|Korea|Denmark""".replace("\n", "").split("|")
NATIONS = """French German Italian Spanish Norwegian Swedish Polish Irish Greek Indian Japanese Chinese Brazilian Canadian Russian
American British English Dutch Roman Turkish Persian European African Arab Latin""".split()
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
NUMBERS = """one two three four five six seven eight nine ten eleven twelve fourteen fifteen sixteen eighteen twenty thirty forty
fifty sixty eighty ninety""".split()
COLOURS = "red blue green yellow white black brown grey purple orange pink silver golden".split()
MATERIALS = "wood stone iron steel glass paper copper clay brick gold silver leather wool cotton plastic concrete marble sand".split()
ROLES = """mayor president director teacher engineer doctor nurse manager captain pilot farmer baker painter writer poet architect
singer actor lawyer judge scientist chemist physicist historian king queen prince bishop general soldier merchant secretary
treasurer chairman minister governor coach player driver librarian gardener carpenter plumber electrician journalist editor
photographer composer professor student officer guard clerk owner founder leader inventor philosopher mathematician sculptor
explorer emperor duke priest monk chief commander ambassador senator critic designer landlord tenant neighbour guide cook""".split()
# Nouns by what they are, so that "which building" can be asked about the station.
KINDS = {
    "building": "church bridge tower castle house school library museum station hospital theatre hotel factory temple palace "
                "cathedral mill barn stadium prison warehouse chapel market hall monastery",
    "vehicle": "ship train bus car boat truck bicycle plane rocket ferry tram engine carriage",
    "tool": "hammer key pump lamp clock camera printer radio telescope computer machine printer drill ladder knife pen compass motor "
            "battery valve filter heater oven kettle",
    "work": "book novel poem song film play painting letter map report opera symphony album newspaper article statue diary guide",
    "plan": "law treaty plan contract policy tax programme project theory method system agreement reform strategy budget",
    "animal": "dog cat horse cow sheep goat bird fish wolf bear lion elephant whale snake frog bee eagle owl rabbit deer tiger",
    "plant": "tree flower rose oak pine vine apple potato wheat maize rice bean tomato onion carrot lemon herb grass mushroom",
    "food": "bread cheese soup cake butter milk honey sugar salt coffee tea wine beer pie sauce salad chocolate",
    "body": "river lake mountain island valley forest desert hill canal bay coast sea glacier volcano waterfall cave",
    "group": "team band army club party company council committee family crew union choir class tribe parliament government "
             "court bank church board department police ministry",
    "event": "war battle fire flood storm election festival meeting strike race concert wedding trial game match conference "
             "exhibition revolution earthquake plague siege parade tournament",
    "thing": "box table chair door window wall roof garden field road street coin stone crown flag ring bell rope bag basket bottle "
             "cup plate bed carpet gate fence well signal message prize award medal lesson course room office shop product device "
             "program file form ticket bill cheque card gift toy tool stamp mirror brush shelf",
    "substance": "water oil gas oxygen carbon iron copper salt acid steam coal dust heat light energy electricity sound blood air "
                 "protein metal glass mercury nitrogen",
    "idea": "peace freedom power trade faith music science history religion art language culture education health justice truth "
            "knowledge economy market growth population disease climate weather wealth poverty pressure force speed",
}
NOUNS = [(noun, kind) for kind, nouns in KINDS.items() if kind not in ("substance", "idea", "food") for noun in nouns.split()]
MASS = [noun for kind in ("substance", "idea", "food") for noun in KINDS[kind].split()]
ADJECTIVES = """old new big small large little long short tall famous modern ancient local national public private important main
major first second third final early late wooden heavy light rare common special free full empty open broken hidden secret royal
holy foreign northern southern eastern western central popular traditional strong weak rich poor warm cold hot dry wet deep high
low wide narrow quick slow quiet loud simple complex natural human social political military economic medical legal official
general particular serious beautiful strange lost former future original digital electric annual daily weekly global urban rural
industrial commercial religious civil young great red white green black golden single double joint mobile safe dangerous""".split()
# Those in a line mean much the same: a question may say it with another word.
SAME = """buy purchase acquire obtain
build construct erect
create make produce
start begin launch
end finish complete
discover find detect
repair fix mend restore
show display present exhibit
win gain earn
hire employ engage
help assist support aid
choose select pick
close shut
destroy ruin demolish
improve upgrade enhance
receive get
give donate offer
teach instruct train
lead head direct
write compose
move transfer shift
call name
reject refuse decline
protect guard defend
attack invade raid
kill murder slay
visit tour
change alter modify
study examine investigate analyse
use employ utilise
sell trade
carry transport
found establish set up
need require
ask request
allow permit
ban forbid prohibit
replace substitute
collect gather
explain describe
approve accept adopt
increase raise
reduce cut lower decrease
own possess
seize capture take
send ship deliver
cancel withdraw
design plan
report announce
search explore
paint colour
cook prepare
clean wash
rent lease hire
check inspect test
steal rob
influence affect shape
invent develop
publish release issue
join enter
leave abandon
meet encounter
organise arrange hold
cover wrap
open unlock
contain include
record document
measure count
hide conceal
drop release
remove extract
block stop
praise honour
criticise attack
share divide
store keep
rule govern control
manage run operate
marry wed
elect appoint
arrest detain
translate interpret
film shoot
sign ratify
follow pursue
throw toss
plant grow
draw sketch
bring fetch
see observe notice
hear
eat consume
drink
read
sing perform
sink
catch trap
push press
pull drag
lift hoist
burn
break crack
feed
ride
rescue save
copy
load
mark label
order
pay
print
question
sponsor finance fund
unite
weigh
mention
fill
polish
escape flee
lose
fight oppose
expand extend
guide escort
dig excavate
invite
defeat beat conquer
recommend suggest
free liberate
prove demonstrate
tax
form
cause provoke
host
import
export""".split("\n")
VERBS = [verb for line in SAME for verb in line.split(" ") if verb not in ("set", "up")]
SYNONYMS: dict[str, list[str]] = {}
for _line in SAME:
    for _verb in _line.replace("set up", "").split():
        SYNONYMS[_verb] = SYNONYMS.get(_verb, []) + [word for word in _line.replace(" set up", "").split() if word != _verb]
IRREGULAR = dict(pair.split("=") for pair in """buy=bought build=built make=made begin=began,begun find=found show=showed,shown
win=won choose=chose,chosen shut=shut get=got give=gave,given teach=taught lead=led write=wrote,written slay=slew,slain
forbid=forbade,forbidden cut=cut take=took,taken send=sent withdraw=withdrew,withdrawn steal=stole,stolen leave=left meet=met
hold=held hide=hid,hidden keep=kept run=ran,run shoot=shot throw=threw,thrown grow=grew,grown draw=drew,drawn bring=brought
see=saw,seen hear=heard eat=ate,eaten drink=drank,drunk read=read sing=sang,sung sink=sank,sunk catch=caught feed=fed
ride=rode,ridden pay=paid lose=lost fight=fought dig=dug sell=sold flee=fled set=set break=broke,broken beat=beat,beaten wed=wed
prove=proved,proven drive=drove,driven""".split())
DOUBLED = {"ban", "rob", "stop", "trap", "ship", "drop", "drag", "plan", "control", "wrap", "transfer"}
PURPOSES = """save money|avoid the cold|reach the sea|escape the war|please the king|feed the poor|earn a living|attract visitors|
reduce costs|keep the peace|protect the town|stop the flood|raise money|save time|learn the language|improve safety|win the
election|find water|celebrate the victory|hide the truth|help the children|meet demand|prevent fires|cross the river|make room for
{nouns}|{verb} the {noun}|{verb} {person}|{verb} more {nouns}|get rid of the {nouns}|{verb} the {adj} {noun}|honour {person}""".replace("\n", " ").split("|")
REASONS = """the river was frozen|the old one was broken|prices had risen|there was no money left|the {noun} was too {adj}|the {nouns}
were too {adj}|{person} was ill|it was raining|the roof leaked|nobody came|{person} had asked for it|it was cheaper|the {noun} had been
{part}|the weather was bad|{adj} {nouns} were rare|the {noun} caught fire|the law had changed|demand was low|of a lack of {mass}|of the
{event}|of the {adj} {noun}|of bad weather|of a strike|of {mass} problems|there were too many {nouns}|{person} is {ing} the {noun}|the {role} was {ing} {nouns}|his {noun} is getting {adj}|the {group} {past} the
{noun}""".replace("\n", " ").split("|")
ORGS = """University of {city}|{city} {Group}|{Made} Company|{Made} Group|{last} and Sons|{Made} {Group}|National {Group} of {country}|
{Adj} {Noun} Society|{city} {Noun} Museum|Institute of {Mass}|{Made} Inc|{nation} {Group}|Bank of {city}|{last} & {last2}|{city} United|
Ministry of {Mass}|{Made} Foundation|the {city} {Noun} {Group}|{Made} Records|{Made} Airlines""".replace("\n", "").split("|")


def forms(verb: str) -> tuple[str, str, str, str]:
    """`writes`, `wrote`, `written`, `writing`."""
    past, part = ([*IRREGULAR[verb].split(","), None][:2]) if verb in IRREGULAR else (None, None)
    stem = verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else verb
    if verb in DOUBLED or verb in ("get", "win", "dig", "set", "run", "cut", "shut", "begin", "forbid"):
        stem += verb[-1]
    regular = verb[:-1] + "ied" if re.search("[^aeiou]y$", verb) else stem + "ed"
    third = verb[:-1] + "ies" if re.search("[^aeiou]y$", verb) else verb + ("es" if re.search("(s|sh|ch|x|z)$", verb) else "s")
    return third, past or regular, part or past or regular, stem + "ing"


FORMS = {verb: forms(verb) for verb in VERBS}


def plural(noun: str) -> str:
    if noun in ("sheep", "fish", "deer", "police"):
        return noun
    if re.search("[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    if noun in ("knife", "shelf", "wolf"):
        return re.sub("fe?$", "ves", noun)
    return noun + ("es" if re.search("(s|sh|ch|x|z|tomato|potato)$", noun) else "s")


ONSETS = "b c d f g h j k l m n p r s t v w z bl br ch cl cr dr fl gr pl pr sh sl st str th tr qu sc ph".split()
VOWELS = "a e i o u a e i o ai ea ee ie oo ou y".split()
MIDDLES = "n r s t l m nd rt st ck ng ll ss mp nt v d g p c".split()
ENDINGS = """a o i en er in an on us is el or ia um ton ville ford ham berg burg land wood ley field son sen ski ov ez ini elli ard
man tion ment ness ity ism ist ic al ing ate ine ium oid ology ance able ous ure age ship ex ix ur ak im eth""".split()


def made_up(rng: random.Random) -> str:
    """A word that nobody knows, in lower case."""
    word = ""
    for _ in range(rng.choice([1, 1, 1, 2, 2])):
        word += rng.choice(ONSETS) + rng.choice(VOWELS) + (rng.choice(MIDDLES) if rng.random() < 0.4 else "")
    return word + (rng.choice(ENDINGS) if rng.random() < 0.7 else "")


SLOT = re.compile(r"\{(@?)(\w+?)(\d?)\}")
CHOICE = re.compile(r"\[([^\[\]]*)\]")


class Writer:
    """Writes one document. Slots filled under a name stay what they are; those with @ hold for the whole document."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.document: dict[str, str] = {}

    def chosen(self, text: str) -> str:
        choose = self.rng.choice
        while CHOICE.search(text):
            text = CHOICE.sub(lambda match: choose(match[1].split("|")), text)
        return text

    def fill(self, text: str, slots: dict[str, str]) -> str:
        """Choose among [alternatives|...], then fill the {slots}."""

        def value(match: re.Match[str]) -> str:
            place = self.document if match[1] else slots
            name = match[2] + match[3]
            if name not in place:
                others = [there for key, there in place.items() if key.rstrip("0123456789") == match[2]]
                for _ in range(5):
                    place[name] = self.slot(match[2])
                    if place[name] not in others:
                        break
            return place[name]

        text = self.chosen(text)
        while SLOT.search(text):
            text = SLOT.sub(value, text)
        return text

    def person(self) -> str:
        rng = self.rng
        first, last = self.slot("first"), self.slot("last")
        roll = rng.random()
        if roll < 0.6:
            return f"{first} {last}"
        if roll < 0.75:
            return rng.choice(["Mr ", "Mrs ", "Ms ", "Dr ", "Professor ", "Dr. ", "Mr. ", "Captain ", "King ", "Saint "]) + last
        return first if roll < 0.82 else last if roll < 0.9 else f"{first} {rng.choice('ABCDEFGHJKLMPRSTW')}. {last}" if roll < 0.96 else f"{first} {self.slot('first')} {last}"

    def date(self) -> str:
        rng = self.rng
        day, month, year = rng.randint(1, 31), rng.choice(MONTHS), self.slot("year")
        return rng.choice([f"{day} {month} {year}", f"{day} {month}", f"{month} {day}", f"{month} {day}, {year}",
            f"{month} {year}", year, year, f"{rng.choice(DAYS)}, {day} {month}", f"the {day}th of {month}"])

    def number(self) -> str:
        rng = self.rng
        return rng.choice([str(rng.randint(2, 99)), rng.choice(NUMBERS[1:]), str(rng.randint(100, 999)),
                           f"{rng.randint(1, 99)},{rng.randint(0, 999):03}", f"{rng.randint(2, 60)}"])

    def slot(self, name: str) -> str:
        rng = self.rng
        pick = rng.choice
        match name:
            case "first":
                return pick(FIRST) if rng.random() < 0.7 else made_up(rng).capitalize()
            case "last":
                return pick(LAST) if rng.random() < 0.4 else made_up(rng).capitalize()
            case "person":
                return self.person()
            case "city":
                return pick(CITIES) if rng.random() < 0.5 else made_up(rng).capitalize()
            case "country":
                return pick(COUNTRIES) if rng.random() < 0.7 else made_up(rng).capitalize()
            case "place":
                return self.fill(pick(["{city}", "{city}", "{country}", "{city}, {country}", "northern {country}",
                    "the {body} {made}", "{Made} {Body}", "the {city} {building}", "the {adj} {building}", "the {building}"]),
                    {})
            case "made":
                return made_up(rng)
            case "Made":
                return made_up(rng).capitalize()
            case "org":
                return self.fill(pick(ORGS), {})
            case "entity":  # something with a name
                return self.fill(pick(["{Made}", "{Made}", "{Made} {Noun}", "{Made} {Building}", "the {Made} {Body}",
                    "the {Made} {noun}", "the {adj} {noun}", "the {city} {Noun}", "the {Event} of {city}",
                    "the {noun} of {city}", "{org}", "the {Adj} {Noun}"]), {})
            case "noun":
                return pick(NOUNS)[0] if rng.random() < 0.85 else made_up(rng)
            case "nouns":
                return plural(self.slot("noun"))
            case "mass":
                return pick(MASS) if rng.random() < 0.85 else made_up(rng)
            case "nation":
                return pick(NATIONS)
            case "Noun" | "Adj" | "Mass" | "Building" | "Body" | "Event" | "Group" | "Work":
                return self.slot(name.lower()).capitalize()
            case "adj":
                return pick(ADJECTIVES) if rng.random() < 0.9 else made_up(rng)
            case "verb":
                return pick(VERBS)
            case "third" | "past" | "part" | "ing":
                return FORMS[pick(VERBS)][["third", "past", "part", "ing"].index(name)]
            case "np":  # a thing described
                return self.fill(pick(["the {adj} {noun}", "the {noun}", "a {adj} {noun}", "the {noun} of {city}",
                    "{adj} {nouns}", "the {noun} {noun2}", "{mass}", "{mass} and {mass2}", "the {adj} {adj2} {noun}",
                    "{nouns} and {nouns2}", "a {noun}", "the {nouns} of the {noun2}", "{adj} {mass}", "the {nation} {noun}",
                    "{nouns}", "\"{Adj} {Noun}\"", "the {Made} {noun}", "his {noun}", "their {nouns}",
                    "{nouns}, {nouns2} and {nouns3}"]), {})
            case "title":
                return self.fill(pick(["The {Adj} {Noun}", "{Noun} and {Noun2}", "The {Noun} of {city}",
                    "A {Noun} for {first}", "{Made}", "My {Adj} {Noun}", "The {Noun}", "\"{Adj} {Noun}\"", "{Made} {Noun}"]),
                    {})
            case "role":
                return pick(ROLES)
            case "colour":
                return pick(COLOURS)
            case "material":
                return pick(MATERIALS)
            case "month":
                return pick(MONTHS)
            case "day":
                return pick(DAYS)
            case "year":
                return str(rng.choice([rng.randint(1000, 2029), rng.randint(1850, 2029)]))
            case "date":
                return self.date()
            case "num":
                return str(rng.randint(2, 40)) if rng.random() < 0.7 else pick(NUMBERS[1:])
            case "number":
                return self.number()
            case "ordinal":
                return pick("first second third fourth fifth sixth seventh tenth top ground".split())
            case "percent":
                return f"{rng.choice([rng.randint(1, 99), rng.randint(1, 99), round(rng.uniform(0, 99), 1)])}{pick(['%', '%', ' percent', ' per cent'])}"
            case "money":
                amount = pick([str(rng.randint(2, 99)), str(rng.randint(100, 999)),
                    f"{rng.randint(1, 99)}.{rng.randint(0, 99):02}", f"{rng.randint(1, 99)},{rng.randint(0, 999):03}",
                    f"{rng.randint(1, 99)} million", f"{rng.randint(1, 9)}.{rng.randint(1, 9)} billion"])
                return pick([f"${amount}", f"${amount}", f"{amount} dollars", f"{amount} euros", f"£{amount}", f"€{amount}",
                    f"{amount} pounds", f"{amount} crowns"])
            case "amount":
                return pick([f"{rng.randint(1, 999)} {pick(['g', 'ml', 'grams', 'kg', 'litres'])}",
                    f"{pick(NUMBERS)} {pick(['cups', 'spoons', 'pieces', 'slices'])}",
                    f"half a {pick(['cup', 'litre', 'kilo'])}"])
            case "measure":
                return f"{self.number()}{pick([' metres', ' m', ' km', ' kilometres', ' miles', ' feet', ' square kilometres', ' kilograms', ' tonnes', ' degrees', ' litres', ' meters', ' inches', ' hectares'])}"
            case "time":
                return pick([f"{rng.randint(1, 12)} {pick(['am', 'pm', 'a.m.', 'p.m.'])}",
                    f"{rng.randint(0, 23)}:{rng.randint(0, 11) * 5:02}",
                    f"{rng.randint(1, 12)}:{rng.randint(0, 11) * 5:02} {pick(['am', 'pm'])}", "noon",
                    f"{pick(NUMBERS[:11])} o'clock", "midnight"])
            case "duration":
                return pick([f"{self.slot('num')} {pick(['days', 'weeks', 'months', 'years', 'hours', 'minutes', 'seconds', 'decades', 'nights'])}", f"a {pick(['day', 'week', 'month', 'year', 'decade', 'century', 'night'])}", f"{rng.randint(2, 90)} {pick(['days', 'years', 'minutes', 'hours'])}", f"about {self.slot('num')} {pick(['days', 'weeks', 'years'])}", f"{rng.randint(2, 9)} to {rng.randint(10, 19)} {pick(['days', 'weeks', 'minutes'])}"])
            case "street":
                return f"{rng.randint(1, 199)} {pick([self.slot('last'), self.slot('adj').capitalize(), self.slot('noun').capitalize()])} {pick(['Street', 'Road', 'Lane', 'Avenue', 'Square'])}"
            case "email":
                return f"{pick([self.slot('first').lower(), 'info', 'office', 'help'])}@{made_up(rng)}.{pick(['com', 'org', 'net', 'example'])}"
            case "phone":
                return pick([f"{rng.randint(100, 999)} {rng.randint(1000, 9999)}",
                    f"0{rng.randint(10, 99)}-{rng.randint(10000, 99999)}", f"555-{rng.randint(1000, 9999)}",
                    f"extension {rng.randint(10, 999)}"])
            case "purpose":
                return self.fill(pick(PURPOSES), {})
            case "reason":
                return self.fill(pick(REASONS), {})
            case "people":
                return self.fill(pick(["the {role}s", "{num} {role}s", "the {adj} {role}", "the {role} of {city}",
                    "the {nation} {group}", "children", "women", "young people", "the {nation}s"]), {})
            case _ if name in KINDS:
                return pick(KINDS[name].split())
        raise KeyError(name)


# Facts. Lines are ways to say one; <1:...> marks what can be asked for. Lines `1? ...` ask for it, with | between several.
# A fact with * can stand in a document more than once, about something else. Facts are separated by empty lines.

ENCYCLOPEDIA = """
*{entity} is [located|situated|found] [in|near|on the edge of] <1:{place}>.
*{entity} lies [in|near|close to] <1:{place}>.
*[In|Near] <1:{place}> [is|lies|stands] {entity}.
1? Where is {entity}?|Where is {entity} [located|situated|found]?|In [what|which] [place|country|region|city] is {entity}?|Where does {entity} lie?|Where can you find {entity}?|What is the location of {entity}?

*{person} was born in <1:{place}> [in|on] <2:{date}>.
*{person} (born <2:{date}> in <1:{place}>) [is|was] a {nation} {role}.
*Born in <1:{place}> in <2:{year}>, {person} [grew up with {num} brothers|moved to {city}|studied {mass}|became a {role}].
1? Where was {person} born?|In [what|which] [city|country|place] was {person} born?|What is the birthplace of {person}?|Where did {person} come from?
2? When was {person} born?|In what year was {person} born?|What year was {person} born?|What is the birth date of {person}?

*{person} died [in|on] <1:{date}> in <2:{place}>[, aged <3:{num}>|].
*{person} died in <2:{place}> [in|on] <1:{date}>.
1? When did {person} die?|In what year did {person} die?|What year did {person} die?|When was the death of {person}?
2? Where did {person} die?|In [what|which] [city|place] did {person} die?|What was the place of death of {person}?

*{person} was [a|the|an] <1:{adj} {nation} {role}>.
*{person}, [a|the] <1:{role} [from {city}|of {country}|of {org}|]>, {past} {np}.
1? Who was {person}?|What was {person}?|What [is|was] {person}'s [job|profession|occupation|role]?|What did {person} do for a living?

*The {adj} {noun} of {entity} is <1:{adj2} {noun2}>.
1? What is the {noun} of {entity}?|What is the {adj} {noun} of {entity}?|What is {entity}'s {noun}?

*The {role} of {entity} [is|was|has been] <1:{person}>[, who {past} {np}|].
*<1:{person}> [is|was|became] the {role} of {entity}[ in {year}|].
*{entity}, whose {role} [is|was] <1:{person}>, {past} {np}.
*{entity} [is led by|was led by|has] {role} <1:{person}>.
1? Who [is|was] the {role} of {entity}?|Who is {entity}'s {role}?|Which person was {role} of {entity}?|What is the name of the {role} of {entity}?|Who served as {role} of {entity}?|Who became {role} of {entity}?

*{entity} is also [known as|called] <1:{title}>.
*{entity}, [also known as|also called|or|nicknamed|sometimes called] <1:{title}>, [is|was] a {adj} {noun}.
*The {noun} was named <1:{title}> by {entity}.
1? What is {entity} also [known as|called]?|What is another name for {entity}?|What is [a|the] [nickname|other name] of {entity}?|What name was given by {entity}?|By what other name is {entity} known?

*{entity} is [best|well|mainly|] known for <1:{np}>.
*{entity} is famous for <1:{np}>.
*{entity} became famous when it {past} <1:{np}>.
1? What is {entity} [best|mainly|] known for?|What is {entity} famous for?|What made {entity} famous?|For what is {entity} known?

*{entity} was named after <1:{person}>.
*{entity} [takes|got|has] its name from <1:{np}>.
*The name of {entity} comes from <1:{np}>.
1? [Who|What] was {entity} named after?|[Who|What] is {entity} named for?|Where does the name of {entity} come from?|From what does {entity} get its name?

*{entity} is [made|built] of <1:{material}[ and {material2}|]>.
*{entity} consists of <1:{material}[ and {mass}|]>.
*{entity} is [mostly|mainly|largely|] made [up|] of <1:{np}>.
1? What is {entity} made of?|What does {entity} consist of?|What is {entity} [mostly|mainly|] made of?|What material is used for {entity}?|Of what is {entity} made?

*{entity} has a population of [about|around|nearly|over|more than|] <1:{number}[ million| thousand|]>.
*About <1:{number}[ million| thousand|]> people live in {entity}.
*With <1:{number}[ million| thousand|]> inhabitants, {entity} is the {ordinal} largest [city|town|village] of {country}.
1? What is the population of {entity}?|How many people live in {entity}?|How many inhabitants does {entity} have?|How large is the population of {entity}?

*{entity} is [about|around|] <1:{measure}> [high|tall].
*At <1:{measure}>, {entity} is the [highest|tallest] {noun} of {country}.
*{entity} has a height of <1:{measure}>.
*{entity} rises to [a height of|] <1:{measure}>.
1? How [high|tall] is {entity}?|What is the height of {entity}?

*{entity} is [about|around|] <1:{measure}> long[ and <2:{measure2}> wide|].
*{entity} has a length of <1:{measure}>.
1? How long is {entity}?|What is the length of {entity}?
2? How wide is {entity}?|What is the width of {entity}?

*{entity} covers [an area of|] [about|] <1:{measure}>.
*{entity} has an area of <1:{measure}>.
1? What is the area of {entity}?|How [big|large] is {entity}?|What area does {entity} cover?|How much land does {entity} cover?

*{entity} weighs [about|] <1:{measure}>.
1? How much does {entity} weigh?|What is the weight of {entity}?|How heavy is {entity}?

*{entity} has <1:{number}> {nouns}[ and <2:{number2}> {nouns2}|].
*There are <1:{number}> {nouns} in {entity}[ and <2:{number2}> {nouns2}|].
*{entity} [contains|includes|owns|holds] [more than|about|at least|over|] <1:{number}> {nouns}.
1? How many {nouns} does {entity} have?|How many {nouns} are there in {entity}?|How many {nouns} are in {entity}?|What is the number of {nouns} in {entity}?
2? How many {nouns2} does {entity} have?|How many {nouns2} are there in {entity}?|How many {nouns2} are in {entity}?

*[About|Around|Some|Nearly|More than|] <1:{percent}> of [the|all] {nouns} [in|of] {entity} are {adj}.
*In {entity}, <1:{percent}> of the {nouns} [were|are] {part}.
1? What percentage of [the|] {nouns} [in|of] {entity} [is|are|were] [{adj}|{part}]?|What percent of {nouns} in {entity} were {part}?|How many [of the|] {nouns} of {entity} are {adj}?|What share of the {nouns} is {adj}?

*{entity} was [founded|established|set up|created|started] in <1:{year}>[ by <2:{person}>|].
*{entity} was [founded|established|created] by <2:{person}> in <1:{year}>.
*In <1:{year}>, <2:{person}> [founded|established|set up|started] {entity}.
*[Founded|Established] in <1:{year}>, {entity} {past} {np}.
1? When was {entity} [founded|established|created|started|set up]?|In [what|which] year was {entity} [founded|established|created]?|What year was {entity} [founded|established|created]?|When did {entity} begin?
2? Who [founded|established|created|started|set up] {entity}?|By whom was {entity} founded?|Who was the founder of {entity}?|Who was {entity} founded by?

*{entity} was [built|completed|opened|finished] [in|on] <1:{date}>.
*The construction of {entity} began in <2:{year2}> and ended in <1:{year}>.
*[Built|Opened|Completed] in <1:{year}>, {entity} {past} {np}.
1? When was {entity} [built|completed|opened|finished]?|In what year was {entity} [built|completed|finished]?|When did the construction of {entity} end?
2? When did the construction of {entity} begin?|When was the construction of {entity} started?

*{entity} is part of <1:{entity2}>.
*{entity} belongs to <1:{entity2}>.
*{entity} is owned by <1:{org}>.
1? What is {entity} part of?|[What|Who] does {entity} belong to?|Who owns {entity}?|Which [company|group|body] owns {entity}?|To what does {entity} belong?

*{entity} is used [to|for] <1:{purpose}>.
*{entity} is [mainly|mostly|often|] used [as|for] <1:{np}>.
*People use {entity} to <1:{purpose}>.
1? What is {entity} used for?|What do people use {entity} for?|What is the use of {entity}?|What is the purpose of {entity}?|How is {entity} [mainly|] used?

*{title} is a {work} by <1:{person}>[ from <2:{year}>|].
*{title} was [written|painted|directed|made|composed] by <1:{person}>[ in <2:{year}>|].
*In <2:{year}>, <1:{person}> [published|wrote|released] {title}.
1? Who [wrote|made|created|directed|painted|composed] {title}?|Who is the [author|director|creator] of {title}?|By whom was {title} written?|Whose {work} is {title}?
2? When was {title} [written|published|made|released]?|What year was {title} [published|made|released]?|In what year did {title} appear?

*The [capital|largest city|main city|seat] of {entity} is <1:{city}>.
*<1:{city}> is the [capital|largest city|main city] of {entity}.
*{entity}, whose [capital|largest city] is <1:{city}>, borders {country}.
1? What is the [capital|largest city|main city] of {entity}?|What is {entity}'s capital?|Which city is the [capital|largest city] of {entity}?|What city is the capital of {entity}?

*The [official|main|first|] language of {entity} is <1:{nation}>.
*People in {entity} speak <1:{nation}[ and {nation2}|]>.
1? What language is spoken in {entity}?|Which language do people in {entity} speak?|What is the [official|main|] language of {entity}?

*The currency of {entity} is the <1:{made}>.
*In {entity} one pays with the <1:{made}>.
1? What is the currency of {entity}?|What currency is used in {entity}?|What money is used in {entity}?

*{entity} {third} <1:{np}> and <2:{np2}>.
*{entity} {third} <1:{np}>, but it does not {verb} <2:{np2}>.
1? What does {entity} {verb2}?|What does {entity} [do|use|have]?

*The {adj} {nouns} [are|were] called <1:{made}s>.
*{Adj} {nouns} are known as <1:{made}s>.
*A {adj} {noun} is called a <1:{made}>.
*The {nation} [word|name] for {adj} {nouns} is <1:{made}>.
*<1:{made}> is the [word|name|term] for [a|the] {adj} {noun}.
1? What are {adj} {nouns} called?|What is a {adj} {noun} called?|What is the [word|name|term] for a {adj} {noun}?|What do we call {adj} {nouns}?

*[The main cause of|What causes|The cause of] {entity} is <1:{np}>.
*{entity} is caused by <1:{np}>.
*<1:{np}> [causes|led to|caused|resulted in|brought about] {entity}.
*{entity} was [the result|a result|a consequence] of <1:{np}>.
1? What [causes|caused] {entity}?|What is the cause of {entity}?|What led to {entity}?|What is the reason for {entity}?|What resulted in {entity}?

*{entity} [feeds|lives|depends|is based] on <1:{np}>.
*The diet of {entity} is <1:{np}>.
1? What does {entity} [feed|live|depend] on?|What does {entity} eat?|What is {entity} based on?|On what does {entity} depend?

*[The|One] most {adj} {noun} [of|in] {entity} is <1:{title}>.
*<1:{title}> is the most {adj} {noun} in {entity}.
1? What is the most {adj} {noun} [of|in] {entity}?|Which {noun} is the most {adj} in {entity}?|What {noun} is the most {adj} in {entity}?

*{entity} [played|worked|taught|lived|performed|served] [for|with|in] <1:{org}> from <2:{year}> to <3:{year2}>.
*From <2:{year}> until <3:{year2}>, {entity} [belonged to|was with|was part of] <1:{org}>.
1? [For whom|Where] did {entity} [work|play]?|What [team|company|group] did {entity} [belong to|play for|work for]?|Who did {entity} [play|work] for?
2? When did {entity} [begin|start]?|In what year did {entity} join {org}?
3? Until when did {entity} belong to {org}?|Until what year was {entity} with {org}?

*{person} [married|got married to|was the wife of|was the husband of] <1:{person2}>[ in <2:{year}>|].
*{person} and <1:{person2}> married in <2:{year}>.
1? Who did {person} marry?|Who was {person} married to?|Who [was|is] the [wife|husband|spouse] of {person}?|Whom did {person} marry?
2? When did {person} marry?|In what year did {person} get married?

*{person} studied <1:{mass}> at <2:{org}>.
*{person} [went to|attended|graduated from] <2:{org}>, [studying|with a degree in] <1:{mass}>.
1? What did {person} study?|Which subject did {person} study?|What was {person}'s degree in?
2? Where did {person} study?|Where did {person} go to [school|university]?|At which [school|university] did {person} study?|What [school|university] did {person} attend?

*{person}, [son|daughter] of <1:{person2}>, [was|became] {role} of {place}.
*The [father|mother] of {person} was <1:{person2}>.
*{person} was the [son|daughter] of <1:{person2}>.
1? Who was the [father|mother|parent] of {person}?|Who was {person}'s [father|mother]?|Whose child was {person}?

*{person} [won|received|was awarded|was given] <1:the {Made} [Prize|Medal|Award]> in <2:{year}>[ for <3:{np}>|].
*In <2:{year}>, {person} [won|received|was awarded] <1:the {Made} [Prize|Medal|Award]>[ for <3:{np}>|].
1? [What|Which] [prize|award|medal] did {person} [win|receive|get]?|What was {person} awarded?|What did {person} win?
2? When did {person} [win|receive] [the|a|the {Made}] [prize|award|medal]?|In what year was {person} given the [prize|award]?
3? What did {person} [win|receive] the [prize|award|medal] for?|For what was {person} awarded?

*According to <1:{person}>, {np} [is|was|were|are] {adj}.
*<1:{person}> [said|thought|believed|argued|claimed|wrote] that {np} [is|was] {adj}.
1? Who [said|thought|believed|argued|claimed] that {np} was {adj}?|According to whom was {np} {adj}?|Who called {np} {adj}?

*[The|A] {role} [said|thought|believed|argued|claimed|found|showed] that {np} [was|were] <1:{adj}>.
*{person} [said|thought|argued|found] that {np} [was|were] <1:{adj} and {adj2}>.
1? What did the {role} [say|think|believe] about {np}?|How did the {role} describe {np}?|What did {person} [say|think] of {np}?

*[The|Such] {nouns} [occur|are found|live|appear|grow] in <1:{place}>.
*{nouns} are [common|rare|found|grown] [in|near] <1:the {body} of {country}>.
1? Where do [the|] {nouns} [occur|live|grow|appear]?|Where are [the|] {nouns} found?|Where can {nouns} be found?

*There are <1:{num}> [types|kinds|forms|groups|classes] of {nouns}: <2:{adj}, {adj2} and {adj3}>.
*{nouns} can be divided into <1:{num}> [types|kinds|groups]: <2:{nouns2} and {nouns3}>.
1? How many [types|kinds|forms|groups] of {nouns} are there?|Into how many [types|kinds|groups] are {nouns} divided?
2? What are the [types|kinds|groups|forms] of {nouns}?|Which [types|kinds|groups] of {nouns} are there?|What kinds of {nouns} exist?

*{entity} [lasted|went on|continued] for <1:{duration}>.
*It took <1:{duration}> to {verb} {entity}.
*{entity} took <1:{duration}>.
1? How long did {entity} [last|take|go on]?|For how long did {entity} [last|continue]?|How long did it take to {verb} {entity}?|What was the length of {entity}?

*{entity} took place [in|at] <1:{place}> [in|on] <2:{date}>.
*{entity} was held [in|at] <1:{place}> [in|on] <2:{date}>.
*[In|On] <2:{date}>, {entity} [took place|was held|happened] in <1:{place}>.
*{entity} [began|started|opened] on <2:{date}> in <1:{place}>.
1? Where did {entity} [take place|happen]?|Where was {entity} [held|fought]?|In which [city|country|place] was {entity} held?|What was the location of {entity}?
2? When did {entity} [take place|happen|begin|start]?|When was {entity} [held|fought]?|On what date did {entity} take place?|In what year did {entity} take place?

*{entity} cost [about|over|almost|] <1:{money}>.
*The cost of {entity} was <1:{money}>.
*{org} paid <1:{money}> for {entity}.
*{entity} was sold [to {person}|] for <1:{money}>.
1? How much did {entity} cost?|What was the [cost|price] of {entity}?|How much was paid for {entity}?|How much money was spent on {entity}?|For how much was {entity} sold?

*<1:{person}> was the {ordinal} {role} to {verb} {np}.
*The {ordinal} {role} to {verb} {np} was <1:{person}>[, in <2:{year}>|].
1? Who was the {ordinal} {role} to {verb} {np}?|Which {role} was the {ordinal} to {verb} {np}?|What is the name of the {ordinal} {role} to {verb} {np}?
2? When did the {ordinal} {role} {verb} {np}?

*[Some|Many|Several|Other] {nouns}, [such as|including|for example|like] <1:{entity}>, {past} {np}.
*{Adj} {nouns} such as <1:{entity} and {entity2}> {verb} {np}.
1? What is an example of [a|] {nouns}?|Which {nouns} {past} {np}?|Name one of the {nouns} that {past} {np}?|What {nouns} {verb} {np}?

*In addition to {np}, {entity} [also|] {past} <1:{np2}>.
*{entity} not only {past} {np} but also <1:{np2}>.
*Instead of {np}, {entity} {past} <1:{np2}>.
*Unlike {entity2}, {entity} {past} <1:{np2}>.
1? What did {entity} [also|] {verb2}?|What else did {entity} {verb2}?|What did {entity} {verb2} [besides|instead of|in addition to] {np}?

*The {adj} {noun} [is|was] <1:{part} by {people}> [and|but] {past} {np}.
*<1:{people}> [often|usually|mainly|rarely|] {verb} the {adj} {noun}.
*[The|] {nouns} are {part} by <1:{people}>.
1? Who [often|usually|] {verb}s the {adj} {noun}?|By whom are {nouns} {part}?|Who are [the|] {nouns} {part} by?|Which group of people {verb}s the {adj} {noun}?

*The {noun} [of|in] {entity} [increased|rose|grew|fell|dropped] from <2:{number}> to <1:{number2}> [in|by] <3:{year}>.
*By <3:{year}>, the {noun} of {entity} had [reached|risen to|fallen to] <1:{number2}>.
1? What did the {noun} of {entity} [increase|rise|grow|fall|drop] to?|How [high|large] was the {noun} of {entity} in {year}?|To what did the {noun} of {entity} rise?
2? What was the {noun} of {entity} before?|From what number did the {noun} of {entity} start?
3? When did the {noun} of {entity} reach {number2}?|By what year had the {noun} of {entity} changed?

*{entity}, [which|that] [is|was] [a|one of the] {adj} <1:{noun} of {place}>, {past} {np}.
*{entity} is a [type|kind|form|sort] of <1:{adj} {noun}>.
*{entity} [is|was] [a|an|one of the most] <1:{adj} {noun}>[ in {place}|].
1? What is {entity}?|What [type|kind|sort] of [thing|{noun}] is {entity}?|What was {entity}?

*[A|The] {adj} {noun} between <1:{entity}> and <2:{entity2}> was {part} in <3:{date}>.
1? Between [what|whom] was the {adj} {noun} {part}?|With whom did {entity2} have a {adj} {noun}?
3? When was the {adj} {noun} between {entity} and {entity2} {part}?|In what year was the {adj} {noun} {part}?

*{entity} [is divided|was split|was divided] into <1:{num} {nouns}>.
*The <1:{num}> {nouns} of {entity} are {part} {past}.
1? Into how many {nouns} is {entity} divided?|What is {entity} divided into?|How many {nouns} does {entity} have?

*{entity} was [replaced|followed|succeeded] by <1:{entity2}>[ in <2:{year}>|].
*After {entity} came <1:{entity2}>.
*<1:{entity2}> [replaced|followed|succeeded] {entity}[ in <2:{year}>|].
1? [What|Who] [replaced|followed|succeeded] {entity}?|By [what|whom] was {entity} [replaced|followed|succeeded]?|[What|Who] came after {entity}?
2? When was {entity} [replaced|followed|succeeded]?|In what year was {entity} replaced?

*{entity} [moved|was moved|spread|travelled|came] from <1:{place}> to <2:{place2}>[ in <3:{year}>|].
1? Where did {entity} [move|spread|travel|come] from?|From where did {entity} [move|come]?
2? Where did {entity} [move|spread|travel] to?|To which place did {entity} [move|spread]?|Where was {entity} moved?
3? When did {entity} [move|spread]?|In what year did {entity} move to {place2}?

*The {noun} is called <1:{made}> because <2:{reason}>.
*{entity} {past} {np} because <2:{reason}>.
*Because <2:{reason}>, {entity} {past} {np}.
2? Why did {entity} {verb} {np}?|For what reason did {entity} {verb} {np}?|Why is the {noun} called {made}?

*{entity} is [a|the] [member|part|partner] of <1:{org}>[ since <2:{year}>|].
*{entity} joined <1:{org}> in <2:{year}>.
1? What did {entity} join?|Which [group|organization|organisation|body] did {entity} join?|What is {entity} a [member|part] of?
2? When did {entity} join {org}?|In what year did {entity} join [{org}|the group]?

*{entity} uses <1:{np}> to {purpose}.
*To {purpose}, {entity} [uses|needs|has] <1:{np}>.
*With <1:{np}>, {entity} [can|could|was able to] {purpose}.
1? What does {entity} use to {purpose}?|What is used [by {entity}|] to {purpose}?|How does {entity} {purpose}?|What does {entity} need to {purpose}?
"""

LEASE = """
The [monthly|] rent is <1:{money}>[ a month| per month|, payable in advance|].
The tenant [pays|shall pay] [a rent of|] <1:{money}> [a month|per month|every month] for the {@home}.
1? How much is the rent?|What is the [monthly|] rent?|How much does the {@home} cost a month?|What does the tenant pay every month?|How high is the rent?

The rent is [due|payable|to be paid] <1:on the {day} of each month>.
[Payment|The rent] [is due|must arrive] <1:by the {num}th [day|] of [the|each] month>.
1? When is the rent due?|When must the rent be paid?|By when does the tenant have to pay?|When do I have to pay the rent?

[The tenant pays a|There is a|A] [security|] deposit of <1:{money}>[ is due [before moving in|when the lease is signed]|].
The [security|] deposit [is|amounts to] <1:{money}>.
Before moving in, the tenant [pays|leaves] a deposit of <1:[{money}|{num} months' rent]>.
1? How much is the deposit?|What is the [amount|size] of the deposit?|How high is the deposit?|What deposit does the tenant pay?

The deposit [is|will be|shall be] [returned|paid back|repaid|refunded] <1:[within|no later than|in|at most] {num} [days|weeks] after [the {@home} is [handed over|given back|empty]|the end of the lease|moving out|the last inspection|the lease ends]>[, less the cost of repairs|].
The [landlord|owner] [shall|will|has to] [return|pay back|repay] the deposit <1:[within|no later than|in] {num} [days|weeks] [of|after] [moving out|the end of the lease|the return of the {@home}|the final inspection]>[, less any unpaid rent|].
The tenant [gets|receives|shall get|is given] the deposit [back|] <1:[within|at the latest|] {num} [days|weeks] after [leaving|moving out|the {@home} is empty]>[, less what is owed|].
1? When is the deposit [returned|paid back|given back|refunded]?|When [do I|does the tenant] get the deposit back?|How long does it take to get the deposit back?|When will the deposit be repaid?

[Pets|Dogs and cats|Animals] are <1:[not allowed|allowed|not permitted|forbidden|welcome|allowed with written consent|only allowed if {@person2} agrees]>.
The tenant <1:[may not|may|must not] keep [pets|animals|dogs]>.
1? Are pets allowed?|May I keep a [dog|cat|pet]?|Can the tenant have pets?|What about pets?|Are [animals|dogs] permitted?

Smoking is <1:[not allowed|forbidden|prohibited|only allowed on the balcony|not permitted anywhere in the building]>.
1? Is smoking allowed?|May I smoke?|Where is smoking allowed?|Can tenants smoke?

The {@home} [is|lies] at <1:{street}>[, {city}|].
This [lease|agreement|contract] [is for|concerns] the {@home} at <1:{street}>.
1? [Where|At which address] is the {@home}?|What is the address of the {@home}?

The landlord is <1:{@person2}>[ and the tenant is <2:{@person}>|].
This [lease|agreement] is made between <1:{@person2}>, the landlord, and <2:{@person}>, the tenant.
<1:{@person2}> lets the {@home} to <2:{@person}>.
1? Who is the landlord?|Who owns the {@home}?|What is the name of the landlord?|Who lets the {@home}?
2? Who is the tenant?|Who rents the {@home}?|What is the name of the tenant?

The lease [begins|starts|runs from] on <1:{date}>[ and ends on <2:{date2}>|].
The tenant may move in on <1:{date}>[ and must leave by <2:{date2}>|].
1? When does the lease [begin|start]?|When can the tenant move in?|What is the first day of the lease?
2? When does the lease end?|When must the tenant move out?|Until when does the lease run?

The lease runs for <1:{duration}>.
The term of this lease is <1:{duration}>.
1? How long is the lease?|How long does the lease run?|For how long is the {@home} let?|What is the term of the lease?

[Either party|The tenant] may [end|terminate] the lease with <1:{duration}>' notice.
The notice period is <1:{duration}>.
1? How long is the notice period?|What is the notice period?|How much notice must be given?|How can the lease be ended?

[Quiet hours are|Please be quiet] from <1:{time}> to <2:{time2}>.
No [loud music|noise] [after|from] <1:{time}>.
1? [When|From when] must it be quiet?|When do the quiet hours begin?|What are the quiet hours?|After what time is noise forbidden?
2? When do the quiet hours end?

[Rubbish|Waste|Paper] is [collected|picked up] <1:[every|on] {day}>[ at <2:{time}>|].
Please put the bins out <1:on {day} [morning|evening]>.
1? When is the [rubbish|waste] collected?|On which day is the [rubbish|waste] picked up?|When do the bins go out?
2? At what time is the waste collected?

[Repairs|Small repairs] [up to {money}|] are paid by <1:[the tenant|the landlord|{@person2}]>.
<1:[The landlord|The tenant|{@person2}]> pays for [repairs|the heating|broken windows].
1? Who pays for [the|] repairs?|Who has to pay for repairs?|Who is responsible for repairs?

[Heating|Water|Electricity] [is|costs are] <1:[included in the rent|not included|paid by the tenant|billed every {month}]>.
1? Is [heating|water|electricity] included?|Who pays for [heating|water|electricity]?|What about the [heating|electricity] costs?

[A late payment costs|For late payment there is a fee of|The fee for late rent is] <1:{money}>.
1? What [is|happens if] the rent is late?|How much is the late fee?|What does a late payment cost?|What is the fee for late rent?

The {@home} has <1:{num}> rooms[ and <2:{num2}> [balconies|bathrooms|cellars]|].
1? How many rooms are there?|How many rooms does the {@home} have?
2? How many [balconies|bathrooms|cellars] are there?

The keys [can be collected|are handed over] <1:[at|from] {@place}> [on|at] <2:{day|date|time}>.
1? Where [do I|can I] get the keys?|Where are the keys handed over?
2? When do I get the keys?|When are the keys handed over?

The landlord may enter the {@home} <1:[after {duration}' notice|only in an emergency|once a year|with {duration}' notice]>.
1? When may the landlord enter?|Can the landlord enter the {@home}?|How often may the landlord come in?

[Guests|Visitors] may stay <1:[for at most|up to|no longer than] {duration}>.
1? How long [may|can] [guests|visitors] stay?|For how long can I have guests?

The tenant may not [sublet|rent out] the {@home} without <1:the [written|] consent of [the landlord|{@person2}]>.
1? What is needed to sublet?|Whose consent is needed to sublet the {@home}?|Can the tenant sublet?
"""

MANUAL = """
[Press|Push|Hold|Turn] <1:the {adj} [button|switch|key|knob]> [for {duration}|] to [start|switch on|turn on] the {@tool}.
To [start|switch on|turn on] the {@tool}, [press|push|hold|turn] <1:the {adj} [button|switch|key]>.
1? How do I [start|switch on|turn on] the {@tool}?|Which [button|switch] [starts|turns on] the {@tool}?|What do I [press|push] to start the {@tool}?

[Press|Push|Hold|Turn] <1:the {adj} [button|switch|key|knob]> to [stop|switch off|turn off] the {@tool}.
To [stop|switch off|turn off] it, [press|pull|turn] <1:the {adj} [button|switch|lever]>.
1? How do I [stop|switch off|turn off] the {@tool}?|Which [button|switch] turns it off?|What stops the {@tool}?

[Charging|A full charge] takes <1:{duration}>.
The battery is full after <1:{duration}>.
1? How long does [charging|it] take [to charge|]?|How long does it take to charge the [battery|{@tool}]?|When is the battery full?

The battery lasts [about|up to|] <1:{duration}>.
One charge is enough for <1:{duration}>.
1? How long does the battery last?|What is the battery life?|How long does one charge last?

[Clean|Wash|Wipe] the {part_of} <1:[once a|every] [day|week|month]> with <2:{cleaner}>.
The {part_of} should be cleaned <1:[once a|every] [day|week|month]>[ with <2:{cleaner}>|].
1? How often should [I|you] clean the {part_of}?|How often must the {part_of} be cleaned?|When should the {part_of} be cleaned?
2? What should I use to clean the {part_of}?|With what is the {part_of} cleaned?|How do I clean the {part_of}?

[Replace|Change] the {part_of} [every|after] <1:{duration}>.
The {part_of} must be [replaced|changed] after <1:{duration}>.
1? How often must the {part_of} be [replaced|changed]?|When should I [replace|change] the {part_of}?|After how long is a new {part_of} needed?

The [guarantee|warranty] [lasts|is|runs for] <1:{duration}>.
[We give|There is] a [guarantee|warranty] of <1:{duration}>.
1? How long is the [guarantee|warranty]?|How long does the [guarantee|warranty] last?|For how long is the {@tool} covered?

*If the [light|lamp] is {colour}, <1:{trouble}>.
*A {colour} light means that <1:{trouble}>.
*When <1:{trouble}>, the light turns {colour}.
1? What does [a|the] {colour} light mean?|What does it mean if the light is {colour}?|Why is the light {colour}?

*The {colour} [light|lamp] shows <1:{np}>.
*<1:{np}> is shown by the {colour} lamp.
1? What does the {colour} [lamp|light] show?|What is shown by the {colour} light?

Never {verb} the {@tool} <1:[near water|while it is running|with wet hands|in the rain|when it is hot|without the {part_of}]>.
1? When should [I|you] not {verb} the {@tool}?|What should be avoided with the {@tool}?|Where must the {@tool} never be used?

The {@tool} weighs <1:{measure}>[ and is <2:{measure2}> high|].
1? How [heavy is|much does] the {@tool}[ weigh|]?|What is the weight of the {@tool}?
2? How high is the {@tool}?|What is the height of the {@tool}?

The {@tool} is made [by|in] <1:{org}>.
<1:{org}> [makes|produces|built] the {@tool}.
1? Who [makes|made|produces] the {@tool}?|Which company makes the {@tool}?|Who is the maker of the {@tool}?

[For help|If it does not work|In case of problems], call <1:{phone}>[ or write to <2:{email}>|].
You can reach our service at <1:{phone}>.
1? Which number [should I|do I] call [for help|]?|What is the phone number of the service?|Who can I call for help?
2? What is the e-mail address?|Where can I write to?

The {part_of} is [at the|on the|under the|behind the] <1:[back|left side|right side|bottom|top|front]> of the {@tool}.
You find the {part_of} <1:[under|behind|next to|above] the {part_of2}>.
1? Where is the {part_of}?|Where do I find the {part_of}?|On which side is the {part_of}?

The {@tool} costs <1:{money}>; a new {part_of} costs <2:{money2}>.
The price of the {@tool} is <1:{money}>[, and that of the {part_of} <2:{money2}>|].
1? How much does the {@tool} cost?|What is the price of the {@tool}?|How much is the {@tool}?
2? How much does a new {part_of} cost?|What is the price of the {part_of}?|How much is the {part_of}?

The {@tool} needs <1:[{num} batteries|{amount} of water|{num} volts|a {adj} cable|{amount} of oil]>.
1? What does the {@tool} need?|What is needed for the {@tool}?|How [many|much] does the {@tool} need?

[Store|Keep] the {@tool} <1:[in a dry place|below {num} degrees|away from children|in its box|upright|at room temperature]>.
1? Where should [I|you] [store|keep] the {@tool}?|How should the {@tool} be stored?|Where is the {@tool} kept?
"""

NOTICE = """
[We are|The {@shop} is] open from <1:{time}> to <2:{time2}>.
Opening hours: <1:{time}> to <2:{time2}>.
The {@shop} opens at <1:{time}> and closes at <2:{time2}>.
1? When does the {@shop} open?|At what time do you open?|What time does it open?|From when is the {@shop} open?
2? When does the {@shop} close?|Until when is the {@shop} open?|What time does it close?|At what time do you close?

On {day} we [open|are open from] only at <1:{time}>.
On {day} the {@shop} closes [already|] at <1:{time}>.
1? When does the {@shop} [open|close] on {day}?|What time do you [open|close] on {day}?

[We are closed|The {@shop} is closed|Closed] [on|every] <1:{day}>.
The {@shop} does not open on <1:{day}>.
1? On which day is the {@shop} closed?|When is the {@shop} closed?|Which day are you closed?|When are you not open?

*A {item} costs <1:{money}>.
*The price of a {item} is <1:{money}>.
*{item}: <1:{money}>.
*You can [buy|get|have] a {item} for <1:{money}>.
*We sell a {item} for <1:{money}>.
1? How much is [a|the] {item}?|How much does a {item} cost?|What is the price of a {item}?|What does a {item} cost?|What do you charge for a {item}?

[Children|Students|Members|Old people] [get|pay] <1:{percent|money}> [less|off].
There is a discount of <1:{percent}> for <2:[students|children|members|groups of {num}]>.
1? How [big|much] is the discount?|What discount [is there|do you give]?|How much less do [children|students|members] pay?
2? Who gets a discount?|For whom is there a discount?

You [find|can find] us [at|in] <1:{street}>, [next to|behind|opposite] <2:the {building}>.
The {@shop} has moved to <1:{street}>.
Our address is <1:{street}>.
1? Where is the {@shop}?|What is the address of the {@shop}?|Where can I find you?|To where has the {@shop} moved?
2? What is [next to|opposite|behind] the {@shop}?

[Call us on|Our number is|Phone] <1:{phone}>[ or write to <2:{email}>|].
[To order|To book a table|For questions], call <1:{phone}>.
1? What is your [phone|] number?|What number [should|can] I call?|How can I reach you?
2? What is your e-mail address?|Where can I write to?

[You can pay|We accept|Payment] <1:[only in cash|by card or in cash|by card only|with {made}]>.
1? How can I pay?|Can I pay by card?|How do customers pay?|What kind of payment do you accept?

[Parking is|You can park|There is parking] <1:[behind the {building}|in front of the {@shop}|free for {duration}|in {street}]>.
1? Where can I park?|Is there [any|] parking?|Where is the car park?

The {@shop} is [run|owned] by <1:{person}>.
<1:{person}> [opened|has run|took over] the {@shop} in <2:{year}>.
1? Who [runs|owns|opened] the {@shop}?|Who is the owner of the {@shop}?|To whom does the {@shop} belong?
2? When was the {@shop} opened?|Since when has the {@shop} existed?|In what year did the {@shop} open?

[We deliver|Delivery is] <1:[free above {money}|within {duration}|on {day} and {day2}|only in {city}]>.
1? Do you deliver?|When is delivery free?|How long does delivery take?|When do you deliver?

[Goods|Items] can be [returned|brought back|exchanged] within <1:{duration}>[ with <2:[the receipt|the box|a label]>|].
You have <1:{duration}> to return what you bought.
1? How long [can I|do I have to] return [goods|something]?|Within what time can items be returned?|How many days do I have for a return?
2? What do I need for a return?

The {@shop} will be closed from <1:{date}> to <2:{date2}> because <3:{reason}>.
We [are|will be] away until <2:{date2}> because <3:{reason}>.
1? From when is the {@shop} closed?|When does the break begin?
2? Until when are you away?|When does the {@shop} open again?
3? Why [is the {@shop}|are you] closed?|Why will the {@shop} be closed?|What is the reason for the break?

The [sale|market|festival|exhibition] [begins|starts] on <1:{date}>[ and ends on <2:{date2}>|].
1? When does the [sale|market|festival|exhibition] [begin|start]?
2? When does the [sale|market|festival|exhibition] end?

[Today|This week]'s special is <1:{food} with {food2}>.
1? What is the special [today|]?|What is special this week?|Which dish is the special?

[Tickets|Cards] are [sold|available] [at|in] <1:{@place}> for <2:{money}>.
1? Where are tickets sold?|Where can I buy [tickets|a ticket]?
2? How much [is a ticket|are the tickets]?|What does a ticket cost?
"""

TRAVEL = """
*The [{vehicle}|{vehicle} number {num}] [to|for] {city} [leaves|departs|goes] at <1:{time}>[ from <2:[platform|gate|stop|track] {num2}>|].
*From <2:[platform|gate|stop] {num2}>, the {vehicle} to {city} leaves at <1:{time}>.
*Departure to {city}: <1:{time}>, <2:[platform|gate|stop] {num2}>.
1? When does the [{vehicle}|train|bus] [to|for] {city} [leave|depart|go]?|What time does the {vehicle} to {city} leave?|At what time is the departure to {city}?|When can I go to {city}?
2? From where does the {vehicle} to {city} leave?|Which [platform|gate|stop] does the {vehicle} to {city} leave from?|Where does the {vehicle} to {city} start?

*The {vehicle} from {city} arrives at <1:{time}>.
*It arrives in {city} at <1:{time}>.
1? When does the {vehicle} from {city} arrive?|What time does it arrive in {city}?|When does the {vehicle} get to {city}?|What is the arrival time in {city}?

*The [trip|journey|ride|flight] to {city} takes <1:{duration}>.
*You need <1:{duration}> to get to {city}.
*{city} is <1:{duration}> away by {vehicle}.
1? How long does the [trip|journey|ride|flight] to {city} take?|How long does it take to get to {city}?|How far is {city}?|How much time do I need to reach {city}?

*A ticket to {city} costs <1:{money}>.
*The fare to {city} is <1:{money}>.
*For <1:{money}> you can [go|travel] to {city}.
1? How much is a ticket to {city}?|What does a ticket to {city} cost?|What is the fare to {city}?|How much does it cost to go to {city}?

We [stayed|slept|spent {num} nights] in <1:{entity}> in {city}.
In {city} we [stayed|slept] at <1:{entity}>.
1? Where did [we|they|you] [stay|sleep] in {city}?|In which hotel did they stay?|Where did the travellers spend the night?

The [best|cheapest|easiest] way to get to {place} is <1:[by|on the] {vehicle}>.
You [can|should] go to {place} <1:by {vehicle}>.
1? How [do I|can I|should I] get to {place}?|What is the best way to get to {place}?|By what means can one reach {place}?

[Breakfast|Dinner|Lunch] is [served|ready] from <1:{time}> to <2:{time2}> in <3:the {adj} room>.
1? When is [breakfast|dinner|lunch] served?|At what time does [breakfast|dinner] begin?|From when can I have breakfast?
2? Until when is [breakfast|dinner|lunch] served?
3? Where is [breakfast|dinner|lunch] [served|]?|In which room do we eat?

[Check-in|Arrival] is from <1:{time}>, [check-out|departure] until <2:{time2}>.
Rooms are ready at <1:{time}> and must be left by <2:{time2}>.
1? When [is|can I] check[-| ]in?|From what time are rooms ready?|At what time can guests arrive?
2? When [is|must I] check[-| ]out?|By when must [rooms be left|guests leave]?|What time is check-out?

*On [day {num}|{day}] we [visited|saw|went to] <1:{entity}>.
*We [visited|saw|reached] <1:{entity}> on [day {num}|{day}].
1? What did [we|they|you] [visit|see] on {day}?|Where did [we|they] go on [{day}|day {num}]?|Which place was visited on {day}?

*On {day} we visited <1:{entity}> with {person}.
*{day}: <1:{entity}> and lunch in {city}.
1? What did we visit on {day}?|What was the plan for {day}?|Where did we go on {day}?

Our [guide|driver|captain] was [called|] <1:{person}>.
<1:{person}> was our [guide|driver|captain].
1? Who was [our|the] [guide|driver|captain]?|What was the name of the [guide|driver|captain]?|Who showed [us|them] around?

You [need|must bring|should take] <1:[a {adj} {noun}|{nouns} and {nouns2}|warm clothes|good shoes|a visa|a passport]> for the [trip|tour|journey].
1? What do [I|you] need for the [trip|tour|journey]?|What should I [bring|take]?|What must be brought on the trip?

The [tour|trip] [starts|begins] at <1:{place}> and ends at <2:{place2}>.
The [road|route|line] runs from <1:{place}> to <2:{place2}>.
1? Where does the [tour|trip|road|route|line] [start|begin]?
2? Where does the [tour|trip|road|route|line] end?|Where does the [road|route|line] lead to?

The {vehicle} was [late|delayed|cancelled] because <1:{reason}>.
Because <1:{reason}>, the {vehicle} was [late|delayed|cancelled].
1? Why was the {vehicle} [late|delayed|cancelled]?|What was the reason for the delay?|Why did the {vehicle} not leave?

The [delay|stop|break] was <1:{duration}>.
The {vehicle} was <1:{duration}> late.
1? How long was the [delay|stop]?|How late was the {vehicle}?|By how much was the {vehicle} delayed?

The {vehicle} [runs|goes] <1:every {num} minutes>.
There is a {vehicle} <1:every {num} minutes>.
1? How often does the {vehicle} [run|go]?|How often is there a {vehicle}?

The [lost property|ticket|information] office is <1:[next to|behind|opposite] [the {building}|gate {num}|platform {num}]>.
1? Where is the [lost property|ticket|information] office?|Where can I find the [ticket|information] office?

[Luggage|A suitcase] may weigh [at most|up to] <1:{measure}>.
1? How [heavy may|much may] [a suitcase|luggage] [be|weigh]?|What is the weight limit?
"""

RECIPE = """
*[Take|Use|Add|You need] <1:{amount}> of {food}.
*<1:{amount}> of {food} [go into|are added to] the {@bowl}.
*Mix <1:{amount}> of {food} with the {food2}.
1? How much {food} [do I need|is needed|is used|goes in]?|What amount of {food} is needed?|How much {food} should I use?|How much {food}?

[Bake|Cook|Boil|Fry] [it|the {@dish}] for <1:{duration}>[ at <2:{num} degrees>|].
The {@dish} [is baked|cooks|boils] for <1:{duration}>[ at <2:{num} degrees>|].
1? How long [should|must] the {@dish} [bake|cook|boil]?|For how long is it [baked|cooked]?|How long does it take to [bake|cook] the {@dish}?|What is the cooking time?
2? At what temperature is the {@dish} baked?|How hot should the oven be?|What temperature is needed?

Let it [rest|cool|stand] for <1:{duration}> [in the fridge|on the table|under a cloth].
1? How long [should|must] [it|the {@dish}] [rest|cool|stand]?|For how long does the {@dish} rest?

The {@dish} [is enough for|serves|feeds] <1:{num}> people.
This makes <1:{num}> [portions|pieces|plates].
1? How many people does [it|the {@dish}|the recipe] [serve|feed]?|For how many people is the recipe?|How many [portions|pieces] does it make?

[Serve|Eat] the {@dish} with <1:{food}[ and {food2}|]>.
It [goes well|is served|tastes best] with <1:{food}>.
1? What is [it|the {@dish}] served with?|What does [it|the {@dish}] go well with?|With what should the {@dish} be served?

The recipe [comes from|is from|was invented in] <1:{place}>.
1? Where does the recipe come from?|Where was the {@dish} invented?|From which country is the {@dish}?

I [got|learned] the recipe from <1:{person}>.
The recipe was written by <1:{person}>.
1? Who [gave me|wrote] the recipe?|Whose recipe is it?|From whom is the recipe?

[Stir|Mix|Beat] [it|the {food}] with <1:a {adj} [spoon|fork|whisk]> until it is <2:[smooth|thick|golden|{colour}]>.
1? What should I [stir|mix|beat] it with?|With what do you stir?
2? Until when should [I|you] stir?|How should it look?

Instead of {food}, you can [use|take] <1:{food2}>.
If you have no {food}, use <1:{food2}>.
1? What can I use instead of {food}?|What can replace {food}?|What if I have no {food}?

First[, | ]{verb} the {food}; then add <1:the {food2}>.
After the {food}, add <1:the {food2}>.
1? What [is|do I] add[ed|] after the {food}?|What comes after the {food}?

[Keep|Store] it <1:[in the fridge|in a cool place|in a glass|for up to {duration}]>.
1? Where should it be [kept|stored]?|How should I keep it?|How long does it keep?

The {@dish} has [about|] <1:{number} calories>.
1? How many calories does the {@dish} have?
"""

MEMO = """
The [next|] [meeting|conference|training] [is|takes place|will be held] on <1:{date|day}> at <2:{time}> in <3:[room {num}|the {adj} room|{city}]>.
We [meet|will meet] on <1:{day}> at <2:{time}> in <3:[room {num}|the {adj} hall|the {building}]>.
1? When is the [next|] [meeting|conference|training]?|On which day [is the meeting|do we meet]?|What day is the meeting?
2? At what time is the [meeting|conference|training]?|What time does the meeting start?|When does it start?
3? Where is the [meeting|conference|training]?|In which room is the meeting?|Where do we meet?

*<1:{person}> [is responsible for|takes care of|will look after|is in charge of|handles] the {noun}.
*The {noun} is [looked after by|the job of|assigned to] <1:{person}>.
*<1:{person}> will {verb} the {noun} by <2:{day|date}>.
1? Who is responsible for the {noun}?|Who [takes care of|looks after|handles] the {noun}?|Who will {verb} the {noun}?|Whose job is the {noun}?
2? By when will the {noun} be [ready|{part}]?|When is the {noun} due?|What is the deadline for the {noun}?

*Please [send|bring|give] the {noun} to <1:{person|email}> [by|before] <2:{day|date}>.
*The {noun} must be [sent|brought] to <1:{person}> by <2:{day|date}>.
1? To whom should [I|we] [send|bring|give] the {noun}?|Who gets the {noun}?|Where should the {noun} be sent?
2? By when must the {noun} be [sent|brought|there]?|When is the {noun} due?|What is the deadline for the {noun}?

[Sales|Costs|Profits|Prices] [rose|fell|grew|went up|went down] by <1:{percent}>[ to <2:{money}>|] in {month}.
In {month}, [sales|costs|profits|prices] [rose|fell|grew] by <1:{percent}>[ to <2:{money}>|].
1? By how much did [sales|costs|profits|prices] [rise|fall|grow|change]?|How much did [sales|costs|profits] [rise|fall|grow] in {month}?|By what percentage did [sales|costs] change in {month}?
2? How high were [sales|costs|profits|prices] in {month}?

The budget for the {noun} is <1:{money}>.
We [have|may spend] <1:{money}> for the {noun}.
1? What is the budget for the {noun}?|How much [may|can] we spend on the {noun}?|How much money is there for the {noun}?

*{person} [will be|is] [away|on holiday|out of the office] until <1:{day|date}>.
*Until <1:{day|date}>, {person} is [away|on holiday].
1? Until when is {person} away?|When will {person} be back?|When does {person} return?

*<1:{person}> [stands in for|replaces|represents] {person2}.
*{person2} will be replaced by <1:{person}>.
1? Who [stands in for|replaces|represents] {person2}?|By whom is {person2} replaced?|Who takes the place of {person2}?

The {noun} was [postponed|cancelled|moved] because <1:{reason}>.
Because <1:{reason}>, the {noun} [was|has been] [postponed|cancelled].
1? Why was the {noun} [postponed|cancelled|moved]?|What is the reason for the change of the {noun}?|Why is there no {noun}?

The new [password|code|number] for the {noun} is <1:{made}{num}>.
1? What is the [new|] [password|code] for the {noun}?|Which code opens the {noun}?

*[We decided|It was decided|Everyone agreed] to <1:{purpose}>.
*Decision: <1:{purpose}>.
1? What was decided?|What did [we|they] decide [to do|]?|What did everyone agree on?

*{person} [suggested|proposed|asked us|wants|plans] to <1:{purpose}>.
1? What did {person} [suggest|propose|want|ask]?|What does {person} [want|plan] to do?|What was {person}'s [suggestion|proposal|plan]?

{person}, {person2} and <1:{num}> others were [there|present].
[Present|There] were <1:{num}> people.
1? How many [people|others] were [there|present]?|How many people came?

The minutes were [written|taken] by <1:{person}>.
<1:{person}> [wrote|took] the minutes.
1? Who [wrote|took] the minutes?|By whom were the minutes written?

[Lunch|Parking|The printer|The coffee machine] is now <1:[on the {ordinal} floor|in room {num}|next to the {noun}|free]>.
1? Where is [lunch|the printer|the coffee machine|parking] [now|]?

[The office|Our company] will move to <1:{place}> [in|on] <2:{date}>.
1? Where will [the office|the company] move [to|]?|What is the new place of the office?
2? When will the office move?|When does the company move?

[From|Starting] <1:{date}>, {nouns} must be {part} by <2:{people}>.
1? From when must {nouns} be {part}?|When does the new rule start?
2? [Who|By whom] must {nouns} be {part}?|Who has to {verb} {nouns}?

The password [changes|expires] every <1:{duration}>.
1? How often does the password [change|expire]?
"""

NEWS = """
A [fire|storm|flood] [destroyed|damaged] <1:{num} {nouns}|the {building}> in {place} on <2:{day|date}>.
On <2:{day|date}>, <1:the {building}> in {place} was [destroyed|damaged] by a [fire|storm|flood].
1? What was [destroyed|damaged]?|What did the [fire|storm|flood] [destroy|damage]?
2? When [was|did] the [fire|storm|flood]?|When did it happen?|On which day was the {building} damaged?

<1:{number}> people [were hurt|were injured|lost their homes|were rescued|had to leave].
[The police|Officials] said that <1:{number}> people were [hurt|injured|rescued|missing].
1? How many people were [hurt|injured|rescued|missing]?|How many people [lost their homes|had to leave]?

*{person}, the {role} of {place}, said [on {day}|] that <1:the {noun} would be {part}>.
*"<1:We will {verb} the {noun}>," said {person}.
1? What did {person} say?|What did the {role} of {place} say?|What did {person} promise?

{group} officials arrested <1:{person}> [in|near] <2:{place}>.
The police [caught|arrested|questioned] <1:{person}> in <2:{place}>.
1? Who was [arrested|caught|questioned]?|Whom did the police [arrest|catch]?
2? Where was [the man|the woman|he|she] [arrested|caught]?|Where did the police make the arrest?

*{org} [beat|defeated|won against] <1:{org2}> <2:{num} to {num2}>[ on {day}|].
*<1:{org2}> lost <2:{num}-{num2}> [to|against] {org}.
1? Who did {org} [beat|defeat]?|Who lost [to|against] {org}?|Which team was beaten by {org}?
2? What was the [score|result]?|What was the [final|] score?|How did the match end?

*The {event} was won by <1:{person}>, [ahead of|before] <2:{person2}>.
*<1:{person}> won the {event}; <2:{person2}> came second.
1? Who won the {event}?|Who was the winner of the {event}?|By whom was the {event} won?
2? Who came second?|Who was second in the {event}?|Who lost the {event}?

[The temperature|It] [reached|will reach] <1:{num} degrees> [on {day}|].
1? How [hot|warm|cold] [was it|will it be]?|What temperature was [reached|measured]?

[Prices|The price of {food}] [rose|fell] [by|to] <1:{percent|money}>.
1? By how much did [prices|the price] [rise|fall]?|How much did prices change?

{org} [plans|wants|has promised] to <1:{purpose}> [by|in] <2:{year}>.
1? What does {org} [plan|want] to do?|What has {org} promised?
2? By when does {org} want to do it?|In what year will it be done?

[More than|About|Some|] <1:{number}> [people|visitors|fans] [came to|visited|watched|attended] the {event}.
The {event} [drew|had|attracted] <1:{number}> [visitors|people|guests].
1? How many [people|visitors|fans] [came to|visited|watched|attended] the {event}?|How many people were at the {event}?|What was the attendance of the {event}?

The [cause|reason] of the [fire|accident|delay] was <1:a {adj} {noun}>.
The [fire|accident] was caused by <1:a {adj} {noun}>.
1? What [caused|was the cause of] the [fire|accident]?|Why was there [a fire|an accident]?

The new {building} [cost|will cost] <1:{money}> and [was|will be] [opened|finished] in <2:{date}>.
1? How much [did|will] the [new|] {building} cost?|What [was|is] the cost of the [new|] {building}?
2? When [was|will] the [new|] {building} [be|] [opened|finished]?|When does the {building} open?

The road [to {city}|] is closed [from|until] <1:{day|date|time}>.
1? [When|Until when] is the road closed?

The [missing|lost] {animal} was found [by|] <1:{person}> [in|near] <2:{place}>.
<1:{person}> found the [missing|lost] {animal} in <2:{place}>.
1? Who found the {animal}?|By whom was the {animal} found?
2? Where was the {animal} found?|In which place was it found?
"""

LETTER = """
*My [brother|sister|mother|father|aunt|uncle|cousin|friend|boss|neighbour] <1:{first}> [lives|works|is] in <2:{place}>.
1? Who [lives|works] in {place}?|What is the name of my [brother|sister|friend|aunt]?
2? Where does {first} [live|work]?|Where is {first}?

*{first} [gave|sent|brought|showed] [me|us] <1:a {adj} {noun}>[ for my birthday|].
*I got <1:a {adj} {noun}> from {first}.
1? What did {first} [give|send|bring|show] [me|us]?|What did I get from {first}?|What was [given|sent] by {first}?

*I [gave|sent|sold|lent] the {noun} to <1:{first}>.
*<1:{first}> got the {noun} from me.
1? To whom did I [give|send|sell|lend] the {noun}?|Who got the {noun}?|Who has the {noun} now?

I will [arrive|come|be there|visit you] on <1:{date|day}> at <2:{time}> by <3:{vehicle}>.
1? When will I [arrive|come]?|On which day do I arrive?|When is the visit?
2? At what time will I arrive?|What time is the arrival?
3? How will I [come|travel]?|By what means will I arrive?

*{first} [wants|would like|plans|hopes] to <1:{purpose}>.
1? What does {first} [want|plan|hope] to do?|What would {first} like to do?

[We|{first} and I] [met|first met] in <1:{place}> in <2:{year}>.
1? Where did [we|they] meet?|In which place did they [first|] meet?
2? When did [we|they] meet?|In what year did they meet?

[The|Your] {noun} is <1:[on|under|behind|in|next to] the {adj} {noun2}>.
*I [left|put|found|lost|hid] the {noun} <1:[on|under|behind|in|next to] the {noun2}>.
1? Where is the {noun}?|Where did I [leave|put|find|hide] the {noun}?|Where was the {noun}?

The doctor says that I should <1:{verb} more {mass}>.
1? What does the doctor say?|What should I do?

I [can't|cannot] come because <1:{reason}>.
1? Why can't I come?|Why am I not coming?|What is the reason?

[My|Our] new address is <1:{street}>, and the phone number is <2:{phone}>.
1? What is [my|our|the] new address?|Where [do I|do we] live now?
2? What is [my|our|the] phone number?|Which number can be called?

*{first} is <1:{num}> years old[ and loves <2:{mass}>|].
*{first}, who is <1:{num}>, [likes|loves] <2:{mass}>.
1? How old is {first}?|What is the age of {first}?
2? What does {first} [love|like]?

[We paid|It cost|I paid] <1:{money}> for the {noun}.
1? How much did the {noun} cost?|What did [we|I] pay for the {noun}?

*{first}'s favourite {noun} is <1:{title}>.
*The favourite {noun} of {first} is <1:{title}>.
1? What is {first}'s favourite {noun}?|Which {noun} does {first} like best?

We have lived here [for|since] <1:{duration|year}>.
1? [How long|Since when] have we lived here?
"""

DOCUMENTS = {"encyclopedia": ENCYCLOPEDIA, "lease": LEASE, "manual": MANUAL, "notice": NOTICE, "travel": TRAVEL,
             "recipe": RECIPE, "memo": MEMO, "news": NEWS, "letter": LETTER}
LOCAL = {  # what only these documents speak of
    "home": "flat|apartment|house|room|studio|cottage|office|garage|shop",
    "shop": "shop|store|bakery|museum|library|restaurant|café|pool|market|bank|pharmacy|gallery|cinema|zoo|gym|clinic",
    "dish": "cake|soup|bread|pie|stew|sauce|salad|pizza|pudding|curry|dish",
    "bowl": "bowl|pan|pot|dish|mixer",
    "item": "coffee|loaf of bread|ticket|haircut|bicycle|lesson|room|pizza|cup of tea|cake|map|{adj} {noun}|{noun}|{noun}|child ticket|"
            "family ticket|day pass|{made}",
    "part_of": "filter|battery|lid|tank|cable|brush|blade|screen|handle|lens|tray|valve|hose|bulb|plug|motor|cover|fuse",
    "cleaner": "warm water|a soft cloth|a dry brush|vinegar|soap and water|a wet sponge|alcohol",
    "trouble": "the battery is [empty|low|full]|the tank is [empty|full]|the door is open|the filter is [dirty|missing]|it is too hot|"
               "the {adj} {noun} is {part}|there is no water|the {noun} must be {part}|the motor is blocked",
}
HEADINGS = {"lease": ["Lease", "House rules", "Rental agreement", "Terms"],
    "manual": ["Manual", "How to use it", "Safety", "Quick start"],
            "notice": ["Notice", "Welcome!", "News from the shop"], "travel": ["Timetable", "Our trip", "Travel notes"],
            "recipe": ["Recipe", "What you need", "In the kitchen"], "memo": ["Memo", "Minutes", "To all", "From: the office"],
            "news": ["News", "Local news", "In short"], "letter": ["Hi {first},", "Dear {first},", "Hello!", "Dear all,"],
                "encyclopedia": ["{entity}"]}
IDLE = """This is all there is to say|More will follow|Nothing else has changed|Thank you for your help|It was a {adj} day|The {adj} {noun} was
{adj2}|The {nouns} are {adj} and {adj2}|There was a {noun} near the {noun2}|Everybody knows the {nouns}|It is not known why|Some {nouns} {verb} {adj} {nouns2}|
Of course, the {nouns} are {adj}|See also section {num}|Please read this carefully|The {noun} is {adj} today|Most {nouns} are {adj}|Today, {nouns} are
{adj}|There are many {nouns}|The {role} and the {role2} are {adj}|However, this is {adj}|For example, {adj} {nouns} {verb} the {noun}|{mass} and {mass2} are
{adj}|This led to {adj} {mass}|All {nouns} must be {part}|We hope that you {verb} the {noun}|Many thanks|In general, {mass} is {adj}|The {noun} of the {noun2}
{past} the {noun3}|{Adj} {nouns} often {verb} {adj2} {nouns2}|It {past} the {adj} {noun}""".replace("\n", " ").split("|")
# What a passage can only answer by yes or no, it does not answer, unless somebody has said so above.
YES_OR_NO = """Are {nouns} {part}?|Is {entity} {adj}?|Are {nouns} allowed [in {entity}|]?|Can [I|you|we|people] {verb} {nouns}?|May [I|guests|visitors] {verb}
the {noun}?|Is there a {noun}?|Are there {adj} {nouns}?|Did {person} {verb} {np}?|Does {entity} have {nouns}?|Is {mass} {part}?|Was {person} {adj}?|Do {nouns}
{verb} {np}?|Is the {noun} {adj}?|Are {nouns} welcome?|Is {ing} {permitted}?""".replace("\n", " ").replace("{permitted}", "[allowed|permitted|possible|forbidden]")
MARK = re.compile(r"<(\w+):|>")


class Fact(NamedTuple):
    """Ways to say something, and questions for the parts of it that are marked."""

    says: list[str]
    asks: dict[str, list[str]]
    again: bool


def facts(text: str) -> list[Fact]:
    found = []
    for block in text.strip().split("\n\n"):
        says, asks, again = [], {}, False
        for line in block.split("\n"):
            if match := re.match(r"(\d)\? (.*)", line):
                asks[match[1]] = top_level(match[2])
            else:
                again |= line.startswith("*")
                says.append(line.lstrip("*"))
        found.append(Fact(says, asks, again))
    return found


def top_level(text: str) -> list[str]:
    """What stands between bars, except inside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


YES_OR_NO = top_level(YES_OR_NO)
FACTS = {name: facts(text) for name, text in DOCUMENTS.items()}
LOCAL = {name: top_level(text) for name, text in LOCAL.items()}


class Asked(NamedTuple):
    """A question, and the mark of its answer in the document; None without one."""

    question: str
    answer: str | None


def written(writer: Writer, text: str, slots: dict[str, str]) -> str:
    """Slots may offer several kinds, as in {day|date}; those of LOCAL are drawn here."""
    rng = writer.rng
    text = re.sub(r"\{(\w+(?:\|\w+)+)\}", lambda match: "{" + rng.choice(match[1].split("|")) + "}", text)
    text = writer.chosen(text)

    def local(match: re.Match[str]) -> str:
        place = writer.document if match[1] else slots
        name = match[2] + match[3]
        if match[2] in LOCAL and name not in place:
            place[name] = writer.fill(rng.choice(LOCAL[match[2]]), {})
        return place[name] if match[2] in LOCAL else match[0]

    return writer.fill(SLOT.sub(local, text), slots)


# --- Events: somebody did something, somewhere, at some time, for some reason. Questions take up their words.


class Event(NamedTuple):
    verb: str
    roles: dict[str, str]  # what is said, by role
    kinds: dict[str, str]


def event(writer: Writer, agent: tuple[str, str] | None = None) -> Event:
    rng, fill = writer.rng, lambda text: writer.fill(text, {})
    roles, kinds = {}, {}
    roll = rng.random()
    if agent:
        roles["agent"], kinds["agent"] = agent
    elif roll < 0.5:
        roles["agent"], kinds["agent"] = fill("{person}"), "who"
    elif roll < 0.65:
        roles["agent"], kinds["agent"] = fill(rng.choice(["the {role}", "the {role} of {place}", "a {adj} {role}",
            "the {adj} {role}", "a {nation} {role}", "his {role}"])), "who"
    elif roll < 0.8:
        roles["agent"], kinds["agent"] = fill(rng.choice(["{org}", "the {nation} {group}", "the {group} of {place}",
            "the {group}", "the {nation}s", "{people}"])), "org"
    else:
        roles["agent"], kinds["agent"] = fill(rng.choice(["{entity}", "the {adj} {noun}", "the {noun}", "{mass}",
            "the {noun} of {place}", "{adj} {nouns}"])), "what"
    roll = rng.random()
    if roll < 0.12:
        roles["object"], kinds["object"] = fill(rng.choice(["{person}", "the {role}", "the {role} of {place}"])), "who"
    elif roll < 0.32:
        noun = fill("{nouns}")
        roles["count"] = fill("{number}")
        roles["object"] = f"{fill(rng.choice(['', '', 'about ', 'more than ', 'over ']))}<count:{roles['count']}> {fill('{adj} ') if rng.random() < 0.5 else ''}{noun}"
        kinds["object"], kinds["count"] = "what", noun
    elif roll < 0.42:
        noun = rng.choice(NOUNS)[0]
        name = fill(rng.choice(["{Made}", "{Made}", "{city}", "{Adj} {Noun}", '"{title}"']))
        roles["which"], kinds["which"] = name, noun
        roles["object"] = rng.choice([f"the {noun} <which:{name}>", f"the <which:{name}> {noun}",
            f"the {noun} of <which:{name}>", f"a {noun} called <which:{name}>"])
        kinds["object"] = "what"
    else:
        roles["object"], kinds["object"] = fill(rng.choice(["{np}", "{np}", "{np}", "{entity}"])), "what"
    for role, chance, makes in (("where", 0.4, WHERE), ("when", 0.5, WHEN), ("why", 0.16, WHY), ("price", 0.06, PRICE),
                                ("long", 0.08, LONG), ("with", 0.08, WITH), ("how", 0.1, HOW), ("receiver", 0.08, RECEIVER)):
        if rng.random() < chance:
            kind = rng.choice(list(makes))
            roles[role], kinds[role] = fill(makes[kind]), kind
    return Event(rng.choice(VERBS), roles, kinds)


# The preposition stays outside of the answer where people leave it out.
WHERE = {"city": "in <where:{city}>", "country": "in <where:{country}>", "building": "at <where:the {building} of {city}>",
    "place": "in <where:{place}>",
         "room": "in <where:the {adj} {building}>", "body": "near <where:the {Made} {body}>", "home": "<where:at home>",
             "inside": "inside <where:the {noun}>"}
WHEN = {"year": "in <when:{year}>", "day": "on <when:{day}>", "date": "on <when:{date}>", "time": "at <when:{time}>",
    "month": "in <when:{month}>",
        "month2": "in <when:{month} {year}>", "century": "in the <when:{num}th century>", "after": "<when:after the {event}>",
            "during": "during <when:the {event} of {city}>", "ago": "<when:{duration} ago>", "last": "<when:last {day}>",
        "within": "<when:within {duration} after the {nouns} were {part}>",
            "later": "<when:{duration} after the {noun} is {part}>",
        "until": "<when:as soon as the {noun} was {part}>", "of": "<when:within {duration} of the {event}>",
            "by": "<when:by the {num}th of {month}>"}
WHY = {"because": "because <why:{reason}>", "to": "<why:to {purpose}>", "order": "in order <why:to {purpose}>",
    "of": "due to <why:{adj} {mass}>", "since": "since <why:{reason}>"}
PRICE = {"for": "for <price:{money}>", "at": "at a cost of <price:{money}>"}
LONG = {"for": "for <long:{duration}>", "over": "over <long:{duration}>", "more": "for more than <long:{duration}>"}
WITH = {"with": "with <with:{person}>", "together": "together with <with:{person}>", "help": "with the help of <with:{person}>"}
HOW = {"by": "by <how:{ing} {np}>", "with": "with <how:a {adj} {noun}>", "using": "using <how:{np}>",
    "means": "by means of <how:{np}>"}
RECEIVER = {"for": "for <receiver:{person}>", "to": "for <receiver:{people}>", "org": "for <receiver:{org}>"}
WHERE_WORDS = {"city": ["In which city", "In what city", "What city"], "country": ["In which country", "In what country"],
               "building": ["In which building", "At what location"], "body": ["Near what", "What place"]}
WHEN_WORDS = {"year": ["In what year", "In which year", "What year", "What year"], "day": ["On which day", "On what day"],
              "date": ["On what date", "What date"], "time": ["At what time", "What time"],
                  "month": ["In which month", "In what month"],
              "century": ["In what century", "In which century"], "during": ["During what", "During which event"],
                  "after": ["After what"]}
ADJUNCTS = ["where", "when", "why", "price", "long", "with", "how", "receiver"]


def marked(text: str, name: str) -> str:
    """The marks of one event get its name, so that events can stand side by side."""
    return re.sub(r"<(\w+):", rf"<{name}_\1:", text)


def bare(text: str) -> str:
    return MARK.sub("", text)


def said(writer: Writer, event: Event, name: str, subject: str | None = None) -> str:
    """The event as a clause, in the active or the passive."""
    rng, roles = writer.rng, event.roles
    after = [roles[role] for role in ADJUNCTS if role in roles]
    rng.shuffle(after)
    front = ""
    if subject is None and after and rng.random() < 0.3:
        front = after.pop() + rng.choice([", ", " ", ", "])
    _, past, part, _ = FORMS[event.verb]
    agent, thing = f"<agent:{roles['agent']}>", f"<object:{roles['object']}>"
    if subject is None and rng.random() < 0.3:
        be = "were" if re.search(r"(?<!s)s>?$", thing) else "was"
        by = f" by {agent}" if rng.random() < 0.85 else ""
        middle = rng.random() < 0.3
        text = f"{thing} {be} {part}{'' if middle else by} {' '.join(after)}{by if middle else ''}"
    else:
        if subject is None:
            extra = rng.random()
            if extra < 0.07:
                agent += writer.fill(", a {adj} {role} from {place},", {})
            elif extra < 0.12:
                agent += writer.fill(", who had {part} the {noun},", {})
            elif extra < 0.15:
                agent += writer.fill(", [along|together] with the {adj} {nouns},", {})
        else:
            agent = subject
        adverb = rng.choice(["", "", "", "", "", "also ", "later ", "first ", "then ", "finally ", "quickly ", "never ",
            "often ", "had ", "has "])
        text = f"{agent} {adverb}{part if adverb in ('had ', 'has ') else past} {thing} {' '.join(after)}"
    return marked(front + text.strip(), name)


def shorter(writer: Writer, text: str) -> str:
    """How a question speaks of what the passage has told in full."""
    rng, text = writer.rng, bare(text)
    words = text.split(" ")
    if rng.random() < 0.35 and len(words) > 1:
        if words[0] in ("the", "a", "an", "his", "their"):
            return rng.choice([f"the {words[-1]}" if len(words) < 5 else text, "the " + " ".join(words[1:])])
        if words[0][:1].isupper() and len(words) < 4 and words[-1][:1].isupper():
            return words[-1]
        if len(words) > 2:
            return " ".join(words[1:])
    if words[0] == "a" and rng.random() < 0.6:
        return " ".join(["the", *words[1:]])
    return text


def asked(writer: Writer, event: Event, role: str) -> str:
    """A question for one role of an event."""
    rng, roles, kinds = writer.rng, event.roles, event.kinds
    verb = event.verb
    if rng.random() < 0.22 and SYNONYMS.get(verb):
        verb = rng.choice(SYNONYMS[verb])
    _, past, part, _ = FORMS[verb]
    agent, thing = shorter(writer, roles["agent"]), shorter(writer, roles["object"])
    others = [bare(roles[other]) for other in ADJUNCTS if other in roles and other != role]
    rest = " " + rng.choice(others) if others and rng.random() < 0.3 else ""
    if rng.random() < 0.08:
        agent = {"who": "he", "org": "they"}.get(kinds["agent"], "it")
    be = "were" if re.search(r"(?<!s)s$", thing) else "was"
    active = f"did {agent} {verb} {thing}{rest}"
    passive = f"{be} {thing} {part}{' by ' + agent if rng.random() < 0.4 else ''}{rest}"
    clause = active if rng.random() < 0.65 else passive
    kind = kinds.get(role, "")
    match role:
        case "agent":
            who = {"who": ["Who", "Who", "Who", "Which person", "What person", f"Which {roles['agent'].split(' ')[-1]}"],
                   "org": ["Who", "Which group", "What group", "What organization", "Which company", "What",
                       f"What {roles['agent'].split(' ')[-1]}"],
                   "what": ["What", "What", "What", "Which thing", f"What {bare(roles['agent']).split(' ')[-1]}",
                       f"Which {bare(roles['agent']).split(' ')[-1]}"]}[kind]
            whom = {"who": "whom", "org": "whom", "what": "what"}[kind]
            return rng.choice([f"{rng.choice(who)} {past} {thing}{rest}", f"{rng.choice(who)} {past} {thing}{rest}",
                f"{who[0]} {be} {thing} {part} by{rest}", f"By {whom} {be} {thing} {part}{rest}",
                               f"{who[0]} was it that {past} {thing}",
                                   f"The {thing.removeprefix('the ')} {be} {part} by {who[0].lower()}",
                                   f"What is the name of the {'person' if kind == 'who' else 'one'} who {past} {thing}"])
        case "object":
            what = "Who" if kind == "who" else "What"
            head = bare(roles["object"]).split(" ")[-1].strip('"')
            which = rng.choice([what, what, what, f"What {head}", f"Which {head}", f"What kind of {head}",
                f"What type of {head}"]) if kind != "who" else rng.choice(["Who", "Whom"])
            return rng.choice([f"{which} did {agent} {verb}{rest}", f"{which} did {agent} {verb}{rest}",
                f"{which} {'was' if which == what else be} {part} by {agent}{rest}",
                f"{which} {'was' if which == what else be} {part}{rest or ' by ' + agent}",
                               f"{agent} {past} {what.lower()}{rest}"])
        case "count":
            how = rng.choice([f"How many {kind}", f"How many {kind}", f"How many of the {kind}", f"What number of {kind}"])
            return rng.choice([f"{how} did {agent} {verb}{rest}", f"{how} were {part} by {agent}{rest}",
                f"{how} were {part}{rest or ' by ' + agent}"])
        case "which":
            which = rng.choice([f"What {kind}", f"Which {kind}", f"What is the name of the {kind} that"])
            if which.endswith("that"):
                return rng.choice([f"{which} {agent} {past}{rest}", f"{which} was {part} by {agent}{rest}"])
            return rng.choice([f"{which} did {agent} {verb}{rest}", f"{which} was {part} by {agent}{rest}"])
        case "where":
            where = ["Where", "Where", "Where", "In what place", "In which place", "At what place", *WHERE_WORDS.get(kind, [])]
        case "when":
            where = ["When", "When", "When", *WHEN_WORDS.get(kind, [])]
        case "why":
            where = ["Why", "Why", "Why", "For what reason", "For what purpose"]
        case "price":
            where = ["For how much", "At what price", "For what amount of money"]
        case "long":
            where = ["How long", "For how long", "For what length of time"]
        case "with":
            where = ["With whom", "Together with whom"]
            if rng.random() < 0.5:
                return f"Who {active} with"
        case "how":
            where = ["How", "How", "By what means", "With what", "In what way"]
        case _:
            where = ["For whom", "For whom"]
            if rng.random() < 0.5:
                return f"Who {active} for"
    return f"{rng.choice(where)} {clause}"


def joined(writer: Writer, name: str) -> tuple[str, list[tuple[str, Event]]]:
    """A sentence of one to three events."""
    rng, roll = writer.rng, writer.rng.random()
    first = event(writer)
    if roll < 0.5:
        return said(writer, first, name), [(name, first)]
    same = roll < 0.8
    second = event(writer, (first.roles["agent"], first.kinds["agent"]) if same else None)
    one = said(writer, first, name)
    if same:
        pronoun = {"who": rng.choice(["he", "she"]), "org": "they", "what": "it"}[first.kinds["agent"]]
        link = rng.choice([" and ", ", and ", f". {pronoun.capitalize()} ", f", and {pronoun} ", f", but {pronoun} ",
            f" before {pronoun} ", f". {pronoun.capitalize()} ", f"; {pronoun} "])
        if link in (" and ", ", and ") and " by <" in one:
            link = f". {pronoun.capitalize()} "
        rest = said(writer, second, name + "b", subject="").strip()
        return one + link + rest, [(name, first), (name + "b", second)]
    rest = said(writer, second, name + "b")
    link = rng.choice([", while ", ", and ", "; ", ", but ", " after ", " before ", ", where ", " because ", " when ",
        ", although ", ": ", " and "])
    return one + link + rest, [(name, first), (name + "b", second)]


def questions_of(writer: Writer, events: list[tuple[str, Event]], text: str) -> list[Asked]:
    """Questions for events: what the text says, and what it does not."""
    rng, found = writer.rng, []
    for name, this in events:
        present = [role for role in [*ADJUNCTS, "agent", "object", "count", "which"] if f"<{name}_{role}:" in text]
        if not present:
            continue
        weights = [3 if role == "object" else 2 for role in present]
        role = rng.choices(present, weights)[0]
        found.append(Asked(asked(writer, this, role), f"{name}_{role}"))
        roll = rng.random()
        if roll < 0.2:  # a role that is not told
            absent = [role for role in ("where", "when", "when", "why", "price", "long", "how") if role not in this.roles]
            if absent:
                found.append(Asked(asked(writer, this, rng.choice(absent)), None))
        elif roll < 0.45:  # another agent, thing or verb
            other = event(writer)
            turn = rng.choice([0, 0, 1, 1, 2, 3, 3, 3])
            roles = dict(this.roles)
            if turn == 0:
                changed = Event(this.verb, roles | {"agent": other.roles["agent"]},
                    this.kinds | {"agent": other.kinds["agent"]})
                role = rng.choice([role for role in present if role != "agent"] or ["object"])
            elif turn == 1:
                changed = Event(this.verb, roles | {"object": other.roles["object"]},
                    this.kinds | {"object": other.kinds["object"]})
                role = rng.choice([role for role in present if role not in ("object", "count", "which")] or ["agent"])
            elif turn == 2:
                changed, role = Event(other.verb, roles, this.kinds), rng.choice(present)
                if other.verb == this.verb or other.verb in SYNONYMS.get(this.verb, ()):
                    continue
            else:
                changed, role = other, rng.choice(["agent", "object", *(role for role in other.roles if role in ADJUNCTS)])
            if role in ("count", "which") and role not in changed.roles:
                role = "object"
            found.append(Asked(asked(writer, changed, role), None))
    return found


# --- Documents.


def finished(question: str, rng: random.Random) -> str:
    """A capital letter and a question mark; now and then words are missing or lower case, as people write."""
    question = re.sub(r" +", " ", question).strip().removesuffix("?")
    question = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", question)
    words = question.split(" ")
    roll = rng.random()
    if len(words) > 5 and roll < 0.1:
        del words[rng.randrange(2, len(words))]
    elif len(words) > 5 and roll < 0.18:
        words[rng.randrange(2, len(words))] = rng.choice([rng.choice(VERBS), rng.choice(MASS), rng.choice(NOUNS)[0],
            made_up(rng)])
    elif len(words) > 4 and roll < 0.24:
        words.insert(rng.randrange(2, len(words)), rng.choice([rng.choice(ADJECTIVES), rng.choice(MASS), made_up(rng)]))
    question = " ".join(words)
    return question[:1].upper() + question[1:] + ("?" if rng.random() < 0.93 else "")


def unmarked(text: str) -> tuple[str, dict[str, tuple[int, int]]]:
    """The text without its marks, and where each was."""
    plain, places, opened, last = "", {}, [], 0
    for match in MARK.finditer(text):
        plain += text[last:match.start()]
        last = match.end()
        if match[1]:
            opened.append((match[1], len(plain)))
        else:
            name, start = opened.pop()
            places[name] = (start, len(plain))
    return plain + text[last:], places


class Example(NamedTuple):
    question: str
    context: str
    start: int  # characters of the context; -1 without an answer
    end: int


def document(rng: random.Random, most: int = 4, longest: int = 12, none: float = 0.34) -> list[Example]:
    """One document of up to `longest` sentences, with up to `most` questions about it, a share `none` of them without an answer."""
    writer = Writer(rng)
    kind = rng.choices(["events", "encyclopedia", *FACTS], [30, 22, *[5] * len(FACTS)])[0]
    count = rng.choices([1, 2, 3, 4, 5, 6, 7, 8, 10, 12], [6, 9, 11, 13, 13, 12, 11, 10, 9, 9])[0]
    if count > longest:
        count = rng.randint(1, longest)
    sentences, asks, told = [], [], set()
    pool = FACTS.get(kind, FACTS["encyclopedia"])
    for at in range(count):
        roll = rng.random()
        name = f"s{at}"
        if (kind == "events" and roll < 0.75) or (kind != "events" and roll < (0.3 if kind == "encyclopedia" else 0.06)):
            text, events = joined(writer, name)
            sentences.append(text)
            asks += questions_of(writer, events, text)
            continue
        if roll > 0.94 or (kind != "encyclopedia" and roll > 0.9):
            sentences.append(written(writer, rng.choice(IDLE), {}))
            continue
        again = [fact for fact in told if pool[fact].again]
        fact = rng.choice(again) if again and rng.random() < 0.4 else rng.randrange(len(pool))
        if fact in told and not pool[fact].again:
            continue
        told.add(fact)
        slots: dict[str, str] = {}
        if kind in ("encyclopedia", "events") and rng.random() < 0.5:  # several facts about the same
            same = rng.choice(["person", "entity"])
            slots[same] = writer.document.setdefault("topic_" + same, writer.slot(same))
        text = marked(written(writer, rng.choice(pool[fact].says), slots), name)
        if text.endswith("."):
            text = text[:-1]
        sentences.append(text)
        keys = [key for key in pool[fact].asks if f"<{name}_{key}:" in text]
        for key in rng.sample(keys, min(len(keys), 2)):
            ways = [way for way in pool[fact].asks[key] if all(match[1] or match[2] + match[3] in slots or match[2] + match[3] in writer.document for match in SLOT.finditer(way))]
            if not ways:
                continue
            way = rng.choice(ways)
            asks.append(Asked(written(writer, way, slots), f"{name}_{key}"))
            named = [match[2] + match[3] for match in SLOT.finditer(way) if not match[1] and match[2] not in ("part_of",)]
            if pool[fact].again and named and rng.random() < 0.25:  # the same of something else
                other = {slot: value for slot, value in slots.items() if slot != named[-1] and not slot.startswith("topic")}
                question = written(writer, way, other)
                if other.get(named[-1]) != slots.get(named[-1]):
                    asks.append(Asked(question, None))
    if not sentences:
        return document(rng, most, longest, none)
    # What other documents of the kind would say.
    for _ in range(2):
        fact = rng.randrange(len(pool))
        if fact not in told:
            slots = {}
            for same in ("person", "entity"):
                if "topic_" + same in writer.document and rng.random() < 0.8:
                    slots[same] = writer.document["topic_" + same]
            asks.append(Asked(written(writer, rng.choice(rng.choice(list(pool[fact].asks.values()))), slots), None))
    if rng.random() < 0.2:
        asks.append(Asked(written(writer, rng.choice(YES_OR_NO), {}), None))
    text = laid_out(writer, kind, sentences)
    context, places = unmarked(text)
    rng.shuffle(asks)
    nothing = [ask for ask in asks if ask.answer is None]
    something = [ask for ask in asks if ask.answer in places]
    chosen = []
    for _ in range(most):
        side = nothing if (rng.random() < none or not something) else something
        if side:
            chosen.append(side.pop())
    return [Example(finished(ask.question, rng), context, *(places[ask.answer] if ask.answer else (-1, -1))) for ask in chosen]


def laid_out(writer: Writer, kind: str, sentences: list[str]) -> str:
    """Sentences with capitals and ends, in paragraphs, lists or numbered sections."""
    rng = writer.rng
    style = rng.choices(["text", "paragraphs", "list", "numbers"], [75, 13, 6, 6] if kind != "events" else [90, 10, 0, 0])[0]
    lines = []
    for at, sentence in enumerate(sentences):
        sentence = re.sub(r"\b([Aa]) (?=(?:<\w+:)*[aeiou])", r"\1n ", re.sub(r" +", " ", sentence.strip()))
        start = re.match(r'(?:<\w+:|")*', sentence).end()
        sentence = sentence[:start] + sentence[start:start + 1].upper() + sentence[start + 1:]
        if not sentence.endswith((".", "!", "?", ":")):
            sentence += rng.choices([".", "!", ";"], [96, 2, 2])[0] if style != "list" else rng.choice([".", ""])
        if style == "numbers":
            sentence = f"{at + 1}. {sentence}"
        elif style == "list":
            sentence = rng.choice("-*") + " " + sentence
        lines.append(sentence)
    separator = "\n" if style in ("list", "numbers") else " "
    text = lines[0]
    for line in lines[1:]:
        text += (separator if style != "paragraphs" or rng.random() < 0.7 else "\n\n") + line
    if kind in HEADINGS and rng.random() < 0.25:
        text = writer.fill(rng.choice(HEADINGS[kind]), {}) + rng.choice(["\n", "\n\n", " "]) + text
    return text


# --- 2. The tokenizer -----------------------------------------------------------------------------------------------

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def train_tokenizer(texts: list[str], size: int) -> PreTrainedTokenizerFast:
    """WordPiece without capitals and accents; a word nobody knows falls into pieces, down to its letters."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    printable = [*map(chr, range(33, 127)), *"–—‘’“”£€°§×½·•…"]
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=printable)
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=ends)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=CONTEXT, **names,
                                   model_input_names=["input_ids", "token_type_ids", "attention_mask"])


class Row(NamedTuple):
    ids: array  # [CLS] question [SEP] context [SEP]
    question: int  # tokens up to and with the first [SEP]
    start: int  # tokens; 0, which is [CLS], without an answer
    end: int


def encode(tokenizer: PreTrainedTokenizerFast, examples: list[Example]) -> list[Row]:
    """Questions and documents as the model reads them; what lies behind the context's length is cut."""
    rows = []
    encoded = tokenizer([each.question for each in examples], [each.context for each in examples], truncation="only_second",
                        max_length=CONTEXT)
    for at, each in enumerate(examples):
        row = encoded[at]
        question, start, end = row.type_ids.index(1), 0, 0
        if each.start >= 0:
            start, end = row.char_to_token(each.start, 1), row.char_to_token(each.end - 1, 1)
            if start is None or end is None:
                start = end = 0
        rows.append(Row(array("H", row.ids), question, start, end))
    return rows


# --- 3. Training ----------------------------------------------------------------------------------------------------


def head_start(model: BertForQuestionAnswering) -> None:
    """Weights to begin with that look for what a reader needs, which a small model takes long to discover.

    Positions are sinusoids in dimensions of their own. In the first layer, one head looks for the same token on the other
    side (question or passage), and finds [CLS], which carries a flag, where there is none; two look at the tokens before and
    after. Further up two look at the tokens around. All of it can be unlearned.
    """
    config, generator = model.config, torch.Generator().manual_seed(SEED)
    width, size = config.hidden_size, config.hidden_size // config.num_attention_heads
    waves = size // 2
    first = width - size  # positions live in the last dimensions, half of them sines; then, going back, the type and the flag
    kind, flag = first - 1, first - 2
    rate = 2.0 * (1 / 200) ** (torch.arange(waves) / (waves - 1))
    places = torch.arange(config.max_position_embeddings)[:, None] * rate
    embeddings = model.bert.embeddings
    with torch.no_grad():
        embeddings.word_embeddings.weight.normal_(0, 0.7, generator=generator)
        embeddings.word_embeddings.weight[:, flag:] = 0
        for some in (slice(0, size - 2), slice(size - 2, 2 * size - 4)):  # what the heads look at is of one length
            part = embeddings.word_embeddings.weight[:, some]
            part *= 0.7 * math.sqrt(size - 2) / part.norm(dim=1, keepdim=True)
        embeddings.word_embeddings.weight[SPECIAL.index("[CLS]"), flag] = 3
        embeddings.word_embeddings.weight[config.pad_token_id] = 0
        embeddings.position_embeddings.weight.zero_()
        embeddings.position_embeddings.weight[:, first:] = torch.cat([places.sin(), places.cos()], dim=1)
        embeddings.token_type_embeddings.weight.zero_()
        embeddings.token_type_embeddings.weight[:, kind] = torch.tensor([-1.5, 1.5])
        for at, layer in enumerate(model.bert.encoder.layer):
            inner = layer.attention.self
            query, key = inner.query.weight, inner.key.weight
            layer.attention.output.dense.weight *= 0.4
            layer.output.dense.weight *= 0.4
            if at < 2:
                looked = slice(at * (size - 2), (at + 1) * (size - 2))
                for weight, sign in ((query, -1.0), (key, 1.0)):
                    weight[:size] = 0
                    weight[:size - 2, looked] = torch.eye(size - 2) * 2.2
                    weight[size - 2, kind] = sign * 1.5
            if at == 0:
                inner.query.bias[size - 1] = 3
                key[size - 1, flag] = 4
                inner.value.weight[0], inner.value.weight[0, flag] = 0, 1
                layer.attention.output.dense.weight[:, 0] = layer.attention.output.dense.weight[flag] = layer.output.dense.weight[flag] = 0
                layer.attention.output.dense.weight[flag, 0] = 0.6
            for head, step in ((1, -1.0), (2, 1.0)):
                turn = rate * step if at == 0 else rate * 0
                rows = slice(head * size, (head + 1) * size)
                scale = 1.6 if at == 0 else 1.2
                query[rows], key[rows] = 0, 0
                key[rows, first:] = torch.eye(size) * scale
                cosine, sine = torch.diag(turn.cos()), torch.diag(turn.sin())
                query[rows, first:] = torch.cat([torch.cat([cosine, sine], 1), torch.cat([-sine, cosine], 1)]) * scale


def span_loss(model: BertForQuestionAnswering, inputs: dict[str, torch.Tensor], starts: torch.Tensor,
    ends: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the first and the last token, over all tokens that are not padding."""
    output = model(**inputs)
    hide = inputs["attention_mask"] == 0
    losses = [torch.nn.functional.cross_entropy(logits.masked_fill(hide, -1e4), target)
              for logits, target in ((output.start_logits, starts), (output.end_logits, ends))]
    return (losses[0] + losses[1]) / 2


def documents(rng: random.Random, count: int) -> list[Example]:
    """Examples to learn from: documents grow from a sentence or two to up to twelve; at first few questions have no answer."""
    examples: list[Example] = []
    while len(examples) < count:
        done = len(examples) / count
        examples += document(rng, longest=int(2 + 20 * done), none=min(0.34, 0.1 + done))
    return examples[:count]


def train(model: BertForQuestionAnswering, rows: list[Row], unknown: int) -> None:
    """One pass over the rows: AdamW, a short warm-up, then a cosine down to zero."""
    steps, generator = len(rows) // BATCH_SIZE, torch.Generator().manual_seed(SEED)
    # Rows of similar length share a batch (less padding); their order is random within some fifty batches, for documents
    # grow from a sentence or two to their full length.
    batches, shuffled = [], random.Random(SEED)
    for first in range(0, steps * BATCH_SIZE, BATCH_SIZE * 50):
        block = sorted(range(first, min(first + BATCH_SIZE * 50, steps * BATCH_SIZE)), key=lambda row: len(rows[row].ids))
        some = [block[at:at + BATCH_SIZE] for at in range(0, len(block), BATCH_SIZE)]
        shuffled.shuffle(some)
        batches += some
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), fused=True)
    warm_up = max(1, steps // 25)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, 0.5 + 0.5 * math.cos(math.pi * step / steps)))
    model.train()
    losses: list[float] = []
    begun = time.perf_counter()
    for step, batch in enumerate(batches):
        width = max(len(rows[row].ids) for row in batch)
        ids = torch.tensor([[*rows[row].ids, *[0] * (width - len(rows[row].ids))] for row in batch])
        length = torch.tensor([[len(rows[row].ids)] for row in batch])
        second = torch.tensor([[rows[row].question] for row in batch])
        at = torch.arange(width)[None]
        # Some words are hidden, so that no single one decides; pairs begin anywhere, so that every position is learned.
        hidden = (torch.rand(ids.shape, generator=generator) < 0.03) & (ids >= len(SPECIAL))
        shift = int(torch.randint(CONTEXT - width + 1, (), generator=generator)) if step % 2 else 0
        inputs = {"input_ids": ids.masked_fill(hidden, unknown), "attention_mask": (at < length).long(),
                  "token_type_ids": ((at >= second) & (at < length)).long(), "position_ids": at + shift}
        loss = span_loss(model, inputs, torch.tensor([rows[row].start for row in batch]),
            torch.tensor([rows[row].end for row in batch]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % max(1, steps // 20) == 0:
            minutes = (time.perf_counter() - begun) / 60
            print(f"step {step + 1:>6} of {steps}   loss {sum(losses) / len(losses):.3f}   {minutes:.1f} minutes", flush=True)
            losses.clear()
    model.eval()


# --- 4. Measuring ---------------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """The best span of a context and how it compares with none."""

    text: str
    score: float  # start logit plus end logit
    null: float  # the same of [CLS], the least of all windows


@torch.inference_mode()
def read(model: BertForQuestionAnswering, tokenizer: PreTrainedTokenizerFast, pairs: list[tuple[str, str]]) -> list[Found]:
    """The best answer to each (question, context), over windows where the context is long."""
    encoded = tokenizer([question for question, _ in pairs], [context for _, context in pairs], truncation="only_second",
        max_length=CONTEXT,
                        stride=STRIDE, return_overflowing_tokens=True, return_offsets_mapping=True)
    best: list[Found] = [Found("", -math.inf, math.inf)] * len(pairs)
    order = sorted(range(len(encoded["input_ids"])), key=lambda at: len(encoded["input_ids"][at]))
    for first in range(0, len(order), 32):
        some = order[first:first + 32]
        width = max(len(encoded["input_ids"][at]) for at in some)
        inputs = {name: torch.tensor([[*encoded[name][at], *[0] * (width - len(encoded[name][at]))] for at in some])
                  for name in ("input_ids", "token_type_ids", "attention_mask")}
        output = model(**inputs)
        within = torch.tensor([[part == 1 for part in encoded.sequence_ids(at)] + [False] * (width - len(encoded["input_ids"][at])) for at in some])
        starts, ends = (logits.float() for logits in (output.start_logits, output.end_logits))
        pair = starts.masked_fill(~within, -1e4)[:, :, None] + ends.masked_fill(~within, -1e4)[:, None, :]
        allowed = torch.ones(width, width).triu().tril(LONGEST_ANSWER - 1).bool()
        score, place = pair.masked_fill(~allowed, -1e5).flatten(1).max(dim=1)
        null = starts[:, 0] + ends[:, 0]
        for at, window in enumerate(some):
            sample = encoded["overflow_to_sample_mapping"][window]
            start, end = divmod(int(place[at]), width)
            offsets, before = encoded["offset_mapping"][window], best[sample]
            text = before.text
            if float(score[at]) > before.score:
                text = pairs[sample][1][offsets[start][0]:offsets[end][1]]
            best[sample] = Found(text, max(before.score, float(score[at])), min(before.null, float(null[at])))
    return best


class NoAnswer(NamedTuple):
    """Probability of no answer: sigmoid(scale * (null score - best span's score) + shift); none above the threshold."""

    scale: float
    shift: float
    threshold: float

    def probability(self, found: list[Found]) -> np.ndarray:
        difference = np.array([each.null - each.score for each in found])
        return 1 / (1 + np.exp(-np.clip(self.scale * difference + self.shift, -50, 50)))

    def answers(self, found: list[Found]) -> list[str | None]:
        return [None if none > self.threshold else each.text for each, none in zip(found, self.probability(found), strict=True)]


def fitted(found: list[Found], references: list[list[str]]) -> NoAnswer:
    """Logistic regression of "there is no answer" by Newton's method, then the threshold with the greatest mean F1."""
    design = np.stack([[each.null - each.score for each in found], np.ones(len(found))], axis=1)
    answerable, weights = np.array([bool(texts) for texts in references]), np.zeros(2)
    for _ in range(50):
        probability = 1 / (1 + np.exp(-np.clip(design @ weights, -50, 50)))
        curvature = (design * (probability * (1 - probability))[:, None]).T @ design + 1e-6 * np.eye(2)
        weights += np.linalg.solve(curvature, design.T @ (~answerable - probability))
    fit = NoAnswer(float(weights[0]), float(weights[1]), 0.5)
    _, f1 = spans.scores([each.text for each in found], references, v2=True)
    return fit._replace(threshold=spans.best_threshold(f1, answerable, fit.probability(found))[0])


# Written by hand, and never trained on: passages as people write them. A question, =, its answer; no answer where there is none.
BY_HAND = """
Residential lease. The tenant shall pay the rent of 840 euros by the fifth day of each month. A deposit of 1,680 euros is due before the keys are handed over. At the end of the lease the tenant shall receive the deposit within 30 days after the keys are handed back, less any amount due for repairs under section 9. The tenant shall make no alterations to the dwelling without the landlord's consent. Either party may end this lease with three months' notice in writing.
When is the deposit returned? = within 30 days after the keys are handed back
Are pets allowed? =
How much is the rent? = 840 euros
How much is the deposit? = 1,680 euros
How long is the notice period? = three months
When must the rent be paid? = by the fifth day of each month
Who pays for the heating? =

The lighthouse at Skerry Point was built in 1874 by the engineer Thomas Hale. It is 41 metres high and its light can be seen from 20 miles away. In 1961 the last keeper, Ewan Grant, retired, and since then the lamp has been controlled from the mainland.
Who built the lighthouse? = Thomas Hale
When was the lighthouse built? = 1874
How high is the lighthouse? = 41 metres
Who was the last keeper? = Ewan Grant
What is the lamp controlled from? = the mainland
How many people visit the lighthouse? =

Hi Tom, thanks for your message. I cannot come on Friday because my sister is getting married. Could we meet on Tuesday at half past ten in the café behind the station instead? Bring the drawings, please, and tell Priya that the printer is working again. Best, Laura
Why can't Laura come on Friday? = my sister is getting married
Where could they meet? = in the café behind the station
What should Tom bring? = the drawings
What is Laura's phone number? =

The river Orla rises in the Grey Mountains and flows for 312 kilometres through three countries before it reaches the Baltic Sea. Its largest tributary is the Brenn. Salmon, which had disappeared from the river in the 1950s, returned after two paper mills were closed in 1988.
Where does the Orla rise? = in the Grey Mountains
How long is the river? = 312 kilometres
What is its largest tributary? = the Brenn
When were the paper mills closed? = 1988
Which fish returned to the river? = Salmon
Who closed the paper mills? =

To reset the alarm, hold the round button on the back for ten seconds until the lamp blinks twice. If the lamp stays red, the battery is too weak and must be replaced. The battery lasts about two years. Never open the case while the alarm is connected to the mains.
How do I reset the alarm? = hold the round button on the back for ten seconds
What does a red lamp mean? = the battery is too weak
How long does the battery last? = about two years
How much does the alarm cost? =

Marta Olsen, the company's founder, will step down as chief executive in June after 22 years. She will be followed by Daniel Reyes, who has led the shipping division since 2015. The company, based in Aarhus, employs 3,400 people and made a profit of 61 million euros last year.
Who founded the company? = Marta Olsen
Who will be the next chief executive? = Daniel Reyes
How many people does the company employ? = 3,400
Where is the company based? = Aarhus
How much profit did the company make last year? = 61 million euros
When was the company founded? =

Melt 80 grams of butter in a small pan, stir in the oats and two spoons of honey, and press the mixture into a tin. Bake for 25 minutes at 180 degrees until the edges are brown. Let the bars cool completely before you cut them, otherwise they will crumble.
How much butter do I need? = 80 grams
How long do I bake the bars? = 25 minutes
What happens if I cut them too early? = they will crumble
How many eggs do I need? =

The museum is open daily except Monday from 10 am to 6 pm, and on Thursday until 9 pm. Admission is 12 pounds; children under six get in free. Guided tours in English start at 11 am in the entrance hall. Large bags have to be left in the cloakroom.
On which day is the museum closed? = Monday
How much is admission? = 12 pounds
Where do the guided tours start? = in the entrance hall
Until when is the museum open on Thursday? = 9 pm
Who is the director of the museum? =

The council voted by 14 to 9 on Wednesday evening to close Market Street to cars. Shop owners fear that they will lose customers, while residents hope for cleaner air. The change takes effect on 1 March and will be reviewed after a year. A petition against it had been signed by 2,300 people.
What did the council vote to close? = Market Street
What do residents hope for? = cleaner air
When does the change take effect? = 1 March
How many people signed the petition? = 2,300
What is the name of the mayor? =

Coffee was brought to the island by Dutch traders in the seventeenth century. Today it is grown mainly on the southern slopes, where the soil is rich in ash from the volcano. The beans are dried in the sun for about three weeks. Most of the harvest is sold to Japan.
Who brought coffee to the island? = Dutch traders
Where is coffee grown today? = on the southern slopes
How long are the beans dried? = about three weeks
To which country is most of the harvest sold? = Japan
How many people live on the island? =

The 8:15 ferry to Holm was cancelled this morning because of thick fog. Passengers were taken to the island by bus over the new bridge, which took them almost two hours. The next ferry leaves at 13:40 from pier 4. Tickets that were already bought remain valid.
Why was the ferry cancelled? = thick fog
When does the next ferry leave? = at 13:40
From which pier does the next ferry leave? = pier 4
How much is a ticket? =
""".strip()


class Question(NamedTuple):
    """A question with its right answers, none where the passage has none."""

    question: str
    context: str
    answers: list[str]


def own_questions(seed: int, count: int) -> list[Question]:
    """Questions of the grammar from another seed."""
    rng, found = random.Random(seed), []
    while len(found) < count:
        found += [Question(each.question, each.context, [each.context[each.start:each.end]] if each.start >= 0 else []) for each in document(rng)]
    return found[:count]


def by_hand() -> list[Question]:
    found = []
    for block in BY_HAND.split("\n\n"):
        context, *lines = block.split("\n")
        for line in lines:
            question, answer = (part.strip() for part in line.split("=", 1))
            found.append(Question(question, context, [answer] if answer else []))
    return found


def outside(path: Path) -> list[Question]:
    """Questions of others, as SQuAD writes them."""
    return [Question(asked["question"], paragraph["context"], [answer["text"] for answer in asked["answers"]])
            for article in json.loads(path.read_text(encoding="utf-8"))["data"]
            for paragraph in article["paragraphs"] for asked in paragraph["qas"]]


# --- 5. The card and the main program -------------------------------------------------------------------------------

CARD = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: question-answering
---

# builtin/reader

An honest toy: a BERT with {parameters:,} parameters which looks for the answer to an English question in a passage, or says
that there is none. It ships inside hfcli so that the commands can be tried with no network and no download. It has learned to
compare words and to tell names, numbers, dates and places apart; it understands nothing. On texts that people have written
it is mostly wrong; the scores below say how often.

    hfcli qa -m builtin/reader --context-file lease.txt --question "When is the deposit returned?"

## How it was made

`builtin/reader.py` in the hfcli repository makes every file of this folder, this card included:

- **Text.** A grammar written for this project writes documents of up to twelve sentences (leases, manuals, notices,
  timetables, recipes, memos, news, letters, encyclopedia entries, and events made of random words), often with several facts
  of a kind, and questions about them in different words; {share:.0%} of the questions have no answer in the document. No data
  set was used. {rows:,} questions were seen once each, about documents that grew from two sentences to their full length.
- **Tokenizer.** WordPiece without capitals and accents, {vocabulary:,} tokens.
- **Model.** BERT, {layers} layers, width {width}, context {context}; stored in bfloat16. The weights it began with look for
  the same word in question and passage, and for neighbours; the rest was random.
- **Training.** From scratch in float32: {steps:,} steps of {batch} questions ({tokens:.1f} million tokens), AdamW, peak
  learning rate {peak}, warm-up and cosine, seed {seed}. It took {minutes:.1f} minutes on {threads} (torch {torch},
  transformers {transformers}).
- **No answer.** How sure it is that there is none was fitted by logistic regression on {fitting:,} questions of the same
  grammar from another seed ({fitting_seed}): sigmoid({scale:.3f} x difference {shift:+.3f}), the difference being the score of
  no answer minus that of the best span. Above {threshold:.3f}, which gave the best F1 there, it says so.

## Scores

Exact match and F1 by the rules of SQuAD, 0 to 100, measured by the same script on the stored files, with 95% bootstrap
intervals over the questions. "Always answering": the best span is given whatever the probability of no answer.

| questions | n | exact match, float32 | F1, float32 | exact match, bfloat16 | F1, bfloat16 |
|---|---|---|---|---|---|
{scores}

- The first rows: documents of the same grammar from another seed ({held_out_seed}). They say how well the grammar was learned
  and nothing about English at large.
- The second rows: passages and questions written by hand for this purpose. Nothing was learned from them, but the grammar
  got some turns of phrase after an earlier version had been seen to miss them here, so these rows are a bit kind.
- Further rows are questions of other data sets: the fair measure of what it is good for. No text of theirs was learned from
  or read for the grammar; their scores, and those on other questions of SQuAD, were seen between its versions. A finetuned
  model of a useful size has an F1 of more than 85 there.

## Limits

- A question that shares no words with the passage is beyond it, and so is whatever takes a second thought: comparing,
  counting, adding, understanding a "not".
- It often points to the right sentence and the wrong words of it, and may begin or end in the middle of a word.
- It was made for passages of at most a dozen short sentences.
- Its "no answer" is calibrated on its own grammar. On other texts the probability is a guess.
- It is of no use for judging the quality of anything but the program around it.

## Licence

Apache-2.0, as hfcli itself.
"""


def measure(folder: Path, questions: list[Question], no_answer: NoAnswer) -> list[tuple[str, int, list[metrics.Score]]]:
    """Rows for the card: all questions, then those with and without an answer; exact match and F1 in both types."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    answers, guesses = [], []
    for dtype in (torch.float32, torch.bfloat16):
        found = read(AutoModelForQuestionAnswering.from_pretrained(folder, dtype=dtype), tokenizer,
            [each[:2] for each in questions])
        answers.append(no_answer.answers(found))
        guesses.append([each.text for each in found])
    some = [at for at, each in enumerate(questions) if each.answers]
    none = [at for at, each in enumerate(questions) if not each.answers]
    groups = {"all": (range(len(questions)), answers), "with an answer": (some, answers), "without an answer": (none, answers),
              "with an answer, always answering": (some, guesses)}
    if not none:
        groups = {"as it is": (some, answers), "always answering": (some, guesses)}
    return [(name, len(chosen), [metrics.score(metric, spans.objects(given[at] for at in chosen),
        spans.objects(questions[at].answers for at in chosen))
                                 for given in both for metric in ("exact_match", "f1")])
            for name, (chosen, both) in groups.items() if len(chosen)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the toy reader builtin/reader, which answers questions from a passage.")
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--output", type=Path, default=root / "hfcli" / "builtin" / "reader", help="folder to write")
    parser.add_argument("--steps", type=int, default=4500, help="training steps")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads to train with")
    parser.add_argument("--outside", action="append", default=[], metavar="NAME=FILE",
        help="questions to measure on, SQuAD's JSON")
    arguments = parser.parse_args()
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    transformers.utils.logging.disable_progress_bar()

    examples = documents(random.Random(SEED), arguments.steps * BATCH_SIZE)
    tokenizer = train_tokenizer([f"{each.question} {each.context}" for each in examples[::5]], VOCABULARY)
    tokenizer.save_pretrained(folder)  # before it is used: what it cuts would be stored with it
    rows = encode(tokenizer, examples)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=6, num_attention_heads=4, intermediate_size=256,
        max_position_embeddings=CONTEXT, pad_token_id=tokenizer.pad_token_id, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, initializer_range=0.08)
    model = BertForQuestionAnswering(config)
    head_start(model)
    start = time.perf_counter()
    train(model, rows, tokenizer.unk_token_id)
    minutes = (time.perf_counter() - start) / 60

    # Whoever finetunes it wants the usual dropout.
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.1
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)

    fitting = own_questions(FITTING_SEED, 3000)
    stored = AutoModelForQuestionAnswering.from_pretrained(folder, dtype=torch.float32)
    no_answer = fitted(read(stored, tokenizer, [each[:2] for each in fitting]), [each.answers for each in fitting])
    settings = Settings("question-answering", {name: name for name in ("question", "context", "answers")}, None, CONTEXT,
        "window",
                        STRIDE, max_answer_length=LONGEST_ANSWER, null_threshold=round(no_answer.threshold, 4),
                        null_scale=round(no_answer.scale, 4), null_shift=round(no_answer.shift, 4))
    about = json.dumps({**asdict(settings), "hfcli": __version__}, indent=2)
    (folder / "hfcli_settings.json").write_text(about + "\n")
    no_answer = NoAnswer(settings.null_scale, settings.null_shift, settings.null_threshold)

    seen = {each.context for each in examples}
    held_out = [each for each in own_questions(HELD_OUT_SEED, 3000) if each.context not in seen]
    sets = {"its own grammar": held_out, "written by hand": by_hand()}
    sets |= {name: outside(Path(path)) for name, path in (given.split("=", 1) for given in arguments.outside)}
    lines = []
    for name, questions in sets.items():
        for group, count, scores in measure(folder, questions, no_answer):
            cells = [f"{each.value:.1f} ({each.low:.1f} to {each.high:.1f})" for each in scores[:2]] + [f"{each.value:.1f}" for each in scores[2:]]
            lines.append(f"| {name}, {group} | {count:,} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    (folder / "README.md").write_text(CARD.format(
        parameters=model.num_parameters(), share=sum(not each.start for each in rows) / len(rows), rows=len(rows),
        vocabulary=len(tokenizer), layers=config.num_hidden_layers, width=config.hidden_size, context=CONTEXT,
        steps=arguments.steps, batch=BATCH_SIZE, tokens=sum(len(each.ids) for each in rows) / 1e6, peak=PEAK_LEARNING_RATE,
        seed=SEED, minutes=minutes, threads=f"{arguments.threads} CPU threads" if arguments.threads > 1 else "one CPU thread",
            torch=torch.__version__.split("+")[0],
        transformers=transformers.__version__, fitting=len(fitting), fitting_seed=FITTING_SEED, scale=no_answer.scale,
        shift=no_answer.shift, threshold=no_answer.threshold, scores="\n".join(lines), held_out_seed=HELD_OUT_SEED))


if __name__ == "__main__":
    main()
