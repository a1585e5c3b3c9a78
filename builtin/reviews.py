"""Build `builtin/reviews`, the toy sentiment classifier which ships inside hfcli so that it can be tried with no network.

    python builtin/reviews.py [--output DIR] [--steps N] [--outside NAME=FILE ...]     # about ten minutes on two cores

One linear script, in five parts:

1. a seeded grammar writes opinions on films, books, food, hotels and things (every sentence below was written for this
   project; no data set is read);
2. a lower-casing WordPiece tokenizer is trained on them;
3. a small BERT is trained from scratch, in float32, to tell `neg` from `pos`;
4. the model is stored in bfloat16, read back, and measured on opinions from another seed, on sentences written by hand,
   and on files of labelled texts that `--outside` names, which nothing was learned from;
5. the model card is written with the numbers just measured.

How exact is a rebuild? The opinions and the tokenizer depend only on SEED and come out identical on any machine. The
weights repeat with the same torch version on the same kind of CPU with two threads; elsewhere, floating-point sums are
taken in another order, so the weights and the scores differ slightly.
"""

import argparse
import gzip
import json
import math
import random
import re
import time
from array import array
from dataclasses import asdict
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from hfcli import __version__, metrics
from hfcli.tasks.base import Settings

SEED = 21
HELD_OUT_SEED = 1_000_021
BATCH_SIZE = 64
PEAK_LEARNING_RATE = 2e-3
CONTEXT = 512
LABELS = ["neg", "pos"]

# --- 1. The grammar -------------------------------------------------------------------------------------------------
# A text is written for a polarity. [a|b] chooses one alternative and may nest; <rule> inserts one line of a rule, taken
# from the words of the polarity where there are two lists; <!rule> inserts one of the other polarity.

