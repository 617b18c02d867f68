//! The family `memory`; its script is `scenes/memory.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "memory",
    topic: Topic::Games,
    night: false,
    titles: &["{a} and {b}: a memory game", "Find the {all}", "The {mood} pairs", "Two of each {a}"],
    openings: &[
        "[Build|Create|Make] a {mood} memory game with {pairs} pairs of cards that show {all}, to be played in the \
         browser by [one person|a single player].",
        "[Write|Program|Implement] a game of pairs: cards with {all} lie face down, and the player [turns|flips] two \
         at a time to find the {pairs} [matching|equal] couples in a {mood} setting.",
        "I want a {mood} card game [about|around] {all} for short breaks: {pairs} hidden pairs, [a clock|a running \
         clock], and as few turns as [possible|one can manage].",
    ],
    objects: &[
        ("lantern", "lantern"),
        ("mushroom", "mushroom"),
        ("teacup", "cup"),
        ("songbird", "bird"),
        ("old key", "key"),
        ("seashell", "shell"),
        ("daisy", "flower"),
        ("straw hat", "hat"),
        ("beetle", "bug"),
        ("bell", "bell"),
        ("sail boat", "boat"),
        ("ruby", "gem"),
    ],
    numbers: &[("pairs", 6, 8, 1), ("lookTenths", 8, 16, 2)],
    words: &[(
        "mood",
        &["cosy", "quiet", "cheerful", "old-fashioned", "rainy-day", "midsummer", "pocket-sized"],
    )],
    features: &[
        Ask {
            texts: &[
                "[Shuffle|Mix] {pairs} pairs into a [tidy|regular] grid of face-down cards; each face shows one of \
                 {all} in one of several colours, and only same thing in same colour [is a pair|counts].",
                "There are {pairs} pairs. A face is [a thing together with a colour|one thing in one colour] ({all}, in \
                 up to four colours); both must agree for a match.",
            ],
            served_by: &["function makeFaces(", "PARAMS.pairs"],
            hint: "",
        },
        Ask {
            texts: &[
                "Cards turn over with a [smooth|short] flip: they [narrow|grow thin], change sides and [widen|open] \
                 again.",
                "[Animate|Show] the turning of a card as a flip around its [vertical|upright] axis rather than a \
                 [sudden|hard] change of picture.",
            ],
            served_by: &["function drawCard(", "card.tilt"],
            hint: "",
        },
        Ask {
            texts: &[
                "When two open cards [differ|do not match], [leave|keep] them open for {lookTenths} tenths of a second \
                 and then [turn|close] them by themselves.",
                "A wrong couple stays in view for {lookTenths}/10 s, [long enough to memorise it|time enough for a good \
                 look], before both cards [close|turn back].",
            ],
            served_by: &["PARAMS.lookTenths", "function closeOpen("],
            hint: "",
        },
        Ask {
            texts: &[
                "Found pairs stay open and get a [coloured|bright] frame, so the [remaining|hidden] ones are [easy to \
                 see|obvious].",
                "[Frame|Mark] the pairs that were found and leave them face up; they [cannot be turned|take no more \
                 clicks].",
            ],
            served_by: &["classList.toggle(\"found\""],
            hint: "",
        },
        Ask {
            texts: &[
                "[Count|Keep count of] turns, found pairs and seconds; the clock [rests|stops] once everything is \
                 found.",
                "Under the cards, show turns, pairs found [so far|out of all] and the time in seconds, which [ends|\
                 halts] with the last pair.",
            ],
            served_by: &["function showCounts(", "show(\"clock\""],
            hint: "",
        },
        Ask {
            texts: &[
                "A line of text [comments on|accompanies] each turn: a pair, a miss, or the [final|closing] result with \
                 the number of turns.",
                "After every second card, [say|announce] in words whether it was a pair, and at the end in how many \
                 turns [the game was won|all were found].",
            ],
            served_by: &["function judge("],
            hint: "",
        },
        Ask {
            texts: &[
                "Every card [is a real button|can be reached by keyboard] with a [spoken|text] label that says its \
                 number and, once open, its picture.",
                "Make the cards [usable|playable] with a screen reader: buttons whose labels [give|tell] the position \
                 and the [open|visible] picture.",
            ],
            served_by: &["aria-label", "document.createElement(\"button\")"],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "Click or tap a [face-down|closed] card to turn it; a third card [cannot be opened|stays closed] while \
                 two are [being compared|open].",
                "Turn a card by clicking it, or [walk|move] with the left and right arrow keys and [press|hit] Enter; \
                 no more than two cards are open at a time.",
            ],
            served_by: &["function turnCard(", "function moveFocus("],
            hint: "Left and Right | walk through the cards, Enter turns one",
        },
        Ask {
            texts: &[
                "[Press|Use] the button \"Peek\" or the P key to see all cards for a moment, at the price of two turns.",
                "Peek with P or the \"Peek\" button: everything [opens|shows its face] for about a second, which \
                 [costs|counts as] two turns.",
            ],
            served_by: &["onClick(\"peek\"", "function peek("],
            hint: "P | peeks at all cards for two turns",
        },
        Ask {
            texts: &[
                "[Start|Begin] a new game [at any time|whenever you like] with \"New deal\" or the N key: cards are \
                 shuffled, counts and clock [return to zero|are reset].",
                "\"New deal\" and the N key [shuffle|deal] again and [reset|clear] turns, pairs and time.",
            ],
            served_by: &["onClick(\"deal\"", "function shuffle("],
            hint: "N | deals anew",
        },
    ],
    stage: Stage::Board,
    readouts: &[("turns", "Turns"), ("found", "Pairs found"), ("clock", "Time")],
    controls: &[Control::Button("deal", "New deal"), Control::Button("peek", "Peek")],
    script: include_str!("../scenes/memory.js"),
};
