//! The family `fireworks`; its script is `scenes/fireworks.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "fireworks",
    topic: Topic::Animation,
    night: true,
    titles: &["Fireworks over the {place}", "{s:a} in the night", "The {place} finale", "A sky of {all}"],
    openings: &[
        "[Build|Create|Make] a firework over the {place} whose shells [burst into|scatter] coloured sparks and for a moment [draw|show] {all} in the sky.",
        "[Write|Program] an evening at the {place}: rockets rise behind the roofs, burst as balls, rings or willows, and [leave|flash] the outline of {an:a} or {an:b}.",
        "Please [make|build] a web page for a quiet new year at the {place}, with fireworks that [sketch|paint] {all} above the [roofs|houses] and let me [launch|light] my own.",
    ],
    objects: &[
        ("star", "star"),
        ("heart", "heart"),
        ("tulip", "flower"),
        ("crescent", "moon"),
        ("ladybird", "bug"),
        ("bell", "bell"),
        ("paper boat", "boat"),
        ("snow crystal", "gem"),
        ("clover leaf", "leaf"),
        ("goldfish", "fish"),
        ("lightning bolt", "bolt"),
    ],
    numbers: &[("sparks", 42, 74, 4), ("wind", 0, 20, 5), ("pauseTenths", 8, 16, 2), ("finale", 12, 24, 4)],
    words: &[(
        "place",
        &["harbour", "old town", "river bank", "island", "fairground", "station square", "hill village"],
    )],
    features: &[
        Ask {
            texts: &[
                "Rockets [climb|rise] from the ground, slow down and burst near the top of their [flight|path] into {sparks} sparks.",
                "Every rocket [loses speed|slows] on its way up and [breaks|bursts] into {sparks} sparks where it almost stands still.",
            ],
            served_by: &["PARAMS.sparks", "function burst("],
            hint: "",
        },
        Ask {
            texts: &[
                "Three patterns [alternate|occur]: a [full|dense] ball, a tilted ring, and a willow whose sparks hang [long|for a long time].",
                "Bursts come as ball, ring or willow; the willow's sparks [live longer|last] and [trail|sink] slowly.",
            ],
            served_by: &["function velocity(", "\"willow\""],
            hint: "",
        },
        Ask {
            texts: &[
                "At the heart of each burst, the outline of one of {all} [glows|lights up], grows and [fades|vanishes].",
                "One of {all} [shines|flares up] in the middle of every burst and [dissolves|fades out] within about a second.",
            ],
            served_by: &["spark.thing"],
            hint: "",
        },
        Ask {
            texts: &[
                "Sparks obey gravity, air drag and wind and [leave|draw] a short tail that [dims|fades] with age.",
                "Gravity, drag and the wind [act on|move] all sparks; tails [follow|show] their speed and [lose light|darken] as they age.",
            ],
            served_by: &["function drawSpark("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Below|At the bottom] stands a skyline of the {place} with some lit windows, [before|against] a sky that [shades|fades] from dark to dusk.",
                "Draw the roofs of the {place} as [dark|flat] towers, some with a light on, under a [graded|two-coloured] evening sky.",
            ],
            served_by: &["function drawTower(", "function drawSky("],
            hint: "",
        },
        Ask {
            texts: &[
                "The show [runs|goes on] by itself: every {pauseTenths} tenths of a second, [more or less|roughly], a rocket goes up at random.",
                "Without any input, rockets keep [rising|starting] at random places, on average every {pauseTenths}/10 s or a little faster.",
            ],
            served_by: &["PARAMS.pauseTenths", "function launchAnywhere("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Count|Show] rockets launched and sparks alive, and name the [chosen|current] pattern.",
                "Figures below the sky tell launched rockets, living sparks and the pattern [in use|that is chosen].",
            ],
            served_by: &["function showCounts("],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "Click [anywhere in|on] the sky to send a rocket to that very [point|place]; \"Launch\" [fires|sends] one at random.",
                "A click sends a rocket that bursts [where you clicked|at the pointer]; the button \"Launch\" and the space bar [choose|take] a place by chance.",
            ],
            served_by: &["onPointer(", "onClick(\"launch\""],
            hint: "Click the sky | sends a rocket there",
        },
        Ask {
            texts: &[
                "Choose the pattern of your own rockets with the keys 1, 2 and 3, or [step|go] to the next with the right arrow.",
                "Keys 1 to 3 [select|set] ball, ring or willow for the next rockets; ArrowRight [cycles|steps] through them.",
            ],
            served_by: &["function choosePattern("],
            hint: "1, 2, 3 | choose the pattern",
        },
        Ask {
            texts: &[
                "[Start|Fire] a finale of {finale} rockets with \"Finale\", and [set|bend everything with] the wind from -60 to 60 by a slider.",
                "The button \"Finale\" launches {finale} rockets in [quick|rapid] succession; the slider \"Wind\" (-60 to 60) [pushes|drives] sparks sideways.",
            ],
            served_by: &["onClick(\"finale\"", "onSlide(\"wind\""],
            hint: "Wind | drives the sparks sideways",
        },
    ],
    stage: Stage::Canvas,
    readouts: &[("launched", "Rockets"), ("sparks", "Sparks"), ("pattern", "Next pattern")],
    controls: &[
        Control::Button("launch", "Launch"),
        Control::Button("finale", "Finale"),
        Control::Slider("wind", "Wind", ["-60", "60", "5", "{wind}"]),
    ],
    script: include_str!("../scenes/fireworks.js"),
};
