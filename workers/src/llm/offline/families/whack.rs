//! The family `whack`; its script is `scenes/whack.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "whack",
    topic: Topic::Games,
    night: false,
    titles: &["Hit the {s:a}", "{s:a} in the {place}", "Holes in the {place}", "Quick, {an:a}!"],
    openings: &[
        "[Build|Create|Make] a reaction game in which {all} peep out of {holes} holes in the {place} and must be hit before they hide.",
        "[Write|Program] a game for quick hands: for {seconds} seconds, {all} appear in {holes} holes of the {place}, each for a moment only.",
        "The {place} is full of holes, {holes} of them, and {all} look out; [make|build] a game of it that lasts {seconds} seconds.",
    ],
    objects: &[
        ("mole", "mole"),
        ("robin", "bird"),
        ("beetle", "bug"),
        ("snail", "shell"),
        ("toadstool", "mushroom"),
        ("goldfish", "fish-round"),
        ("gnome hat", "hat"),
        ("bluebell", "bell"),
        ("pumpkin", "fruit"),
        ("sunflower", "flower"),
    ],
    numbers: &[("holes", 8, 12, 4), ("seconds", 20, 40, 5), ("points", 20, 40, 5), ("pace", 3, 7, 1)],
    words: &[("place", &["meadow", "vegetable bed", "golf course", "beach", "castle yard", "cheese cellar"])],
    features: &[
        Ask {
            texts: &[
                "{holes} holes in a [tidy|regular] grid, each a real button that [mouse, finger and keyboard|everyone] can press.",
                "[Lay out|Arrange] {holes} holes as a grid of buttons with text labels for screen readers.",
            ],
            served_by: &["PARAMS.holes", "function makeHole("],
            hint: "",
        },
        Ask {
            texts: &[
                "One of {all} [peeps|rises] out of a random free hole, stays about a second and hides again.",
                "At random, {all} [come up|show themselves] where nobody is, wait a moment and vanish.",
            ],
            served_by: &["function peep(", "function hide("],
            hint: "",
        },
        Ask {
            texts: &[
                "The first kind brings {points} points, every other ten; blows into empty holes are counted [as misses|separately].",
                "{points} points for each {a}, ten for all others; hitting nobody adds to the misses.",
            ],
            served_by: &["PARAMS.points", "function hit("],
            hint: "",
        },
        Ask {
            texts: &[
                "A round lasts {seconds} seconds, counted down [visibly|below]; then the result is [announced|told in a sentence].",
                "After {seconds} seconds the round is over, and a line of text [sums up|tells] points and misses.",
            ],
            served_by: &["PARAMS.seconds", "function finish("],
            hint: "",
        },
        Ask {
            texts: &[
                "Guests [slide|grow] up and down smoothly, and a struck hole flashes.",
                "Show rising and hiding as a [short|smooth] movement, and a hit as a flash of the hole.",
            ],
            served_by: &["function drawHole(", "hole.struck"],
            hint: "",
        },
        Ask {
            texts: &[
                "[Show|Display] score, misses and seconds left.",
                "Points, misses and remaining seconds [stand|are shown] under the holes.",
            ],
            served_by: &["function showCounts("],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "Click or tap a hole, or press its number key (1 to 9), to [strike|hit].",
                "[Strike|Hit] by clicking, by touch, or with the keys 1 to 9 for the first nine holes.",
            ],
            served_by: &["button.addEventListener(\"click\"", "1: () => hit(0)"],
            hint: "1 to 9 | hit the holes",
        },
        Ask {
            texts: &[
                "[Start|Begin] a round with \"Start\", the space bar, or a click on any hole.",
                "\"Start\", Space or the first click on a hole [opens|starts] a new round.",
            ],
            served_by: &["onClick(\"begin\"", "function begin("],
            hint: "Space | starts a round",
        },
        Ask {
            texts: &[
                "The slider \"Pace\" from 1 to 12 [decides|sets] how briefly they show themselves.",
                "Set the difficulty by the slider \"Pace\" (1 to 12), also during a round.",
            ],
            served_by: &["onSlide(\"pace\""],
            hint: "Pace | makes them quicker",
        },
    ],
    stage: Stage::Board,
    readouts: &[("score", "Score"), ("missed", "Misses"), ("left", "Time left")],
    controls: &[
        Control::Button("begin", "Start"),
        Control::Slider("pace", "Pace", ["1", "12", "1", "{pace}"]),
    ],
    script: include_str!("../scenes/whack.js"),
};
