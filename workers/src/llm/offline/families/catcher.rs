//! The family `catcher`; its script is `scenes/catcher.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "catcher",
    topic: Topic::Games,
    night: false,
    titles: &["{s:a} from the sky", "The {mood} basket", "Mind the {last}", "Raining {all}"],
    openings: &[
        "[Build|Create|Make] a {mood} catching game: {all} rain from the sky into a basket, except that {last} must be let through.",
        "[Write|Program] a {mood} game of skill in which a basket catches {all}; only {last} must never [land|end up] in it.",
        "[Make|Design] a {mood} pastime for one thumb: move a basket, catch what falls ({all}), avoid {last}.",
    ],
    objects: &[
        ("pear", "fruit"),
        ("acorn", "bell"),
        ("gold star", "star"),
        ("chestnut", "ball"),
        ("maple leaf", "leaf"),
        ("toadstool", "mushroom"),
        ("wasp", "bug"),
        ("iron ring", "ring"),
        ("lightning bolt", "bolt"),
        ("plum", "drop"),
        ("hailstone", "gem"),
    ],
    numbers: &[("lives", 3, 6, 1), ("badShare", 18, 32, 2), ("streakMax", 4, 8, 1), ("pace", 3, 7, 1)],
    words: &[("mood", &["breezy", "autumn", "harvest", "orchard", "lazy", "market-day", "hectic"])],
    features: &[
        Ask {
            texts: &[
                "Things fall from random places, [spinning|turning] and getting faster; about {badShare} of a hundred are of the kind to avoid.",
                "{badShare} percent of what falls is to be avoided; everything [spins|rotates] and accelerates on its way down.",
            ],
            served_by: &["PARAMS.badShare", "function drop("],
            hint: "",
        },
        Ask {
            texts: &[
                "Catching good things in a row multiplies their points, up to {streakMax} times five.",
                "Each good catch is worth five points times the length of the streak, at most {streakMax}.",
            ],
            served_by: &["PARAMS.streakMax", "function catchThing("],
            hint: "",
        },
        Ask {
            texts: &[
                "A good thing that [drops past|is missed] ends the streak but costs no life.",
                "Letting a good thing pass [breaks|resets] the streak, nothing more.",
            ],
            served_by: &["function pass("],
            hint: "",
        },
        Ask {
            texts: &[
                "The wrong kind costs one of {lives} lives; without lives the game [is over|ends] and says so.",
                "There are {lives} lives; each wrong catch takes one, and the last one ends the game with the score.",
            ],
            served_by: &["PARAMS.lives", "function loseLife("],
            hint: "",
        },
        Ask {
            texts: &[
                "The basket [glides|follows smoothly] and is drawn with [wickerwork|stripes] and a rim; catches [flash|burst] briefly in the colour of the thing.",
                "Draw a woven basket that [eases|slides] to where it is sent, and a short burst of colour for every catch.",
            ],
            served_by: &["function drawBasket("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Clouds|Pale clouds] drift over a sky that gets lighter towards the ground.",
                "Behind the game, clouds [move|float] slowly across a graded sky above a strip of grass.",
            ],
            served_by: &["function drawCloud(", "function drawSky("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Show|Display] score, streak and lives.",
                "Readouts for points, streak and lives [left|that remain].",
            ],
            served_by: &["function showCounts("],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "Move the basket by [pointer|mouse or finger], or with the left and right arrow keys.",
                "The basket goes where the pointer is; ArrowLeft and ArrowRight [push|move] it as well.",
            ],
            served_by: &["function moveBasket(", "onPointer("],
            hint: "Left and Right | move the basket",
        },
        Ask {
            texts: &[
                "Enter or \"New game\" [starts|begins] again at any time.",
                "[Restart|Begin anew] with Enter or the button \"New game\".",
            ],
            served_by: &["onClick(\"again\"", "function reset("],
            hint: "Enter | starts again",
        },
        Ask {
            texts: &[
                "[Set|Choose] the pace from 1 to 12 by slider, while playing if you [like|dare].",
                "A slider \"Pace\" (1 to 12) makes things fall more often and faster.",
            ],
            served_by: &["onSlide(\"pace\""],
            hint: "Pace | lets things fall faster",
        },
    ],
    stage: Stage::Canvas,
    readouts: &[("score", "Score"), ("streak", "Streak"), ("lives", "Lives")],
    controls: &[
        Control::Button("again", "New game"),
        Control::Slider("pace", "Pace", ["1", "12", "1", "{pace}"]),
    ],
    script: include_str!("../scenes/catcher.js"),
};