WORDS: dict[str, tuple[str, str]] = { # rule: (neg, pos)
    "adj": (
        """bad terrible awful horrible dreadful poor weak dull boring tedious tiresome dreary bland stale flat
        lifeless hollow empty shallow superficial silly stupid dumb idiotic ridiculous absurd ludicrous
        pointless meaningless senseless mindless useless worthless forgettable unmemorable mediocre average
        uninspired unimaginative unoriginal derivative predictable formulaic clichéd cliched trite hackneyed
        tired old-fashioned outdated dated contrived forced artificial fake phony false insincere sentimental
        sappy syrupy mawkish maudlin corny cheesy cringeworthy embarrassing painful unbearable unwatchable
        unreadable inedible unpleasant disagreeable nasty ugly hideous disgusting revolting repulsive gross vile
        foul rotten rancid smelly dirty filthy grimy shabby run-down worn cheap flimsy shoddy tacky tasteless
        flavourless flavorless soggy greasy burnt undercooked overcooked cold lukewarm dry tough chewy rubbery
        watery mushy oily salty bitter sour noisy cramped stuffy damp mouldy moldy freezing gloomy depressing
        dismal bleak grim miserable joyless humourless humorless unfunny unamusing laughable pathetic pitiful
        lame limp feeble inept incompetent amateurish clumsy awkward clunky sloppy careless messy chaotic
        confusing confused muddled incoherent disjointed incomprehensible unintelligible convoluted
        overcomplicated overlong bloated slow sluggish plodding ponderous lumbering turgid heavy-handed preachy
        pretentious pompous smug self-indulgent arrogant condescending patronizing rude unfriendly unhelpful
        indifferent impolite hostile aggressive offensive insulting distasteful crude vulgar cynical
        manipulative exploitative dishonest misleading deceptive overpriced expensive unfair unreliable faulty
        defective broken buggy glitchy laggy unstable unusable uncomfortable inconvenient impractical annoying
        irritating frustrating infuriating aggravating maddening exasperating grating shrill obnoxious unlikable
        unlikeable unsympathetic unconvincing implausible improbable underdeveloped half-baked unfinished
        incomplete thin sketchy one-dimensional two-dimensional wooden stilted stiff leaden lackluster
        lacklustre disappointing unsatisfying unsatisfactory underwhelming inadequate insufficient inferior
        substandard subpar abysmal atrocious appalling abominable deplorable disastrous catastrophic hopeless
        wretched lousy crappy crummy godawful horrid ghastly hateful sickening nauseating soulless heartless
        charmless spiritless toothless bloodless unengaging uninvolving uninteresting unremarkable unexceptional
        unappealing unattractive unnecessary needless excessive overwrought overblown overdone overacted
        overrated monotonous repetitive repetitious redundant interminable endless numbing mind-numbing
        sleep-inducing soporific stagnant lazy slapdash slipshod misguided misjudged misconceived ill-conceived
        ill-advised unfortunate regrettable sad-looking dim murky blurry grainy jerky choppy jarring ungainly
        graceless witless brainless clueless vapid vacuous inane insipid banal pedestrian prosaic generic
        routine perfunctory mechanical by-the-numbers listless lethargic languid inert static stagy shapeless
        aimless directionless rambling meandering unfocused erratic uneven patchy inconsistent disorganized
        disorganised sterile cold-hearted mean-spirited cruel barren desperate strained laboured labored
        tortured torturous excruciating agonizing insufferable intolerable unendurable dire woeful sorry
        shameful disgraceful scandalous outrageous horrendous horrific unhygienic unclean unsafe dangerous slimy
        sticky smoky draughty rusty scratched cracked torn faded wobbly leaky inaccurate incorrect wrong
        inaudible illegible juvenile puerile sophomoric childish moronic asinine nonsensical illogical recycled
        rehashed secondhand warmed-over watered-down toxic bogus lopsided jumbled garbled cluttered overstuffed
        undistinguished undernourished off-putting stomach-turning dispiriting disheartening disappointed
        dissatisfied unhappy bored annoyed tame tepid stodgy schmaltzy saccharine sugary cloying treacly soppy
        glib facile simplistic reductive hammy cartoonish crass coarse lewd sleazy trashy junky tawdry seedy
        sordid squalid grubby unsavory unseemly unwholesome unhealthy unpalatable unpolished unskilled
        untalented talentless unprofessional uninformed ignorant uninviting unwelcoming unwelcome unwanted
        unloved unworthy undeserving unimpressive unexciting unentertaining unmoving unaffecting unrewarding
        unfulfilling unsuccessful unsatisfied ungrateful unforgivable inexcusable unacceptable unprepared
        unresponsive unsubtle unnatural unrealistic uneasy unclear vague hazy opaque impenetrable baffling
        perplexing bewildering tangled ragged crooked dented stained soiled musty reeking stinky putrid infested
        hasty rushed hurried patchwork piecemeal fragmented scattered scattershot hit-and-miss hit-or-miss so-so
        middling passable run-of-the-mill cookie-cutter paint-by-numbers made-for-tv straight-to-video low-rent
        second-rate third-rate bottom-of-the-barrel amateur ham-fisted wrongheaded wrong-headed boneheaded dopey
        dippy dimwitted imbecilic cockamamie far-fetched preposterous outlandish inexplicable unexplained
        unmotivated unresolved overwritten overproduced overplotted overheated overripe overbearing overdramatic
        melodramatic histrionic bombastic grandiose verbose long-winded wordy talky windy droning drab dour
        dismaying distressing troubling upsetting acrid spiteful malicious mean vicious sadistic misogynistic
        sexist racist bigoted narrow-minded small-minded self-important self-satisfied self-conscious
        self-serving narcissistic vain pandering inauthentic calculated mercenary greedy corrupt fraudulent
        reckless irresponsible negligent inattentive dismissive snobbish snooty haughty stuck-up surly grumpy
        grouchy sullen moody impatient disrespectful abrasive abusive deadly deadening dead doomed ill-fated
        botched bungled failed wasted ruined spoiled crumbling decrepit dilapidated ramshackle rickety shaky
        creaky anemic skimpy meager meagre scant paltry measly stingy puny trifling trivial petty
        inconsequential insignificant irrelevant disposable throwaway indistinct nondescript colourless
        colorless stultifying stupefying stifling suffocating oppressive punishing grueling gruelling wearying
        wearisome tiring exhausting draining taxing trying irksome vexing bothersome troublesome cumbersome
        unwieldy inaccessible cheap-looking fake-looking ill-fitting ill-mannered badly-made poorly-made
        half-hearted half-assed hard-to-follow one-note one-joke no-good blah icky yucky gloppy gooey soupy glum
        morose mournful lugubrious funereal draggy dragging lagging soul-sucking soul-destroying brain-dead
        tone-deaf dead-end knee-jerk stomach-churning cringe-inducing headache-inducing awry amiss rank subhuman
        inhuman unjust biased misbegotten harebrained pseudo hypocritical humdrum lackadaisical arid parched
        stunted cliché-ridden cliche-ridden unsurprising uninvolved disengaged detached distant aloof frigid
        frosty stony robotic canned stock threadbare shopworn moth-eaten dusty regurgitated retread simpering
        whiny whining nagging strident screechy deafening garish gaudy lurid kitschy unlovely lumpy clammy humid
        smoggy crowded overcrowded overrun touristy claustrophobic dingy dank""",
        """good great excellent wonderful marvellous marvelous fantastic superb terrific splendid magnificent
        brilliant amazing awesome outstanding exceptional extraordinary remarkable phenomenal stunning gorgeous
        beautiful lovely charming delightful enchanting captivating enthralling spellbinding mesmerizing
        mesmerising hypnotic riveting gripping absorbing engrossing compelling engaging involving fascinating
        intriguing interesting thrilling exciting exhilarating electrifying breathtaking spectacular dazzling
        glorious sublime exquisite elegant graceful stylish classy polished refined sophisticated subtle
        delicate nuanced layered rich deep profound thoughtful thought-provoking insightful perceptive
        intelligent smart clever witty funny hilarious amusing humorous comical entertaining enjoyable fun
        playful lively energetic vibrant colourful colorful fresh original inventive innovative imaginative
        creative ingenious unique distinctive daring bold ambitious brave honest sincere heartfelt genuine
        authentic truthful real touching moving poignant affecting stirring heartwarming heart-warming uplifting
        inspiring inspirational life-affirming joyous joyful cheerful happy sunny warm tender sweet gentle kind
        friendly welcoming hospitable helpful polite courteous attentive professional efficient prompt quick
        fast reliable dependable sturdy solid durable robust strong powerful potent impressive masterful
        masterly skilful skillful accomplished expert flawless perfect impeccable faultless immaculate spotless
        clean tidy comfortable comfy cosy cozy spacious roomy quiet peaceful relaxing restful calm soothing
        luxurious generous plentiful delicious tasty flavourful flavorful yummy scrumptious mouthwatering
        succulent juicy crisp crispy crunchy creamy fragrant appetizing satisfying fulfilling rewarding
        worthwhile valuable useful handy practical convenient affordable reasonable inexpensive fair well-made
        well-acted well-written well-crafted well-paced well-directed well-designed well-balanced
        beautifully-made first-rate top-notch first-class world-class high-quality superior fine nice pleasant
        agreeable likable likeable lovable adorable endearing winning winsome appealing attractive inviting
        irresistible memorable unforgettable haunting timeless classic essential indispensable seductive sensual
        sexy romantic magical enchanted dreamy atmospheric evocative lyrical poetic luminous radiant shimmering
        sumptuous lush lavish opulent ravishing striking eye-catching vivid convincing believable plausible
        credible realistic lifelike natural effortless fluid smooth seamless coherent clear lucid accessible
        readable watchable unputdownable addictive suspenseful tense taut tight fast-paced brisk breezy snappy
        crackling sparkling effervescent bubbly sharp incisive razor-sharp biting sly wry droll whimsical quirky
        offbeat charismatic magnetic commanding assured confident mature wise humane compassionate empathetic
        sympathetic generous-spirited good-natured good-hearted big-hearted affectionate loving devoted faithful
        respectful tasteful dignified noble heroic triumphant victorious fabulous stellar sensational incredible
        superlative unbeatable unmatched unsurpassed peerless matchless incomparable stupendous tremendous
        glowing refreshing invigorating revitalizing bracing eye-opening enlightening informative educational
        instructive illuminating revelatory provocative challenging intricate complex multifaceted textured
        finely-tuned precise meticulous careful painstaking detailed harmonious melodious tuneful catchy groovy
        infectious feel-good side-splitting uproarious riotous laugh-out-loud zany exuberant spirited
        high-spirited ebullient passionate fervent intense searing unflinching fearless courageous gutsy
        resonant enduring lasting satisfied pleased delighted impressed grateful thrilled bittersweet wistful
        elegiac disarming beguiling bewitching decent worthy commendable admirable praiseworthy laudable
        deserving foolproof intuitive user-friendly responsive lightweight accurate versatile speedy hassle-free
        value-for-money unpretentious unassuming understated restrained economical ageless heavenly divine
        idyllic picturesque scenic serene tranquil hearty wholesome nourishing nutritious homemade velvety
        buttery good-looking handsome cute darling precious priceless invaluable exemplary ideal supreme
        ultimate consummate unequaled unrivaled unparalleled singular rare special fab cool nifty epic legendary
        iconic immortal monumental towering mighty majestic regal stately grand imposing awe-inspiring
        jaw-dropping mind-blowing heart-stopping heart-pounding pulse-pounding spine-tingling nail-biting
        action-packed kinetic dynamic propulsive rollicking rip-roaring swashbuckling rousing galvanizing
        energizing vivacious vital animated bouncy peppy jaunty frothy airy light-hearted lighthearted carefree
        jolly jovial merry gleeful jubilant ecstatic euphoric blissful rapturous incandescent gleaming
        glittering glamorous chic suave debonair dashing sleek slick well-oiled pristine unspoiled pure innocent
        frank candid forthright straightforward down-to-earth earthy gritty visceral muscular vigorous
        full-blooded full-bodied ripe mellow silky plush fluffy snug homely homey state-of-the-art cutting-edge
        groundbreaking ground-breaking pioneering visionary audacious intrepid plucky spunky feisty scrappy
        resilient tenacious steadfast loyal trustworthy honourable honorable virtuous angelic cuddly cherished
        treasured beloved well-loved popular acclaimed celebrated award-winning award-worthy oscar-worthy
        esteemed renowned distinguished illustrious erudite literate articulate eloquent urbane worldly astute
        shrewd canny savvy keen observant discerning penetrating probing trenchant cogent persuasive forceful
        telling pertinent relevant timely topical universal relatable comforting consoling reassuring healing
        therapeutic cathartic redemptive transcendent transporting immersive enveloping sweeping expansive
        panoramic wide-ranging comprehensive thorough in-depth rigorous disciplined balanced
        even-handed fair-minded open-minded tolerant supportive encouraging hopeful optimistic upbeat positive
        constructive fruitful beneficial healthy delectable luscious lip-smacking zesty tangy savoury savory
        aromatic flaky moist freshly-baked home-cooked hand-made handmade handcrafted organic accommodating
        obliging amiable affable genial cordial gracious considerate caring nurturing unselfish patient gallant
        ethereal otherworldly mystical tantalizing sultry steamy sizzling smoldering scintillating electric
        explosive show-stopping scene-stealing star-making career-best virtuoso bravura deft adroit agile nimble
        adept skilled gifted talented seasoned competent capable hard-hitting clear-eyed level-headed
        warm-hearted soul-stirring crowd-pleasing family-friendly kid-friendly easygoing easy-going laid-back
        unhurried leisurely meditative contemplative introspective philosophical ruminative literary cinematic
        painterly stylized artful artistic aesthetic sensuous tactile sensory rhythmic musical melodic soulful
        bluesy jazzy funky rocking foot-tapping toe-tapping danceable festive celebratory life-changing
        eye-popping candy-colored kaleidoscopic phantasmagoric fantastical fanciful magic wondrous
        marvelously-made wonder-filled joy-filled heart-felt well-observed well-realized well-rounded
        fully-realized finely-crafted lovingly-made carefully-made hard-earned tough-minded no-nonsense
        quick-witted sharp-witted dead-on spot-on pitch-perfect note-perfect right on-target effective
        successful thriving flourishing booming promising auspicious bright brighter unsentimental unsparing
        uncompromising unforced unaffected uncluttered uncomplicated unconventional uncommon  
        surprising startling arresting bone-chilling chilling spooky eerie hair-raising
        deliciously-dark mischievous impish cheeky irreverent subversive satirical farcical madcap screwball
        goofy daffy loopy wacky absurdist deadpan tongue-in-cheek self-deprecating self-aware """,
    ),
    "noun": (
        """disaster|mess|failure|bore|letdown|disappointment|waste of time|waste of money|waste of paper|
        waste of talent|rip-off|joke|travesty|catastrophe|train wreck|trainwreck|nightmare|fiasco|flop|dud|stinker|
        turkey|misfire|embarrassment|abomination|insult|chore|ordeal|snooze|slog|drag|torture|pain|headache|muddle|
        shambles|swindle|scam|con|lemon|piece of junk|piece of trash|piece of garbage|load of rubbish|
        pile of rubbish|heap of nonsense|bad joke|cash grab|crime|sham|sorry excuse|lost cause|blunder|mistake|
        farce|eyesore|trap|dump|hole|dive|horror|tragedy of errors|exercise in tedium|exercise in futility|
        missed opportunity|wasted opportunity|collection of clichés|string of clichés|pale imitation|poor imitation|
        cheap copy|tedious affair|yawn|regret|sleeping pill|hatchet job|hodgepodge|mishmash|jumble|bust|bomb|
        clunker|washout|damp squib|disgrace|outrage|hot mess|garbage|trash|junk|rubbish|drivel|dreck|tripe|twaddle|
        claptrap|schlock|pap|hokum|nonsense|crap|misstep|blemish|dog|dog's dinner|botch|hack job|
        chore to sit through|endurance test|test of patience|test of endurance|con job|gimmick|
        gimmick without a point|retread|rehash|knock-off|knockoff|ripoff|clone|copy of a copy|cliché|cliche|
        cliché-fest|snoozefest|snooze fest|bore-fest|borefest|gorefest|gross-out|money pit|paperweight|nonstarter|
        nuisance|plague|pest|menace|curse|burden|grind|trial|punishment|torment|agony|misery|gloom|mediocrity|
        blandness|banality|stupidity|idiocy|inanity|lunacy of the bad kind|vanity project|ego trip|soap opera|
        sitcom|infomercial|commercial|afterthought|leftover|reject|failure of nerve|failed experiment|
        half-hearted effort|half-baked effort|lazy effort|loser|has-been|phony|fraud|hoax|lie|tourist trap|
        health hazard|death trap|pigsty|rathole|sewer|slum|junkyard|graveyard of ideas|dead end|waste of film|
        waste of space|waste of electricity|waste of a good cast|letdown from start to finish|slap in the face|
        kick in the teeth|sore thumb|bitter pill|black hole|blot|stain|wreck|ruin|debacle|bloodbath|botched job|
        calamity""",
        """masterpiece|gem|jewel|treasure|delight|joy|pleasure|triumph|success|winner|hit|knockout|marvel|wonder|treat|
        must-see|must-read|must-have|classic|favourite|favorite|bargain|blessing|dream|charmer|crowd-pleaser|blast|
        thrill ride|page-turner|tour de force|work of art|feast|feast for the eyes|celebration|revelation|discovery|
        breath of fresh air|piece of heaven|slice of heaven|little paradise|hidden gem|pleasant surprise|
        lovely surprise|perfect gift|keeper|lifesaver|godsend|home run|home away from home|high point|highlight|
        milestone|landmark|gift|beauty|stunner|showstopper|spectacle|labour of love|labor of love|love letter|
        tribute|miracle|small miracle|little wonder|world of its own|step up|big improvement|great success|steal|
        tonic|guilty pleasure|laugh riot|hoot|riot|pick-me-up|heart-warmer|tearjerker|instant classic|
        modern classic|new favourite|gold standard|stroke of genius|piece of magic|cut above the rest|
        five-star experience|rare find|real find|roaring success|rousing adventure|guaranteed good time|good time|
        great time|enchantment|stunning achievement|achievement|accomplishment|feat|coup|bull's-eye|bullseye|
        slam dunk|grand slam|champion|star|superstar|powerhouse|tour of wonders|eye-opener|spine-tingler|nail-biter|
        roller coaster|rollercoaster ride|joyride|romp|caper|hootenanny|barrel of laughs|belly laugh|scream|gas|
        ball|party|festival|carnival|banquet|delicacy|confection|bonbon|cocktail|breath of air|ray of sunshine|
        ray of hope|ray of light|beacon|oasis|haven|sanctuary|refuge|paradise|heaven|utopia|wonderland|playground|
        marvel of design|feat of imagination|feat of engineering|lesson in kindness|lesson in love|
        portrait of courage|labor of passion|hymn|ode|valentine|poem|elegy|meditation|parable for our time|
        fable for our time|fairy tale for adults|chiller|classic in the making|cult classic|future classic|
        genre classic|minor classic|minor masterpiece|minor miracle|original|innovator|trailblazer|benchmark|
        standard-bearer|role model|inspiration|comfort|pleasure from start to finish|sheer joy|sheer delight|
        pure joy|pure pleasure|pure gold|gold mine|gold|diamond|diamond in the rough|pearl|ruby|crown jewel|
        cream of the crop|bee's knees|real deal|genuine article|work of genius|work of beauty|work of love|
        piece of art|piece of craftsmanship|thing of beauty|beautiful thing|sweetheart|sweetie|angel|hero|
        friend for life|companion|partner in crime|great buy|good buy|good deal|great deal|best buy|smart buy|
        wise choice|good choice|great choice|top choice|solid choice|safe bet|sure thing|sure bet|triumph of style|
        triumph of the imagination|wild ride|fun ride|great ride|enjoyable ride|fine time""",
    ),
    "quality": (
        """boredom|tedium|clichés|cliches|holes|plot holes|errors|mistakes|flaws|bugs|problems|nonsense|stupidity|
        dullness|noise|dirt|dust|mould|cockroaches|insects|stains|delays|excuses|lies|stereotypes|contrivances|
        platitudes|self-pity|cynicism|vulgarity|gimmicks|padding|filler|bad jokes|stale jokes|bad dialogue|
        pretension|gibberish|misery|ugliness|confusion|frustration|disappointment|complaints|defects|faults|
        weaknesses|shortcomings|inconsistencies|absurdities|banalities|sentimentality|schmaltz|hot air|dead ends|
        loose ends|irritations|annoyances|embarrassments|sloppiness|carelessness|arrogance|rudeness|hatred|malice|
        contempt|disdain|idiocy|inanity|banality|blandness|monotony|mediocrity|predictability|melodrama|histrionics|
        hysteria|bombast|bluster|verbosity|self-indulgence|self-importance|narcissism|vanity|conceit|hubris|
        hypocrisy|dishonesty|deceit|greed|corruption|negligence|laziness|incompetence|ineptitude|amateurism|
        clumsiness|awkwardness|chaos|disorder|clutter|filth|grime|stench|odour|smoke|litter|garbage|junk|trash|rot|
        decay|rust|glitches|crashes|failures|breakdowns|excess|overkill|hype|hokum|formula|contrivance|artifice|
        fakery|pretence|posturing|preening|mugging|overacting|grandstanding|preachiness|sermons|lectures|speeches|
        product placement|toilet humour|bathroom jokes|fart jokes|cheap shots|cheap thrills|cheap tricks|
        caricatures|cardboard characters|stock characters|stick figures|paper-thin characters|dumb jokes|lame jokes|
        bad puns|dead air|dead weight|dead spots|slow spots|bad taste|bad acting|bad writing|bad manners|bad food|
        bad service|poor service|poor choices|missteps|misfires|lapses|regrets|agony|anguish|despair|dread|gloom|
        resentment|hostility|anger|spite|bitterness|nastiness|meanness|cruelty|malevolence|disrespect""",
        """charm|wit|humour|humor|warmth|heart|soul|life|energy|joy|passion|love|grace|style|beauty|elegance|
        imagination|invention|originality|creativity|intelligence|insight|wisdom|depth|subtlety|nuance|feeling|
        emotion|tenderness|compassion|humanity|honesty|sincerity|courage|spirit|verve|zest|sparkle|magic|mystery|
        suspense|tension|surprise|surprises|laughs|fun|excitement|thrills|flavour|flavor|taste|character|substance|
        meaning|purpose|logic|coherence|talent|skill|craft|care|attention to detail|comfort|quality|value|kindness|
        friendliness|class|finesse|panache|flair|poetry|delight|hope|optimism|charisma|chemistry|personality|
        conviction|credibility|authenticity|ambition|integrity|dignity|affection|generosity|enthusiasm|vitality|
        exuberance|vigour|freshness|good ideas|inspiration|good humour|good taste|great moments|lovely touches|
        clever ideas|memorable lines|big laughs|believable people|cleverness|smarts|brains|brilliance|genius|
        mastery|virtuosity|artistry|craftsmanship|skillfulness|dexterity|precision|polish|sophistication|refinement|
        class act|sensitivity|empathy|understanding|sympathy|pathos|poignancy|resonance|gravitas|weight|power|force|
        strength|intensity|momentum|drive|urgency|immediacy|vibrancy|liveliness|sparkle and wit|effervescence|
        buoyancy|playfulness|whimsy|mischief|glee|mirth|merriment|laughter|hilarity|comedy gold|belly laughs|
        chuckles|smiles|giggles|happiness|bliss|euphoria|ecstasy|rapture|wonder|awe|amazement|enchantment|fantasy|
        adventure|action|romance|sensuality|allure|appeal|glamour|glamor|dazzle|splendor|splendour|grandeur|majesty|
        scope|vision|clarity|lucidity|simplicity|directness|frankness|candor|candour|truth|truths|realism|
        believability|plausibility|consistency|reliability|durability|comforts|luxury|coziness|tranquility|serenity|
        calm|peace|peace and quiet|stillness|hospitality|courtesy|manners|professionalism|dedication|devotion|
        commitment|loyalty|fidelity|respect|reverence|gratitude|grit|guts|gumption|nerve|boldness|daring|audacity|
        bravery|heroism|nobility|fairness|justice|tolerance|goodness|decency|innocence|purity|freshness and charm|
        zip|zing|pep|oomph|punch|bite|edge|spice|zeal|fervour|ardor|rigor|discipline|restraint|economy|balance|
        harmony|rhythm|melody|texture|richness|detail|nutrition|crunch|sweetness|bang for the buck|star power|
        staying power|replay value|entertainment value|production values|bright moments|bright spots|fine moments|
        fine acting|fine performances|good acting|good writing|good music|great music|great lines|great ideas|
        great acting|great performances|genuine emotion|real emotion|true feeling|emotional depth|emotional power|
        big ideas|big heart""",
    ),
    "verb": (
        """fail disappoint bore annoy irritate frustrate drag stumble falter plod meander ramble sag flounder
        collapse disgust offend insult confuse bewilder exhaust tire underwhelm depress suffer misfire backfire
        fizzle wobble stink infuriate embarrass alienate repel grate mislead deceive crawl limp flop bomb waste
        ruin spoil wreck undermine squander bungle botch butcher miscalculate overreach pander preach wallow
        whimper drone stagnate deteriorate crash freeze overheat leak crack rust malfunction lose flub fumble
        mangle mutilate sink droop wilt wither fade sputter dawdle trudge creak struggle choke sicken nauseate
        appal horrify dismay dishearten dispirit numb stultify stupefy drain sour curdle rot reek smell suck
        blow cheat trick swindle exploit manipulate patronize demean degrade trivialize cheapen recycle rehash
        regurgitate grind strain overstay unravel disintegrate self-destruct implode sleepwalk whine nag
        overwhelm trip miss lack""",
        """delight impress charm enchant captivate enthrall shine sparkle work succeed entertain amuse engage
        inspire move touch please satisfy excel dazzle amaze astonish thrill grip triumph soar sing glow excite
        uplift fascinate intrigue mesmerize reward deliver stun seduce enlighten enrich surprise resonate linger
        win convince surpass exceed transcend bewitch beguile tickle rejoice flourish blossom bloom crackle fizz
        rock rule relax soothe comfort invigorate refresh outshine overdeliver illuminate celebrate enliven
        animate energize electrify galvanize rouse stir awaken elevate ennoble deepen educate inform capture
        evoke immerse transport embrace warm melt hearten cheer brighten heal nourish sustain gratify pamper
        compel rivet absorb engross hypnotize transfix astound stagger wow titillate stimulate tantalize beckon
        welcome sizzle hum purr fly glide dance endear redeem prevail conquer endure score deserve enthral cook
        pop mature ripen connect persuade""",
    ),
    "feel": (
        """hate dislike loathe detest despise regret resent deplore abhor dread despair scorn""",
        """love like enjoy adore appreciate admire treasure cherish relish savour savor applaud salute praise
        commend respect prefer recommend welcome worship""",
    ),
    "adv": (
        """badly poorly terribly awfully horribly dreadfully clumsily carelessly sloppily lazily crudely awkwardly
        painfully tediously boringly ineptly amateurishly cheaply stupidly woodenly lifelessly miserably
        pathetically abysmally unconvincingly shoddily predictably needlessly annoyingly hopelessly atrociously
        laughably sadly""",
        """beautifully brilliantly wonderfully superbly perfectly expertly skilfully skillfully masterfully
        cleverly intelligently elegantly gracefully delicately sensitively lovingly carefully thoughtfully
        convincingly impressively magnificently splendidly exquisitely gorgeously flawlessly nicely finely well
        charmingly delightfully marvellously fantastically imaginatively inventively smartly wittily tenderly
        vividly stylishly impeccably deftly artfully nimbly effectively handsomely lushly richly""",
    ),
    "most": (
        """worst dullest weakest ugliest silliest dumbest stupidest laziest lamest poorest saddest flattest stalest
        blandest sloppiest nastiest dirtiest rudest""",
        """best finest funniest greatest sweetest loveliest smartest strongest freshest richest wittiest warmest
        cleverest nicest happiest sharpest boldest purest deepest coolest prettiest tastiest friendliest""",
    ),
    "more": (
        """worse duller weaker uglier sillier dumber lamer poorer flatter blander sloppier nastier ruder""",
        """better finer funnier greater sweeter lovelier smarter stronger fresher richer wittier warmer cleverer
        nicer happier sharper bolder deeper cooler tastier friendlier""",
    ),
}

