//! The family `snake`; its script is `scenes/snake.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "snake",
    topic: Topic::Games,
    night: false,
    titles: &["The {s:a} snake", "A {mood} snake", "Hungry for {s:b}", "Snake among {all}"],
    openings: &[
        "[Build|Create|Make] a {mood} snake game in which the snake feeds on {all} and grows with every bite.",
        "[Write|Program] a {mood} game of snake: {meals} things to eat ({all}) lie on the field at a time, and the walls are {walls}.",
        "[Give|Make] me a {mood} snake for the browser, hungry for {all}, on squares of {cell} units with {walls} walls.",
    ],
    objects: &[
        ("apple", "fruit"),
        ("mushroom", "mushroom"),
        ("egg", "ball"),
        ("honey drop", "drop"),
        ("beetle", "bug"),
        ("clover leaf", "leaf"),
        ("rock candy", "gem"),
        ("daisy", "flower"),
        ("minnow", "fish"),
        ("sugar star", "star"),
    ],
    numbers: &[("cell", 20, 32, 4), ("length", 3, 6, 1), ("meals", 2, 5, 1), ("pace", 3, 7, 1)],
    words: &[
        ("walls", &["open", "solid"]),
        ("mood", &["classic", "gentle", "garden", "midnight", "pocket", "quick"]),
    ],
    features: &[
        Ask {
            texts: &[
                "The field has squares of {cell} units in a faint checker pattern; the snake starts {length} squares long.",
                "[Use|Lay out] a checkered field of {cell}-unit squares and a snake of {length} parts.",
            ],
            served_by: &["PARAMS.cell", "function drawField("],
            hint: "",
        },
        Ask {
            texts: &[
                "{meals} meals are always [on the field|available], chosen from {all}; an eaten one is [replaced|followed] on a free square.",
                "[Keep|Have] {meals} of {all} on free squares at any time, [gently|slightly] pulsing.",
            ],
            served_by: &["PARAMS.meals", "function placeFood("],
            hint: "",
        },
        Ask {
            texts: &[
                "The walls are {walls}: open ones [let|lead] the snake through to the other side, solid ones end the game.",
                "Walls are {walls} (solid means the game ends there, open means one [comes out|reappears] opposite).",
            ],
            served_by: &["PARAMS.walls"],
            hint: "",
        },
        Ask {
            texts: &[
                "[Biting|Running into] itself ends the game, with a sentence that says why and how much was [eaten|had].",
                "The game ends when the snake [meets|bites] its own body; the reason and the result are [told|written] below.",
            ],
            served_by: &["function end("],
            hint: "",
        },
        Ask {
            texts: &[
                "The body is drawn as [discs|round parts] that fade and shrink towards the tail; the head has eyes that [look|face] ahead.",
                "Head with two eyes in the direction of travel, body [of|in] round parts, getting [smaller|thinner] and paler.",
            ],
            served_by: &["function drawPart(", "function drawEyes("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Queue|Remember] up to three quick turns, so that none is lost between two moves, and [refuse|ignore] a turn straight back.",
                "Fast key presses are [buffered|kept] (up to three), and reversing on the spot is impossible.",
            ],
            served_by: &["turns.slice(-3)", "function turn("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Show|Display] what was eaten, the best result so far and the [present|current] length.",
                "Readouts for meals eaten, the record of this visit and the length of the snake.",
            ],
            served_by: &["function showCounts("],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "Steer with the four arrow keys, or [click|tap] to the side to which the snake [should|is to] turn.",
                "The arrow keys turn the snake; on a touch screen a tap [beside|on one side of] the head does.",
            ],
            served_by: &["function turn(", "function turnTowards("],
            hint: "Arrow keys | steer the snake",
        },
        Ask {
            texts: &[
                "[Start|Begin] again with Enter or \"New game\" whenever you [like|wish].",
                "Enter and \"New game\" [restart|reset] everything except the record.",
            ],
            served_by: &["onClick(\"new\"", "function reset("],
            hint: "Enter | starts a new game",
        },
        Ask {
            texts: &[
                "The slider \"Pace\" from 1 to 12 [sets|changes] the speed at any moment.",
                "Choose how many squares per second it [crawls|goes] by the slider \"Pace\" (1 to 12).",
            ],
            served_by: &["onSlide(\"pace\""],
            hint: "Pace | makes it faster or slower",
        },
    ],
    stage: Stage::Canvas,
    readouts: &[("eaten", "Eaten"), ("best", "Best"), ("length", "Length")],
    controls: &[
        Control::Button("new", "New game"),
        Control::Slider("pace", "Pace", ["1", "12", "1", "{pace}"]),
    ],
    script: include_str!("../scenes/snake.js"),
};