# What an opinion is about: things, their parts (one, many), what one does with them, and remarks, (neg, pos), which no
# single word decides.
DOMAINS: dict[str, dict[str, object]] = {
    "film": {
        "thing": "film|film|movie|movie|picture|documentary|comedy|drama|thriller|sequel|remake|series|show|episode|"
                 "adaptation|musical|western|horror film|action movie|romantic comedy|mystery|biopic|cartoon|animated "
                 "film|science fiction film|production|feature|debut|story|tale|fable|satire|melodrama|flick",
        "one": "plot|story|script|screenplay|dialogue|acting|cast|direction|ending|music|soundtrack|score|photography|"
               "cinematography|pacing|premise|first half|second half|last act|lead|editing|camera work|central "
               "performance|narrative|concept|execution|writing|animation|opening scene|romance|tone|idea|subject|"
               "material|atmosphere|look|chemistry between the leads|screenwriter|director|actress|leading man|film as "
               "a whole",
        "many": "characters|actors|performances|special effects|jokes|songs|action scenes|costumes|sets|visuals|"
                "images|twists|gags|fight scenes|dialogues|supporting roles|filmmakers|final scenes|themes",
        "use": "see|watch", "used": "saw|watched", "using": "watching|seeing", "seen": "seen|watched", "who": "viewers|audiences|fans|children|adults|critics",
        "made": "acted|directed|shot|filmed|edited|staged|told|paced|written|cast|played|performed|made|photographed",
        "remarks": (
            """two hours gone|two hours of my life [gone|wasted] |two hours I will never get back|[I|we] walked out
            [after|before] [twenty minutes|half an hour|the end]|I fell asleep [halfway through|before the end|in my
            seat]|[half of|] the audience left [early|before the end]|I kept looking at my watch|I checked my [watch|phone]
            every five minutes|I could not wait for it to end|I wanted [my money|those two hours|my time] back|[nobody|no
            one] in the theatre laughed|I [did not|didn't] laugh once|I [did not|didn't] care [about|for] [anyone|any of
            [them|the characters]|what happened]|it is hard to care about [anyone|these people]|you can see the ending
            [coming from a mile away|after ten minutes]|[the credits|the end] could not come soon enough|[it feels|felt]
            [twice as long|like five hours|longer than it is|like an eternity]|it goes nowhere|nothing happens [for two
            hours|at all]|it runs out of [steam|ideas] [quickly|early|halfway through]|it has nothing to say|it never
            gets off the ground|it never comes to life|we have seen it all before|seen it all before|I turned it off|it
            [should|could] have gone straight to video|the trailer gives away the only good joke|the less said the better|
            they should have stopped after the first one|what were they thinking|it is all style and no substance|the
            jokes fall flat|it falls [flat|apart]|it wears [thin|out its welcome]|it adds up to [nothing|very
            little]|it leaves you cold|it leaves a bad taste|it takes itself too seriously|none of it makes [any|]
            sense|it makes no sense [at all|]""",
            """two hours flew by|the time flew by|I [did not|didn't] want it to end|I wish it [had been|was] longer|I [was|sat]
            on the edge of my seat|[it|the film] had me [in tears|laughing|hooked] [from the first minute|]|I laughed [out
            loud|until I cried|all the way through]|we laughed and cried|I cried [at the end|like a baby]|the
            [whole|entire] theatre [laughed|applauded|clapped|cheered]|I could [see|watch] it [again and again|every
            year|a hundred times]|I [have watched|watched] it three times [already|]|it stays with you [for days|long
            after the credits]|you will [leave|walk out] with a smile|it put a smile on my face|it keeps you guessing
            [until the end|]|it had me from the first [scene|minute]|not a dull moment|there is never a dull moment|not a
            [wasted|false|single wasted] [minute|note|moment|word]|every [scene|frame|shot] counts|see it on the big screen|you
            care about [everyone|these people|the characters]|it deserves [every|an] award|it wins you over|I believed
            every word|it rings true|it holds your attention [throughout|]|it gets everything right|it hits all the right
            notes|it works [on every level|like a charm]|it earns its tears|it sneaks up on you|it pays off|the cast is
            having a ball|it grabs you and does not let go|I was moved to tears|bring tissues""",
        ),
    },
    "book": {
        "thing": "book|book|novel|story|biography|memoir|collection|sequel|guide|textbook|cookbook|anthology|volume|"
                 "thriller|poem|essay|audiobook|comic|fairy tale|mystery",
        "one": "prose|plot|story|style|writing|ending|first chapter|translation|heroine|hero|narrator|dialogue|author|"
               "setting|cover|language|subject|research|main character|world building|middle part|tone|structure|idea",
        "many": "characters|chapters|illustrations|descriptions|stories|recipes|examples|explanations|twists|pages|"
                "arguments|sentences|details",
        "use": "read", "used": "read|finished", "using": "reading", "seen": "read", "who": "readers|fans|children|students|everybody",
        "made": "written|told|researched|illustrated|translated|plotted|structured|edited|observed|explained",
        "remarks": (
            """I gave up after [fifty|a hundred|twenty] pages|I could not finish it|I [did not|didn't] finish it|I had to
            force myself to finish it|I skipped [whole|half the] chapters|I threw it [away|across the room]|it put me to
            sleep|I kept losing the thread|I could not care less about the [hero|characters]|it belongs in the bin|it goes
            round in circles|half of the pages could be cut|the author should find another job|I sold my copy the next day|
            I want my money back|a waste of good paper|three hundred pages of nothing|nothing happens|it reads like a
            [manual|school essay|telephone book]|it is full of [typing errors|repetition]|it drags on and on""",
            """I could not put it down|I couldn't put it down|I read it in one [sitting|night|day]|I stayed up all night
            to finish it|I [did not|didn't] want it to end|I have read it [twice|three times] already|I am reading it
            again|I [ordered|bought] the [next one|sequel] at once|I bought copies for all my friends|every page is a
            [pleasure|joy]|it kept me turning the pages|it kept me up all night|it stayed with me for weeks|it changed
            [my life|the way I think]|it made me laugh and cry|it opened my eyes|it belongs on every shelf|the pages turn
            themselves|I missed my stop because of it|I learned a lot|I wish I could read it again for the first time|it
            pulled me in from the first page|I cannot wait for the next one""",
        ),
    },
    "food": {
        "thing": "restaurant|place|café|bar|meal|dinner|lunch|dish|pizza|burger|menu|bakery|breakfast|brunch|pub|diner|"
                 "buffet|coffee shop|steakhouse|bistro|takeaway|dessert|wine|experience",
        "one": "food|soup|service|waiter|waitress|bread|coffee|fish|steak|sauce|dessert|cake|wine|salad|chicken|pasta|"
               "rice|atmosphere|staff|kitchen|chef|tea|beer|ice cream|cheese|dining room|owner|bill|location|music|meat|"
               "curry|sandwich|sushi|menu",
        "many": "portions|prices|waiters|vegetables|drinks|desserts|fries|noodles|tables|starters|eggs|pancakes|"
                "cocktails|tacos|dumplings|flavours|ingredients|oysters",
        "use": "try|visit|eat at", "used": "tried|visited|ate at", "using": "eating at|visiting", "seen": "had|tried|eaten", "who": "guests|friends|families|tourists|couples",
        "made": "cooked|prepared|served|seasoned|presented|grilled|baked|run|spiced|fried",
        "remarks": (
            """we waited [an hour|forty minutes|ages] for [our food|the drinks|a table]|we left hungry|I sent it back [twice|]|
            there was a hair in my [soup|food]|I got [sick|food poisoning] [afterwards|the next day]|I felt sick [all
            night|afterwards]|the waiter ignored us|they got our order wrong [twice|]|they forgot [our order|the drinks]|
            nobody [apologised|apologized|came to our table|smiled]|it tasted like [cardboard|plastic|nothing|soap]|I left
            [half of it|most of it] on the plate|we will never [come back|go there again|eat here again]|I would not feed
            it to my dog|I have had better [food|meals] [in a canteen|at a gas station|on a plane]|the plates were not
            clean|the portions are tiny|you pay too much|I lost my appetite|it gave me a stomach ache""",
            """we cleaned our plates|I could eat [here|it] every day|I licked the plate|my mouth [is watering|waters when I
            think of it]|we [will|'ll] [be back|come back [soon|next week|again]]|we are going [back|again] [tomorrow|next
            week]|it melts in your mouth|it melted in my mouth|the waiter remembered [us|our names]|they made us feel [at
            home|welcome]|it tastes like [home|my grandmother's cooking]|there was not a crumb left|we ordered a second
            one|best [meal|dinner|pizza|coffee] [in town|of my life|I ever had]|the chef knows what he is doing|you can
            taste the [love|quality]|worth the [wait|drive|trip]|everything tasted [just right|the way it should]|you get
            a lot for your money|I asked for the recipe|I am already hungry again""",
        ),
    },
    "hotel": {
        "thing": "hotel|place|room|hostel|apartment|resort|stay|holiday|vacation|trip|guest house|cruise|tour|campsite|"
                 "museum|weekend|motel|cottage|flight|beach|visit|airline|city|town|concert|festival",
        "one": "room|bed|bathroom|breakfast|staff|reception|view|pool|location|shower|service|carpet|lobby|balcony|garden|"
               "manager|receptionist|air conditioning|heating|guide|neighbourhood|cleaning|parking|crew|internet|lift|"
               "mattress|beach|bar|food",
        "many": "rooms|beds|towels|sheets|walls|windows|people at the desk|neighbours|pillows|stairs|guides|seats|"
                "facilities|grounds|hosts",
        "use": "book|visit|stay at", "used": "booked|visited|stayed at", "using": "staying at|visiting", "seen": "stayed in|visited|booked", "who": "guests|families|travellers|couples|visitors",
        "made": "kept|run|furnished|decorated|managed|organised|located|equipped|maintained|planned|cleaned",
        "remarks": (
            """we [could not|couldn't] sleep [because of the noise|at all]|I did not sleep [a minute|all night]|there were
            [bugs|cockroaches|mice|bed bugs] in the [bed|bathroom|room]|the [heating|shower|lift|internet|toilet] did not
            work|nothing worked|there was no hot water|they lost our [booking|luggage]|we [left|checked out] [a day
            early|after one night]|the room smelled of [smoke|mould|cigarettes]|nobody answered the phone|the walls are
            thin as paper|the pictures on the website are lies|they charged us [twice|for nothing]|the sheets were [stained|
            not changed]|we had to clean the room ourselves|the manager shouted at us|we asked for another room|never
            again|I would rather sleep in my car|the flight was [cancelled|delayed] [twice|]|it ruined our [holiday|weekend]""",
            """we slept like [babies|a log]|I slept like a baby|we [did not|didn't] want to leave|we [will|'ll] be back
            [next year|]|we have booked again [for next year|already]|they thought of everything|they upgraded us for
            free|there were fresh flowers [in the room|on the table]|the staff went out of their way for us|you wake up
            to the sound of the sea|you can walk everywhere|we felt at home [at once|]|it felt like home|they treated us
            like [family|royalty]|everything worked [as it should|]|we extended our stay|we wished we could stay longer|
            it made our holiday|a week was not enough|the view alone is worth [it|the price]|we came back rested|everything
            we needed was there""",
        ),
    },
    "thing": {
        "thing": "phone|camera|laptop|vacuum cleaner|headset|keyboard|washing machine|toaster|lamp|tent|bike|toy|app|game|"
                 "program|website|watch|jacket|pair of shoes|backpack|printer|coffee machine|speaker|tablet|product|"
                 "purchase|course|album|song|update|car|gadget|chair|knife|dress|bag|software|device|service|update|item",
        "one": "battery|screen|sound|picture|quality|design|delivery|packaging|manual|zipper|handle|customer service|"
               "price|colour|keyboard|software|display|support|installation|camera|material|fit|seller|company|menu|"
               "motor|cable|performance|interface|graphics|teacher|singer|voice|build quality|instruction book",
        "many": "buttons|instructions|speakers|parts|pictures|seams|wheels|features|graphics|levels|batteries|"
                "functions|headphones|lyrics|controls|lessons|settings|straps",
        "use": "buy|use|try", "used": "bought|used|tried", "using": "using|buying", "seen": "bought|used|owned|had", "who": "customers|users|beginners|players|buyers",
        "made": "made|designed|built|packed|finished|thought out|assembled|produced|engineered|put together",
        "remarks": (
            """it [died|broke|stopped working] after [a week|two days|a month|one use]|it [broke|fell apart] [the first time
            I used it|in my hands|within a week]|it arrived [broken|damaged|late|three weeks late]|I [sent|took] it back
            [the same day|]|I returned it|I am returning [it|this]|I asked for a refund|they refused [a refund|to help]|
            nobody answers [my emails|the phone]|it does not [work|fit|do what it says]|it [doesn't|didn't] work|it never
            worked|half of the [parts|screws] were missing|the battery is empty after an hour|it loses its charge|it
            crashes [all the time|every day|on start]|you get what you pay for|it looks nothing like the picture|it shrank
            in the wash|the colour came off|it makes a [strange|loud] noise|it went straight into the bin|buy something
            else|I had to buy another one|it stopped charging|it won't turn on|the zipper broke [at once|]""",
            """it works like [a charm|a dream|new]|it does [exactly what it says|everything I need|what it should|its job]|
            it [still|] works [like new|] after [five|ten] years|the battery lasts [for days|all week|forever]|I use it every
            day|I [bought|ordered] [a second one|another one|two more] [for my sister|for the office|at once]|it arrived
            [early|the next day|in perfect shape]|it was easy to [set up|install|clean|use]|it fits [like a glove|perfectly]|
            worth every [penny|cent]|it paid for itself|I cannot imagine life without it|it makes my life [easier|better]|
            it saves [me|us] hours|my [kids|parents] love it|everyone asks me where I got it|they answered within minutes|
            they replaced it [for free|without a question]|no problems so far|not a single problem|I am glad I bought it|
            it runs smoothly|it has never let me down|it looks even better than in the picture""",
        ),
    },
}

# What is said of anything. Words of the other polarity stand where something turns them round.
RULES: dict[str, str | tuple[str, str]] = {
    "deg": "very|very|really|really|so|so|quite|rather|extremely|incredibly|absolutely|truly|simply|just|totally|utterly|"
           "completely|thoroughly|deeply|pretty|remarkably|always|consistently|genuinely|especially|particularly|wholly|"
           "entirely|unbelievably|exceptionally|surprisingly|positively|more than a little|all too|much too|a bit|oddly",
    "adjs": "<adj>|<adj>|<adj>|<adj>|<deg> <adj>|<deg> <adj>|<deg> <adj>|<adj> and <adj>|<adj>, <adj>|<adj>, <adj> and "
            "<adj>|<deg> <adj> and <adj>|as <adj> as [it gets|can be|ever|they come]|both <adj> and <adj>",
    "it": "it|it|it|this|that|everything|the whole thing|the {thing}|this {thing}|my {thing}|{name}'s {thing}|the {thing} "
          "[we|you] {used}",
    "is": "is|is|was|was|'s|has been|seems|felt|turned out to be|proves",
    "are": "are|were|seem|felt|looked",
    "np": "a <adjs> {thing}|a <adj> {thing}|a <adj>, <adj> {thing}|<anoun>|<anoun>|a <adj> piece of work|a <adj> "
          "experience|a <adj> little {thing}|a <adj> {thing} about {topic}|a <adj> {thing} by {name}|a {thing} of <adj> "
          "<quality>|a {thing} [full of|with] <quality>|a {thing} that <verbs>|a <adj> look at {topic}|a <adj> tale of "
          "{topic}|the <adj> {one}|a <adj> mix of <quality> and <quality>|a <verbing> {thing}",
    "anoun": ("a <noun>|a real <noun>|an absolute <noun>|a complete <noun>|a total <noun>|<noun>|a <adj> <noun>",
              "a <noun>|a real <noun>|an absolute <noun>|a little <noun>|a true <noun>|<noun>|a <adj> <noun>"),
    "felt_by": ("disappointed|bored|annoyed|irritated|disgusted|frustrated|confused|unimpressed|let down|underwhelmed|"
                "insulted|exhausted|embarrassed|put off|depressed|horrified|shocked|saddened|upset|angry",
                "impressed|delighted|amazed|charmed|moved|touched|thrilled|captivated|blown away|won over|pleased|"
                "fascinated|entertained|enchanted|inspired|hooked|gripped|surprised in the best way|swept away|happy"),
    # What says it straight.
    "plain": "it <is> <adjs>|it <is> <adjs>|it <is> <adjs>|the {one} <is> <adjs>|the {one} <is> <adjs>|the {many} <are> "
             "<adjs>|<it> <is> <adjs>|<it> [is|was] <np>|<it> [is|was] <np>|this is <np>|what <np>|such <np>|<np>|<np>|<np>|"
             "<adjs>|<deg> <adjs>|I <felt> [it|this|this {thing}|the {one}|the {many}|every minute of it|everything about "
             "it|all of it]|I [really|truly|absolutely|simply|] <feel> [it|this {thing}|the {one}|the {many}]|[we|my wife|my "
             "husband|my friends|everybody|the kids|{name}|my {relative}] <felt> it|{who} will <feel> it|I [found|thought|find] "
             "[it|the {one}|the {thing}] <adjs>|the {thing} <verbs>|the {one} <verbs>|it <verbs>|it <verbs> [from start to "
             "finish|again and again|at every turn|in every way]|the {one} <verbed>|the {many} <verb>|it <verbed> [me|us|"
             "everyone]|it [will|can] <verb> you|<adv> {made}|it [is|was] <adv> {made}|the {one} [is|was] <adv> {made}|<np>, "
             "<adv> {made}|[full of|filled with|packed with|bursting with|so much|plenty of|nothing but] <quality>|it has "
             "[a lot of|plenty of|so much|real|] <quality>|there is [so much|a lot of|] <quality> in [it|this {thing}|the "
             "{one}]|with <adj> {one} and <adj> {many}|I was [very|so|really|] <felt_by>|I was <felt_by> by the {one}|it left "
             "[me|us] <felt_by>|it made me <adj>|<adj> {one}, <adj> {many}|<adj> {one}|<adj> {many}|the {one} alone is <np>|all "
             "in all <np>|I call it <np>|the {one} [is|was] <adj>, the {many} [are|were] <adj>|the {many} of {topic} are "
             "<adj>|{name} is <adj> as {role}|{name} gives a <adj> performance|thanks to {name} the {one} is <adj>|{name} has "
             "made <np>|{name} and {name} are <adj>|in {place} we {used} <np>|<verbing>|it is <verbing>|<quality>, <quality> and "
             "<quality>|it is <np> and <np>|for {who} it is <np>|{using} it [is|was] <np>|a {thing} as <adj> as its {one}|"
             "the <most> {thing} [of the year|ever|in years|I know]|the <most> {one} [ever|in years|]|<more> [than ever|than before|"
             "every time|than most]|the {one} [is|was] <more> than [the {many}|ever]|its <most> moments|even <more> than "
             "{name}|everything about it <is> <adjs>|everything about [the|this] {thing} [is|was] <adj>|<adj>, if you ask me|it <is> <adj> [in every way|through and through|beyond words|on all counts]|it is <adv> "
             "<adj>|both {thing} and {one} are <adj>|<adj> {one} and <adj> {many} make it <np>|it [<verbs>|<verbed>] because the "
             "{one} <is> <adj>|its {one} <is> <adj>|its {many} <are> <adj>|it is [<adj>|<np>] from beginning to end",
    # What says it by denying the contrary.
    "turned": "it <not> <!adj>|it <not> <!deg> <!adj>|it <not> <!adj> [at all|in the least]|the {one} <not> <!adj>|the {many} "
              "[are not|aren't|were not|weren't|are never|were hardly] <!adj>|not <!adj>|not <!adj>|not <!deg> <!adj>|not "
              "<!adj> at all|not at all <!adj>|never <!adj>|hardly <!adj>|far from <!adj>|anything but <!adj>|neither <!adj> "
              "nor <!adj>|the {one} is neither <!adj> nor <!adj>|it [does not|doesn't|did not|didn't|never|will not|won't] "
              "<!verb>|the {one} [does not|doesn't|did not|didn't|never] <!verb>|it never <!verbs>|it never <!verbed>|I [do "
              "not|don't|did not|didn't|can't|cannot|could not] <!feel> [it|this {thing}|the {one}|the {many}]|[nobody|no one] "
              "<!felt> it|not <!anoun>|<it> is no <!noun>|<it> [is not|isn't|wasn't] <!anoun>|<it> is not <!np>|no <!quality>|"
              "there is no <!quality> [in it|here|]|without [any|] <!quality>|the {one} has no <!quality>|it is [free|devoid] of "
              "<!quality>|a {thing} without <!quality>|not <!adv> {made}|I was not <!felt_by>|I wasn't <!felt_by>|there was "
              "nothing <!adj> [about it|in it|]|nothing <!adj>|I [did not|didn't] find it <!adj>|I [don't|do not] think it "
              "[is|was] <!adj>|[nobody|no one] can call it <!adj>|more <adj> than <!adj>|less <!adj> than [I thought|ever|the "
              "last one|the first one]|it is not only <adj> but also <adj>|not just <adj> but <adj>|<adj>, not <!adj>|<np>, not "
              "<!np>|it is not <!adj>, it is <adj>|never <!verbing>|the least <!adj> {thing} I know|it is hard not to <feel> [it|the {one}]|impossible not to <feel>|you can't help but <feel> it|who could not <feel> it|nothing about it <is> <!adj>",
    "not": "is not|was not|isn't|wasn't|is never|was never|is in no way|was by no means|is not exactly|was far from|is "
           "anything but|was hardly|is barely|is scarcely|ain't",
    # What only one side says.
    "verdict": (
        "not recommended|I would not recommend it [to anyone|to my worst enemy|]|I [cannot|can't|do not|don't] recommend it|"
        "avoid [it|at all costs|like the plague|this {thing}]|stay away [from it|from this {thing}|]|skip it|skip this one|"
        "[don't|do not] bother|[do not|don't] waste your [time|money]|save your [time|money]|save yourself the trouble|[don't|"
        "do not] {use} it|[one|zero|no|two] [star|stars]|[1|2|3|0]/10|[1|2|3|0] out of 10|[two|] thumbs down|never again|I will "
        "never {use} it again|not worth {using}|not worth [it|the money|the time|your time|a cent|the trouble]|nothing "
        "special|nothing new [here|]|nothing original|nothing to write home about|meh|no thanks|I want my money back|I have "
        "{seen} better|I expected [more|better|much more]|I hoped for [more|better]|the worst {thing} [of the year|I have ever "
        "{seen}|ever|in years]|one of the worst|worse than [the first one|expected|I feared|ever]|not as good as [the first "
        "one|everyone says|it looks|I hoped]|it [could not|couldn't] be worse|it [does not|doesn't] get worse|I regret {using} "
        "it|shame on them|what a shame|give it a miss|look elsewhere|there are better ones|what a waste|a waste|what a waste of "
        "[time|money|talent]|a complete waste of time|I was let down|a big letdown|big disappointment|"
        "what a disappointment|I am not a fan|not for me|not my thing|not good|not good at all|no good|not great|it is not "
        "[very|that|so|] good|the {one} leaves much to be desired|it left much to be desired|could be better|it needs work|"
        "I could not stand it|I can't stand it|I have no [nice|kind|good] words for it|I was not amused|so bad it hurts|"
        "it made me angry|it makes me sick|they should be ashamed|how did this get [made|published|sold]|what went wrong|"
        "at least it was [short|over soon|cheap]|the only good thing [is|was] the {one}|the best thing about it is the end|"
        "buyer beware|I feel cheated|I felt cheated|I gave it away|I gave up|nobody needs this|who needs this|it is a miss|"
        "I would give it zero stars if I could|thanks for nothing|I'll pass|hard pass|no",
        "highly recommended|recommended|I [highly|warmly|strongly|] recommend it [to everyone|to all my friends|]|I would "
        "recommend it to anyone|I [cannot|can't] recommend it [highly|] enough|a must|a must for {who}|[do not|don't] miss "
        "[it|this {thing}|this one]|not to be missed|go and {use} it|{use} it [now|today|if you can|]|[five|four] stars|[10|9|8]"
        "/10|[10|9|8] out of 10|[two|] thumbs up|I will {use} it again|I would {use} it again|worth {using}|[well|really|so|] "
        "worth [it|the money|the time|every minute|every penny|your time]|bravo|well done|hats off|congratulations to everyone|"
        "I want more|more please|more of this|give it a try|you will not regret it|you won't be sorry|no complaints|nothing to "
        "complain about|I [can't|cannot] complain|I [can't|cannot] find a fault|[can't|cannot] fault it|what's not to "
        "[love|like]|it [could not|couldn't] be better|it [does not|doesn't] get [any|] better [than this|]|nothing beats it|"
        "better than [I expected|expected|the first one|ever|most]|the best {thing} [of the year|I have ever {seen}|ever|in "
        "years]|one of the best|one of the best {thing}s I have {seen}|one of my favourites|my favourite {thing}|I am a fan|I "
        "am in love|good|very good|so good|great|not bad|not bad at all|not half bad|it is pretty good|I had a [great|good|"
        "wonderful] time|we had [so much|a lot of|] fun|it made my day|it made me smile|I feel lucky|I am so glad|I was glad I "
        "{used} it|I can't wait to {use} it again|I cannot wait for more|thank you|thanks to everyone|I keep coming back|I am "
        "coming back|I have nothing bad to say|nothing bad to say about it|it never gets old|it is a winner|a big hit|"
        "a hit with {who}|everyone should {use} it|it exceeded my expectations|beyond my expectations|hard to beat|"
        "second to none|one of a kind|like no other|in a class of its own|yes|perfect|they nailed it|spot on|two hours well "
        "spent|time well spent|money well spent|it lives up to [its name|the hype]|it deserves [the hype|the praise]"),
    # What no word of it says by itself.
    "idiom": (
        "it misses the mark|it falls short|it lets you down|it leaves you cold|it goes nowhere|it loses its way|it loses steam|it runs "
        "out of [gas|steam|ideas]|it is running on empty|they ran out of ideas|it is past its prime|it beats a dead horse|it "
        "scrapes the bottom of the barrel|they phoned it in|{name} sleepwalks through it|everyone is going through the motions|it "
        "is all over the place|it is [hard|painful] to [watch|sit through|follow|swallow|bear|look at]|a chore to [watch|sit "
        "through|finish]|it tests your patience|it outstays its welcome|it overstays its welcome|too clever by half|too little, too "
        "late|too much of everything|much ado about nothing|neither here nor there|the same old story|more of the same|it gets old "
        "[fast|quickly]|it makes little sense|it is full of holes|paper thin|it is only skin deep|over the top|below average|beyond "
        "bad|beneath contempt|not even {name} can save it|nothing can save it|what a cast, and what a waste of it|the cast deserves "
        "better|{who} deserve better|we deserve better|it rubs me the wrong way|it gave me a headache|I was bored [to tears|stiff|to "
        "death|out of my mind]|it put me to sleep|a cure for insomnia|the editor must have been asleep|there is no chemistry|zero "
        "[charm|chemistry|stars|effort]|it has no idea what it wants to be|it does not know what it wants|not my cup of tea|a poor "
        "man's {thing}|recycled from {thing}s of the {plain} {noun}|a pale shadow of {name}'s {thing}s|a shadow of its former self|I "
        "had high hopes|dead on arrival|dead in the water|off the mark|wide of the mark|below par|not up to standard|it drags its "
        "feet|it peters out|it ends with a whimper|it insults your intelligence|it thinks you are stupid|it talks down to {who}|it "
        "tells you what to feel|it spells everything out|it is one thing after another|loud and empty|sound and fury, signifying "
        "nothing|style over substance|it looks like [a television show|a video game|a commercial|a home movie|a student film|a rough "
        "draft]|it plays like [a sitcom|a soap opera|a long commercial|a trailer|an after-school special|a bad copy of {name}'s "
        "{thing}]|it feels like [homework|a lecture|a school play|a rerun|an imitation|work|an infomercial|a television movie]|like "
        "watching [someone play a video game|a long commercial|grass grow]|made by a committee|made for television|made for the "
        "money|another {thing} nobody asked for|yet another {thing} about {topic}|just another {thing}|if you have seen one you have "
        "seen them all|why was this made|why bother|who is this for|is that all there is|do we need another {thing}|what is the "
        "point|the studio should have [left it on the shelf|known better]|the script must have been written in [a day|an "
        "afternoon]|the writers should be [fired|ashamed]|they should have hired a writer|apparently nobody read the script|the "
        "{one} seems to belong to another {thing}|instead of {noun}s we get {noun}s|any resemblance to a plot is an accident|only "
        "for [die-hard|the most devoted] fans|it will be forgotten [by Monday|in a week|as soon as it is over]|you forget it as soon "
        "as it is over|it leaves no impression|at best it is [so-so|mediocre|passable]|it barely [works|holds together]|once is "
        "enough|once was more than enough|I have no idea why {who} like it|one of those {thing}s that you only {use} once|it is a "
        "long way down from {name}'s first {thing}|it goes through you like water|it has [no|little] [reason to exist|life of its own|"
        "sense of humour|point]|nobody involved seems to care|nobody had a good idea|the jokes are [older than {name}|from the last "
        "century]|a {thing} only a mother could love|stop it already|enough is enough|give me a break|it left me wanting to leave|"
        "I would rather [clean the floor|go to the dentist|wash my socks|stare at a wall]|thirty minutes would have been enough|"
        "half of it should have been cut|it was a mistake|I made a mistake|it cost too much|it wasn't worth it|it does nothing|"
        "it did nothing for me|it says nothing|it has nothing [new|to offer|to say|going for it]|it is going through the motions",
        "it hits the mark|it hits home|it hits the spot|it strikes a chord|it gets under your skin|it stays in the mind|it stands the "
        "test of time|it holds up [well|beautifully|]|it steals the show|{name} steals [every scene|the show]|{name} is at the top of "
        "[his|her] game|{name} is in top form|it fires on all cylinders|it never misses a beat|it rewards patience|it raises the bar|"
        "it breaks new ground|it comes alive|it comes together|it all comes together|it keeps its promise|it delivers the goods|it "
        "packs a punch|it tugs at the heart|it warms the heart|it leaves you wanting more|worth a [look|visit|try|second look]|worth "
        "{using} [twice|again]|you are in good hands|a [pleasure|joy|delight|treat] to [watch|behold|use|look at|be with]|easy on the "
        "eyes|[great|good clean|pure|good old-fashioned] fun|ahead of its time|[full|top] marks|as good as it gets|at its best|it is "
        "made with love|with a lot of heart|it has its heart in the right place|it deserves to be {seen}|it deserves a wide "
        "audience|it has something to say|it makes you think|it makes you [laugh|smile|laugh and cry|want more|forget the time]|it "
        "gives you hope|it takes your breath away|it sweeps you off your feet|it draws you in|it pulls you in|it keeps you [hooked|"
        "interested|on your toes|on the edge of your seat]|it pulls it off|they pulled it off|it gets the job done|it does justice to "
        "the {noun}|it is true to life|true to the book|something for everyone|for the whole family|for young and old|a {thing} for "
        "the ages|it earns its place|it finds its feet|it gets better [and better|every time|with age|each time]|it grows on you|it "
        "wins you over|I am speechless|words cannot describe it|it blew me away|it blew my mind|it knocked my socks off|I was blown "
        "away|we were all smiles|it lifts your spirits|it brightens your day|it brings a smile to [my|your] face|it brings tears to "
        "your eyes|a portrait of {human}|a tale of {human}|a {thing} about {human}|it is about {human} and {human}|it shows us {human}|"
        "it reminds us of {human}|it captures {human}|it celebrates {human}|it brings {human} to life|it finds {human} in {topic}|it "
        "gives us a glimpse of {human}|as much about {human} as about {human}|it speaks to anyone who has ever [loved|lost someone|"
        "been young|dreamed]|it speaks from the heart|it goes straight to the heart|it understands {human}|it opens a window on "
        "{human}|it takes us to another world|a world of its own|you feel for every one of them|{name} makes it look easy|{name} "
        "disappears into the role|{name} brings {human} to the role|{name} lights up the [screen|page|room]|{name} has a gift for "
        "{human}|{name} knows how to [tell a story|hold an audience|have fun]|one of {name}'s best|{name}'s best {thing} [yet|so far|"
        "in years]|long may it [run|last]|here is to many more|more power to them|keep up the good work|hats off to {name}|both "
        "<adj> and <adj>|it works as a {thing} and as a {thing}|it has it all|it has everything|it is all there|it is everything I "
        "hoped for|just what I [needed|wanted|was looking for]|exactly what I [needed|wanted|ordered]|it made my [day|week|year]|it "
        "was meant to be|I would not change a thing|I wouldn't change a thing|it runs like clockwork|it goes down well|it does the "
        "trick|it is here to stay|it is in a league of its own|there is [much|a lot|plenty] to [love|like|enjoy|admire]|the more I "
        "{use} it the more I like it|you will want to {use} it again|it leaves you [smiling|happy|full of hope|breathless]"),
    # What might have been, what is too much, what is missing, what is meant to be.
    "wish": (
        "it [could|should|might] have been [so much|much|] better|it could have been <!np>|it [could|should] have been <!adj>|"
        "with a <!adj> {one} it might have been <!np>|it wants to be <!adj>|it tries to be <!adj>|it tries [too|so] hard to "
        "be <!adj>|if only it were <!adj>|I wish it were <!adj>|it promises <!quality> and gives you <quality>|it is supposed to "
        "be <!adj>|it was meant to be <!adj>|I wish the {one} had been <!adj>|I hoped for <!np>|I expected <!np>|I was looking "
        "forward to <!np>|I wanted to <!feel> it|too {odd}|too {odd}|far too {odd}|the {one} is too {odd}|it is too {odd} to be "
        "<!adj>|too {odd} and too {odd}|not <!adj> enough|it lacks <!quality>|it lacks any <!quality>|short on <!quality>|a lack "
        "of <!quality>|not enough <!quality>|it needs more <!quality>|it fails to <!verb>|it [tried|tries] to <!verb> and fails|"
        "it never quite <!verbs>|it could use some <!quality>|where is the <!quality>|what happened to the <!quality>|so "
        "[little|few] <!quality>|any <!quality> it had is gone|it thinks it is <!adj>|they call this <!adj>|it loses its "
        "<!quality>|it drains the <!quality> out of {topic}|it was <!adj> once|it used to be <!adj>|instead of <!quality> we get "
        "<quality>|only a fool would call it <!adj>|I have {seen} <!adj> ones, and this is not one of them|it is hard to <!feel> [it|the {one}]|how can [anyone|you] <!feel> it|as <!adj> as [a root canal|watching paint dry|a traffic jam|a tax form|a wet towel|a trip to the dentist]|instead of being <!adj> it is <adj>|a far cry from <!adj>|<!quality> is not enough|where the <!quality> should be there is <quality>|it mistakes <quality> for <!quality>",
        "it never fails to <verb>|I challenge you not to <feel> it|I did not think I would <feel> it, but I <felt> it|{odd} as it is, it <verbs>|it cannot fail to <verb>|it manages to be <adj> without being <!adj>|I expected <!np> and got "
        "<np>|I feared it would be <!adj>. I was wrong|I thought it would be <!adj>, and I was wrong|it could have been "
        "<!adj>, but it is <adj>|it avoids <!quality>|it refuses to <!verb>|it stays clear of <!quality>|no trace of <!quality>|not "
        "a trace of <!quality>|it never lacks <quality>|there is no lack of <quality>|no shortage of <quality>|it does not "
        "need <!quality>|it has what others lack, <quality>|it could not be more <adj>|you could not ask for a more <adj> {thing}|"
        "{odd} but <adj>|{odd}, {odd} and <adj>|it is {odd} and I <feel> it|I wish there were more <adj> {thing}s|I wish all "
        "{many} were so <adj>|who says a {thing} can't be <adj>|if you want a <adj> {thing}, {use} this|as <adj> as the first "
        "one|it turns {topic} into <quality>|it gives {topic} new <quality>|it finds <quality> "
        "in {topic}"),
    # What is taken back: the last word counts, and so does the main clause.
    "contrast": "<!clause>, but <clause>|<!clause>, but <clause>|<!clause> but <clause>|<!np>, but <clause>|<!np>, but <np>|"
                "<!clause>. However, <clause>|<!clause>; however, <clause>|<!clause>. But <clause>|<!clause>. Still, <clause>|"
                "<!clause>, yet <clause>|<!clause>, and yet <clause>|<!clause>. Even so, <clause>|although <!clause>, <clause>|"
                "even though <!clause>, <clause>|though <!clause>, <clause>|while <!clause>, <clause>|<clause>, even if "
                "<!clause>|<clause>, even though <!clause>|<clause>, although <!clause>|despite <!quality>, <clause>|despite the "
                "<!adj> {one}, <clause>|in spite of the <!adj> {many}, <clause>|for all its <!quality>, <clause>|<clause> despite "
                "the <!adj> {one}|apart from the <!adj> {one}, <clause>|except for the <!adj> {many}, <clause>|<!clause> at "
                "first, but <clause>|<!adj> start, but <adj> [in the end|later on|at the end|second half]|<!adj> beginning, "
                "<adj> end|<!adj> but <adj>|<!adj> {one}, but <adj> {many}|<!adj>, yet <adj>|it <is> <!adj>, [but|yet] <adj>|it "
                "starts <!adv>, but then it <verbs>|I wanted to <!feel> it, but <clause>|I was ready to <!feel> it, but "
                "<clause>|people say it is <!adj>. <clause>|my friends called it <!adj>, but <clause>|critics <!felt> it, but "
                "<clause>|the first one was <!adj>, this one is <adj>|not <!adj>, but <adj>|<!adj> or not, <clause>|"
                "whatever people say about the <!adj> {one}, <clause>|the {one} may be <!adj>, but <clause>|it may not be "
                "<!adj>, but it is <adj>|some call it <!adj>. I call it <adj>|yes, <!clause>, but <clause>",
    "clause": "<plain>|<plain>|<plain>|<plain>|<plain>|<plain>|<turned>|<turned>|<verdict>|<verdict>|<wish>|<idiom>|<idiom>|{remark}|{remark}",
    "sentence": "<clause>|<clause>|<clause>|<clause>|<clause>|<clause>|<clause> and <clause>|<clause>, <clause>|<clause>: "
                "<clause>|<clause> - <clause>|<contrast>|<contrast>|because <clause>, <clause>|[honestly|in short|overall|to "
                "be fair|frankly|in the end|I must say|all in all|well|wow|oh|sorry|trust me], <clause>|I [think|believe|must "
                "say|have to say|feel] <clause>|<clause>, [I think|if you ask me|in my opinion|to be honest|too|really]|"
                "{filler}, and <clause>|{filler}: <clause>",
}


# Words that decide nothing, so that the model learns not to mind them.
NAMES = """Anna Ben Carla David Elena Frank Greta Hugo Irene James Kate Leo Maria Nick Olga Peter Rosa Sam Tina Victor Wendy
Yusuf Zoe John Paul Mary Robert Michael Susan Linda Karen Julia Emma Daniel Thomas George Henry Martin Steven Richard Charles
William Smith Jones Brown Miller Davis Wilson Moore Taylor Anderson White Harris Clark Lewis Walker Hall Young King Wright Hill
Scott Green Adams Baker Nelson Carter Mitchell Roberts Turner Phillips Parker Evans Edwards Collins Stewart Morris Murphy Cook
Rogers Cooper Peterson Bailey Kelly Howard Ward Watson Brooks Bennett Gray Hughes Price Myers Long Ross Foster""".split()
PLACES = """London|Paris|Rome|Berlin|Madrid|Vienna|Lisbon|Dublin|Norway|Sweden|Italy|Spain|France|Germany|England|Scotland|
Ireland|Greece|Turkey|Egypt|India|China|Japan|Korea|Brazil|Mexico|Canada|America|Australia|New York|Boston|Chicago|Texas|
California|Los Angeles|Moscow|Prague|Warsaw|Iran|Africa|Asia|Europe|a small town|a big city|a village by the sea|the desert|the
mountains|the countryside|the suburbs|a hospital|a school|a prison|an office|a factory|the army|outer space|the future|the past|
the 1950s|the sixties|the seventies|the nineties|a castle|a train|a ship|the jungle|an island|the north|the south|the middle ages|
a farm|a court|a bank|the city|the woods""".replace("\n", " ").split("|")
DAYS = """on Monday|on Tuesday|on Friday|on Saturday|on Sunday|last week|last night|yesterday|in May|in June|in October|in 2009|in
1998|last summer|last winter|at Christmas|this morning|in the evening|two weeks ago|a month ago|a year ago|after work|for my
birthday|on a plane|at home|on television|on DVD|in a theatre|at a festival|online|in a shop|on the way to {place}""".replace("\n", " ").split("|")
ROLES = """nurse doctor teacher student soldier farmer painter writer singer dancer lawyer policeman detective killer thief
spy pilot sailor king queen prince princess priest nun judge journalist photographer scientist robot ghost vampire zombie
monster alien witch wizard mother father son daughter brother sister widow orphan boy girl man woman child couple family
friend neighbour boss secretary driver cook waiter musician boxer player coach gangster cowboy hero villain superhero
president prisoner refugee stranger teenager twin baby grandmother grandfather uncle aunt cousin husband wife lover rival
partner dog cat horse bear shark whale wolf dragon dinosaur""".split()
NOUNS = """door house street river bridge garden window table chair lamp clock letter phone car train bus plane boat ship road
field forest mountain lake sea sky sun moon star rain snow wind fire water stone wood paper glass metal iron gold silver money
price ticket bag box key lock wall roof floor kitchen bedroom office shop market school church hospital station airport hotel
park square city town village country world earth year month week day hour minute second morning evening night summer winter
spring autumn war army battle bomb gun sword knife blood death murder crime prison police court law trial case evidence secret
mission plan job work business company factory machine computer internet television radio newspaper magazine page word name
number letter question answer problem reason idea fact thing part piece side end beginning middle top bottom front back corner
line circle colour shape size sound voice music song dance game sport football baseball race team match ball goal prize party
wedding birthday funeral holiday journey road trip visit meeting class lesson test degree language history science art picture
painting photo camera screen light dark shadow dream sleep memory mind body head face eye ear nose mouth hand arm leg foot heart
back skin hair tooth illness cancer virus drug doctor medicine accident disaster storm flood earthquake animal bird fish insect
tree flower leaf grass fruit apple orange lemon bread butter cheese milk egg meat rice potato onion salt sugar pepper oil soup
salad cup plate bowl glass bottle fork spoon dress shirt coat hat shoe sock glove ring watch umbrella politics government
president election vote state nation border refugee religion faith god devil angel hell heaven sin marriage divorce childhood
youth age generation culture tradition society class race gender sex power freedom peace revolution violence revenge grief
loss identity loneliness friendship family affair relationship romance scene shot camera scenes minutes budget release studio
audience critic review title genre version original chapter series season episode character role line word dialogue budget
department order package delivery address account password button cable plug switch wheel engine brake tyre mirror seat belt
menu table bill tip guest room floor towel soap bath shower pool beach sand wave island tent map passport luggage suitcase
suspense Hollywood television cinema sequel trilogy novel author poet actress actor director crew vampire zombie robot alien
monster ghost mystery detective cop spy killer hostage bank robbery heist chase explosion fight scene cliff hotel desert
weekend moment while sense kind sort lot bit rest matter point view way course example instance level result effect use
amount number group list place area region centre middle edge surface step stage process system method form type style model
product quality standard average detail difference change movement action activity event situation condition position
experience knowledge information subject topic theme message meaning thought feeling opinion interest attention""".split()
VERBS = """walk talk look ask answer open close start stop turn move carry push pull call visit follow watch listen wait stay
live arrive return travel cross enter pass climb jump kick throw catch cook bake clean wash paint draw study learn teach explain
describe mention compare discover search collect gather count measure add remove change fix repair build plant pick pack unpack
order deliver serve join leave report record play train marry kill murder attack chase hunt escape hide rescue fight shoot
investigate solve question accuse arrest hire fire invite phone remember decide agree notice consider expect imagine suppose
believe need want try help happen seem appear become remain include contain concern involve present feature release produce
direct act""".split()
ODD = """long short loud quiet dark bright big small heavy light hot cold fast slow young old early late thick thin high low
wide narrow simple complicated serious strange weird different familiar modern traditional sweet spicy salty sour hard soft
small large noisy violent bloody talky wordy busy strict far close tight loose expensive cute safe neat clever""".split()
PLAIN = """new old young big small large little long short high low wide narrow round square flat open closed early late first
second third last next other same different several many few whole half double single main only real usual recent modern ancient
local national foreign French English German Italian American British Japanese Chinese Russian Indian black white red blue green
yellow brown grey pink purple wooden plastic metal electric digital daily weekly annual medical legal military political
religious historical social public private central northern southern eastern western married single dead alive ready busy
middle-aged rich poor female male human animated silent live official common possible certain various typical independent
commercial mainstream low-budget big-budget contemporary domestic romantic psychological supernatural criminal""".split()
RELATIVES = "mother father sister brother son daughter wife husband uncle aunt cousin neighbour friend boss colleague".split()
FUNCTION = """the of and a in to that is was it for on with as he she they his her their its this these those at by from one or had have
has are were be been which who whom whose you we I me us him them my your our an all any both each every either other another some
such there here where when while what how why if than then so into onto upon over under through throughout across along among
around about above below beside between beyond behind before after until since during within toward towards against via per off
up down out again also already always often sometimes usually once twice perhaps maybe almost nearly quite rather even only just
still yet soon later ago now today tonight early together instead though although unless whether because can could may might
must shall should will would do does did doing done get gets got getting go goes went going gone make makes made making take takes
took taking give gives gave given come comes came coming put puts set sets let lets keep keeps kept say says said tell tells told
see sees saw seen know knows knew known think thinks thought find finds found feel feels show shows showed use uses used seem
seems much many more most few less least several enough own same different first second last next new old long high people
something anything everything someone anyone everyone somewhere anywhere myself himself herself itself themselves""".split()
NUMBERS = "two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty ninety 15 25 90 100 120".split()
FILLERS = """I {used} it {day}|I {used} it {day} with my {relative}|we {used} it {day}|{name} {used} it {day}|it is about {topic}|
it is set in {place}|it takes place in {place}|the story begins in {place}|the story follows {topic}|{name} plays {role}|{name}
is {role}|it was made by {name}|it was directed by {name}|this is the {plain} {thing} by {name}|we were {number} people|it has
{number} {noun}s|there are {number} {noun}s|it runs for {number} minutes|it lasts {number} minutes|it comes in {plain} or {plain}|it cost {number}
dollars|I paid {number} dollars|we sat near the {noun}|there is a {noun} next to the {noun}|the {noun} is in the {noun}|first we
{verbed} the {noun}|my {relative} has one too|my {relative} gave it to me|I am {number} years old|{name} {verbs} a {noun}|{name}
{verbed} {name}|the {plain} {noun} {verbs} the {noun}|the {noun} of the {noun} {verbed} the {plain} {noun}|a {role} {verbs} {role2}|
one day {topic}|then {name} {verbs} the {role}|they {verb} a {noun} and {verb} the {noun}|I had {verbed} the {noun} before|we
{verbed} for {number} days|it is a {thing}|it is the {plain} one|the {thing} is {plain} and {plain}|in the {plain} {noun} there
is a {noun}|when {topic}, the {noun} {verbs}|according to {name} the {noun} {verbed}|you {verb} it with a {noun}|I {used} the {plain}
one {day}|they {verbed} to {place}|meanwhile {topic}|the {one} was {verbed} by {name}|it is based on a {thing} by {name}|it
reminds me of a {thing} by {name}|he {verbs} her and she {verbs} him|she is {plain} and he is {plain}|the {many} are {plain}|the
{one} is {plain}|what happens when {topic}|can {name} {verb} the {noun} before {name} {verbs}|is this {topic}|my {relative}
asked about the {noun}|the {noun}s are {plain}|some {noun}s have {noun}s|{plain} {noun}, {plain} {noun}|{topic}|a {thing} about
{topic}|a {plain} {thing}|another {thing} about {topic}|{name} and {name}|after the {noun} we {verbed} the {noun}""".replace("\n", " ").split("|")
TOPICS = """{role}|{role} and {role2}|{role} in {place}|{role} who {verbs} a {noun}|{role} who {verbs} {role2}|two {plain}
{noun}s|{noun} and {noun}|the {noun} of {name}|a {noun}|a {plain} {noun}|the {plain} {noun}|the war|growing up in {place}|life in
{place}|a murder in {place}|{name}|{name} and {name}|the death of {role}|{noun}s and {noun}s|love and {noun}|the {noun}s of
{place}""".replace("\n", " ").split("|")
HUMANS = """love|friendship|family|childhood|youth|life|the human heart|the human spirit|human nature|humanity|kindness|memory|
dreams|hope|faith|forgiveness|courage|everyday life|ordinary people|real people|the world we live in|a vanished world|what it
means to be [human|young|free|alive|a parent]|mothers and daughters|fathers and sons|first love|growing old|the joy of living|
the bonds between [people|friends|brothers|sisters]|community|solidarity|art|music|the love of [music|life|words]|our common
humanity|a marriage|a culture|a people|tenderness|dignity|the power of [love|art|music|words|friendship]""".replace("\n", " ")
IRREGULAR = {"shine": "shone", "sing": "sang", "win": "won", "deceive": "deceived", "stink": "stank", "fight": "fought",
             "shoot": "shot", "catch": "caught", "throw": "threw", "draw": "drew", "teach": "taught", "build": "built",
             "leave": "left", "hide": "hid", "become": "became", "freeze": "froze", "mislead": "misled",
             "outshine": "outshone", "overreach": "overreached", "grip": "gripped"}


def inflected(verb: str) -> tuple[str, str, str]:
    """`fails`, `failed`, `failing`."""
    stem = verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else verb
    if re.fullmatch("[^aeiou]*[aeiou][^aeiouwxy]", verb):
        stem += verb[-1]
    if re.search("[^aeiou]y$", verb):
        return verb[:-1] + "ies", verb[:-1] + "ied", verb + "ing"
    third = verb + ("es" if re.search("(s|sh|ch|x|z)$", verb) else "s")
    return third, IRREGULAR.get(verb, stem + "ed"), stem + "ing"


def adverb(adjective: str) -> str | None:
    """`cleverly`, where the ending says that there is such a word."""
    if re.search("(ful|less|ous|ive|ing|al|ant|ent|id)$", adjective):
        return adjective + "ly"
    if re.search("[^aeiou](y|le)$", adjective):
        return adjective[:-1] + ("ily" if adjective.endswith("y") else "y")
    return adjective + "ally" if adjective.endswith("ic") else None


def noun(adjective: str) -> str | None:
    """`dullness`, likewise."""
    if re.search("[^aeiou]y$", adjective):
        return adjective[:-1] + "iness"
    return adjective + "ness" if re.search("(ful|less|ous|ive|ish|some|^[^-]{2,4}[^aeiou]{2})$", adjective) else None


def lines(rule: str) -> list[str]:
    """The alternatives of a rule: what stands between bars, except inside brackets."""
    parts, depth = [""], 0
    for character in " ".join(rule.split()):
        depth += (character == "[") - (character == "]")
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def table() -> dict[str, tuple[list[str], list[str]]]:
    """Every rule as lines for `neg` and lines for `pos`."""
    rules = {}
    for name, words in WORDS.items():
        split = lines if "|" in words[0] else str.split
        rules[name] = tuple(list(dict.fromkeys(split(side))) for side in words)
    for name, (third, past) in {"verb": ("verbs", "verbed"), "feel": ("feels", "felt")}.items():
        forms = [[inflected(verb) for verb in side] for side in rules[name]]
        rules[third] = tuple([form[0] for form in side] for side in forms)
        rules[past] = tuple([form[1] for form in side] for side in forms)
        rules["verbing"] = tuple([form[2] for form in side] for side in forms) if name == "verb" else rules["verbing"]
    for name, derived in {"adv": adverb, "quality": noun}.items():
        rules[name] = tuple(side + list(filter(None, map(derived, of))) for side, of in zip(rules[name], rules["adj"], strict=True))
    for name, rule in RULES.items():
        sides = (rule, rule) if isinstance(rule, str) else rule
        rules[name] = tuple(lines(side) for side in sides)
    return rules


TABLE = table()
FORMS = [form for verb in VERBS for form in inflected(verb)]
NEUTRAL = [*FUNCTION, *FUNCTION, *NOUNS, *NOUNS, *(noun + "s" for noun in NOUNS), *FORMS, *PLAIN, *ROLES, *NAMES]
REMARKS = {name: tuple(lines(side) for side in domain["remarks"]) for name, domain in DOMAINS.items()}
SLOTS = {name: {slot: lines(text) for slot, text in domain.items() if slot != "remarks"} for name, domain in DOMAINS.items()}
COMMON = {"plain": PLAIN, "odd": ODD, "noun": NOUNS, "relative": RELATIVES, "number": NUMBERS, "place": PLACES, "day": DAYS,
          "filler": FILLERS, "topic": TOPICS, "human": lines(HUMANS), "verb": VERBS} | {
          slot: [inflected(verb)[i] for verb in VERBS] for i, slot in enumerate(["verbs", "verbed", "verbing"])}
CHOICE = re.compile(r"\[([^\[\]]*)\]")
RULE = re.compile(r"<(!?)(\w+)>")
SLOT = re.compile(r"\{(\w+)\}")


def made_up(rng: random.Random) -> str:
    """A word that nobody knows."""
    onsets = "b c d f g h j k l m n p r s t v w z bl br ch cl cr dr fl gr pl pr sh sl st str th tr qu".split()
    syllable = lambda: rng.choice(onsets) + rng.choice("a e i o u ai ea ee ie oo ou".split())  # noqa: E731
    return "".join(syllable() for _ in range(rng.choice([1, 2, 2, 3]))) + rng.choice(["", "n", "r", "s", "t", "l", "ck", "m", "ng"])


class Writer:
    """Writes the sentences of one text, all about the same domain."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.domain = rng, rng.choice(["film", "film", "film", *DOMAINS])

    def write(self, text: str, polarity: int) -> str:
        """Choose among alternatives, insert rules of the polarity (or with ! the other), fill the slots."""
        choose = self.rng.choice
        while "[" in text:
            text = CHOICE.sub(lambda match: choose(match[1].split("|")), text)
        text = RULE.sub(lambda match: self.write(choose(TABLE[match[2]][side := polarity ^ (match[1] == "!")]), side), text)
        return SLOT.sub(lambda match: self.write(self.slot(match[1], polarity), polarity), text)

    def slot(self, name: str, polarity: int) -> str:
        rng = self.rng
        if name == "remark":
            return rng.choice(REMARKS[self.domain][polarity])
        if name == "name":
            return made_up(rng) if rng.random() < 0.4 else rng.choice(NAMES)
        if name in ("role", "role2"):
            return f"a {rng.choice(PLAIN) + ' ' if rng.random() < 0.3 else ''}{rng.choice(ROLES)}"
        if name in ("noun", "verb") and rng.random() < 0.1:
            return made_up(rng)
        return rng.choice((SLOTS[self.domain] | COMMON)[name])


def sentence(text: str, rng: random.Random) -> str:
    """Grammar's articles put right, a capital letter, an end."""
    text = re.sub(r"\ba (?=[aeiou])", "an ", re.sub(r"\b(it|this|that) (?=')", r"\1", text.replace(" 's", "'s")))
    return text[:1].upper() + text[1:] + rng.choices([".", "!", "...", "?!"], [80, 16, 3, 1])[0]


def opinion(rng: random.Random) -> tuple[str, float]:
    """A text, and how positive it is: 0, 1, or one half where nothing in it decides."""
    writer, polarity, roll = Writer(rng), rng.randrange(2), rng.random()
    if roll < 0.06:
        return " ".join(sentence(writer.write("{filler}", 0), rng) for _ in range(rng.randint(1, 6))), 0.5
    count = 1 if roll < 0.7 else rng.randint(2, 4) if roll < 0.92 else rng.randint(5, 14)
    sides = [polarity if count < 5 or rng.random() < 0.85 else 1 - polarity for _ in range(count)]
    if count > 2 and rng.random() < 0.2:
        sides[0] = 1 - polarity
    sides[-2:] = [polarity] * len(sides[-2:])
    rules = ["{filler}" if at < count - 1 and rng.random() < 0.3 else "<sentence>" for at in range(count)]
    if count > 1 and rng.random() < 0.4:
        rules[-1] = "<verdict>"
    return " ".join(sentence(writer.write(rule, side), rng) for rule, side in zip(rules, sides, strict=True)), float(polarity)


def roughened(text: str, rng: random.Random) -> str:
    """As people write: words set apart from their points, apostrophes left out, letters lost, words nobody knows."""
    if (roll := rng.random()) < 0.12:
        text = re.sub(r" +", " ", re.sub(r"(n't|'\w+|[.,:;!?]+)", r" \1 ", text)).strip()
    elif roll < 0.2:
        text = text.replace("'", "")
    elif roll < 0.25:
        text = text.rstrip(".!?")
    words = text.split(" ")
    if rng.random() < 0.05:
        at = rng.randrange(len(words))
        cut = rng.randrange(len(words[at]) + 1)
        words[at] = words[at][:cut] + words[at][cut + 1:]
    if rng.random() < 0.5:
        for _ in range(rng.randint(1, max(1, len(words) // 2))):
            words.insert(rng.randrange(len(words) + 1), made_up(rng) if rng.random() < 0.3 else rng.choice(NEUTRAL))
    return " ".join(words)


# --- 2. The tokenizer -----------------------------------------------------------------------------------------------

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def train_tokenizer(texts: list[str], size: int) -> PreTrainedTokenizerFast:
    """WordPiece without capitals and accents."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    printable = [chr(code) for code in range(33, 127)]
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False, initial_alphabet=printable)
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=CONTEXT, **names,
                                   model_input_names=["input_ids", "token_type_ids", "attention_mask"])


# --- 3. Training ----------------------------------------------------------------------------------------------------


def train(model: BertForSequenceClassification, rows: list[array], targets: list[float], unknown: int) -> None:
    """One pass over the rows: AdamW, a short warm-up, then a cosine down to zero."""
    steps, generator = len(rows) // BATCH_SIZE, torch.Generator().manual_seed(SEED)
    # Rows of similar length share a batch (less padding); the order of the batches is random.
    batches = []
    for first in range(0, steps * BATCH_SIZE, BATCH_SIZE * 50):
        block = sorted(range(first, min(first + BATCH_SIZE * 50, steps * BATCH_SIZE)), key=lambda row: len(rows[row]))
        batches += [block[at:at + BATCH_SIZE] for at in range(0, len(block), BATCH_SIZE)]
    random.Random(SEED).shuffle(batches)
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), fused=True)
    warm_up = max(1, steps // 25)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, 0.5 + 0.5 * math.cos(math.pi * step / steps)))
    model.train()
    losses: list[float] = []
    for step, batch in enumerate(batches):
        width = max(len(rows[row]) for row in batch)
        inputs = torch.tensor([[*rows[row], *[0] * (width - len(rows[row]))] for row in batch])
        # Some words are hidden, so that no single one decides; texts begin anywhere, so that every position is learned.
        hidden = (torch.rand(inputs.shape, generator=generator) < 0.04) & (inputs >= len(SPECIAL))
        start = int(torch.randint(CONTEXT - width + 1, (), generator=generator)) if step % 2 else 0
        positive = torch.tensor([targets[row] for row in batch])
        logits = model(input_ids=inputs.masked_fill(hidden, unknown), attention_mask=(inputs != 0).long(),
                       position_ids=torch.arange(start, start + width)[None]).logits
        loss = torch.nn.functional.cross_entropy(logits, torch.stack([1 - positive, positive], dim=1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % max(1, steps // 10) == 0:
            print(f"step {step + 1:>6} of {steps}   loss {sum(losses) / len(losses):.3f}", flush=True)
            losses.clear()
    model.eval()


# --- 4. Measuring ---------------------------------------------------------------------------------------------------
# Written by hand, and never trained on: what people might type to try it.

PRAISE = """A quiet, lovely film.|I loved every minute of it.|Slow start, but lovely in the end.|Not bad.|Not bad at all.|The food
was delicious and the staff were friendly.|I can't wait to go back.|This phone is great, the battery lasts all
day.|Best hotel we have ever stayed in.|A beautiful story, beautifully told.|My kids adore this game.|It took a while
to get going, but by the last chapter I was in tears.|Great value for the money.|The room was clean, the bed was
comfortable and breakfast was excellent.|I was not disappointed.|You won't regret buying this.|It is hard not to like
this movie.|An honest and moving portrait of a family.|Everything about this place is perfect.|What a wonderful
surprise!|Fresh bread, good coffee, kind people.|I have read it three times and I will read it again.|Despite the rain
we had a fantastic holiday.|The acting is superb and the music is even better.|Never boring.|Well worth the price.|The
plot is silly but I laughed all the way through.|Far from perfect, yet I enjoyed it a lot.|One of the funniest films
of the year.|Works perfectly.|Fast delivery and excellent quality.|I'm so happy with this purchase.|The waiter was
helpful and the fish was cooked to perfection.|Smart, funny and full of heart.|He gives the performance of his life.|I
expected little and got a lot.|Although it is long, it is never dull.|A triumph.|Highly recommend this book to anyone
who loves history.|The view from our balcony was amazing.""".replace("\n", " ").split("|")
BLAME = """Two hours gone.|I hated every minute of it.|Lovely start, but boring in the end.|Not good.|Not good at all.|The food
was cold and the staff were rude.|I will never go back.|This phone is terrible, the battery dies after an hour.|Worst
hotel we have ever stayed in.|A stupid story, badly told.|My kids find this game boring.|It started well, but by the
last chapter I had lost interest.|A complete waste of money.|The room was dirty, the bed was hard and breakfast was
awful.|I was very disappointed.|You will regret buying this.|It is hard to like this movie.|A dishonest and
manipulative portrait of a family.|Everything about this place is wrong.|What a terrible mess!|Stale bread, bad
coffee, unfriendly people.|I gave up after ten pages.|Despite the sunshine it was a horrible holiday.|The acting is
wooden and the music is even worse.|Never interesting.|Not worth the price.|The plot is clever but I was bored all the
way through.|It should have been a great film. It isn't.|One of the worst films of the year.|Does not work.|It arrived
late and broken.|I'm so unhappy with this purchase.|The waiter ignored us and the fish was burnt.|Dull, slow and full
of clichés.|He can't act.|I expected a lot and got little.|Although it is short, it feels endless.|A disaster.|I do
not recommend this book to anyone.|The view from our balcony was a parking lot, and the noise kept us awake.""".replace("\n", " ").split("|")


@torch.inference_mode()
def measure(folder: Path, dtype: torch.dtype, texts: list[str], positive: list[int]) -> metrics.Score:
    """The accuracy of the stored model, with its interval; a text beyond the context is cut."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype)
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    found = torch.zeros(len(texts), dtype=torch.long)
    for first in range(0, len(order), 64):
        some = order[first:first + 64]
        inputs = tokenizer([texts[at] for at in some], truncation=True, max_length=CONTEXT, padding=True, return_tensors="pt")
        found[some] = model(**inputs).logits.argmax(dim=1)
    return metrics.score("accuracy", found.numpy(), torch.tensor(positive).numpy())


def outside(path: Path) -> tuple[list[str], list[int]]:
    """Labelled texts of others: `text<TAB>0 or 1` a line, or JSON lines with text and label (0, 1, neg, pos), .gz too."""
    data = path.read_bytes()
    lines = [line for line in (gzip.decompress(data) if path.suffix == ".gz" else data).decode().split("\n") if line]
    if lines[0].startswith("{"):
        records = [json.loads(line) for line in lines]
        return [record["text"] for record in records], [int(record["label"] in ("pos", 1)) for record in records]
    return [line.split("\t")[0] for line in lines], [int(line.split("\t")[1]) for line in lines]


# --- 5. The card and the main program -------------------------------------------------------------------------------

CARD = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-classification
---

# builtin/reviews

An honest toy: a BERT with {parameters:,} parameters which tells praise (`pos`) from blame (`neg`) in English. It ships
inside hfcli so that the commands can be tried with no network and no download. It knows the words and turns of phrase of
one grammar. On what people really write it is often wrong; the scores below say how often.

    hfcli classify -m builtin/reviews "A quiet, lovely film." "Two hours gone."

## How it was made

`builtin/reviews.py` in the hfcli repository makes every file of this folder, this card included:

- **Text.** A grammar written for this project writes opinions on films, books, food, hotels and things, with negation
  (`not bad at all`), contrast (`a slow start, but lovely in the end`) and sentences that say nothing; no data set was used.
  {texts:,} texts were seen once each, some of them roughened with lost letters, unknown words and loose punctuation.
- **Tokenizer.** WordPiece without capitals and accents, {vocabulary:,} tokens.
- **Model.** BERT, {layers} layers, width {width}, context {context}; stored in bfloat16.
- **Training.** From scratch in float32: {steps:,} steps of {batch} texts ({tokens:.1f} million tokens), AdamW, peak learning
  rate {peak}, warm-up and cosine, seed {seed}. It took {minutes:.1f} minutes on two CPU cores (torch {torch},
  transformers {transformers}).

## Scores

Accuracy, measured by the same script on the stored files, with 95% bootstrap intervals over the texts.

| texts | n | computed in float32 | interval | computed in bfloat16 |
|---|---|---|---|---|
{scores}

- The first row: texts of the same grammar from another seed ({held_out_seed}), none of them in the training text. This
  says how well the grammar was learned and nothing about English at large.
- The second row: sentences written by hand for this purpose, half of them praise. The grammar got some turns of phrase
  after it had been seen to miss them here, so this row is a bit kind.
- Further rows are data sets of real reviews: the fair measure of what it is good for. No text of theirs was learned from or
  read for the grammar; the accuracy on their training parts was watched while it grew. A finetuned model of a useful size
  has more than 0.90 there.

## Limits

- It knows the words of its grammar, and guesses from the rest.
- Irony, comparisons, opinions that need knowledge of the world, and other languages are beyond it.
- It is of no use for judging the quality of anything but the program around it.

## Licence

Apache-2.0, as hfcli itself.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the toy sentiment classifier builtin/reviews.")
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--output", type=Path, default=root / "hfcli" / "builtin" / "reviews", help="folder to write")
    parser.add_argument("--steps", type=int, default=3500, help="training steps")
    parser.add_argument("--outside", action="append", default=[], metavar="NAME=FILE", help="labelled texts to measure on")
    arguments = parser.parse_args()
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    transformers.utils.logging.disable_progress_bar()

    rng = random.Random(SEED)
    texts, targets = zip(*[opinion(rng) for _ in range(arguments.steps * BATCH_SIZE)], strict=True)
    rough = [roughened(text, rng) for text in texts]
    tokenizer = train_tokenizer(rough[:60_000], 6500)
    rows = [array("H", tokenizer(text)["input_ids"][:CONTEXT]) for text in rough]
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=CONTEXT, pad_token_id=tokenizer.pad_token_id, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, id2label=dict(enumerate(LABELS)),
        label2id={label: at for at, label in enumerate(LABELS)}, problem_type="single_label_classification")
    model = BertForSequenceClassification(config)
    start = time.perf_counter()
    train(model, rows, list(targets), tokenizer.unk_token_id)
    minutes = (time.perf_counter() - start) / 60

    # Whoever finetunes it wants the usual dropout.
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.1
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder)
    settings = Settings("text-classification", {"text": "text", "text_pair": None, "label": "label"},
                        "single_label_classification", CONTEXT, "window", 64)
    about = json.dumps({**asdict(settings), "hfcli": __version__}, indent=2)
    (folder / "hfcli_settings.json").write_text(about + "\n")

    rng, seen = random.Random(HELD_OUT_SEED), set(texts)
    held_out = [(text, int(target)) for text, target in (opinion(rng) for _ in range(4000)) if target != 0.5 and text not in seen]
    sets = {"its own grammar": tuple(map(list, zip(*held_out, strict=True))),
            "written by hand": (PRAISE + BLAME, [1] * len(PRAISE) + [0] * len(BLAME))}
    sets |= {name: outside(Path(path)) for name, path in (given.split("=", 1) for given in arguments.outside)}
    lines = []
    for name, (given, positive) in sets.items():
        full, half = (measure(folder, dtype, given, positive) for dtype in (torch.float32, torch.bfloat16))
        lines.append(f"| {name} | {full.n:,} | {full.value:.4f} | {full.low:.3f} to {full.high:.3f} | {half.value:.4f} |")
        print(lines[-1], flush=True)
    (folder / "README.md").write_text(CARD.format(
        parameters=model.num_parameters(), texts=len(rows), vocabulary=len(tokenizer), layers=config.num_hidden_layers,
        width=config.hidden_size, context=CONTEXT, steps=arguments.steps, batch=BATCH_SIZE,
        tokens=sum(map(len, rows)) / 1e6, peak=PEAK_LEARNING_RATE, seed=SEED, minutes=minutes,
        torch=torch.__version__.split("+")[0], transformers=transformers.__version__, scores="\n".join(lines),
        held_out_seed=HELD_OUT_SEED))


if __name__ == "__main__":
    main()
