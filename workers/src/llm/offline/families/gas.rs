//! The family `gas`; its script is `scenes/gas.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "gas",
    topic: Topic::Science,
    night: false,
    titles: &["{s:a} in a box", "Pressure of {all}", "The {grade} gas", "Hot {s:a}, cold {s:b}"],
    openings: &[
        "[Build|Create] a {grade} model of a gas: particles that look like {all} fly about in a box with a movable piston.",
        "[Make|Write|Program] a {grade} experiment on temperature and pressure, in which {all} [stand for|play] the particles of a gas.",
        "What is pressure? [Explain|Show] it at {grade} level with a box full of {all} that [bounce|rebound] off the walls and off each other.",
    ],
    objects: &[
        ("bubble", "ball"),
        ("bee", "bug"),
        ("spark", "star"),
        ("snow crystal", "gem"),
        ("dew drop", "drop"),
        ("seedling", "leaf"),
        ("smoke ring", "ring"),
        ("pollen grain", "flower"),
        ("silver crescent", "moon"),
        ("lead weight", "weight"),
    ],
    numbers: &[
        ("particles", 50, 80, 5),
        ("warmth", 25, 55, 5),
        ("piston", 420, 560, 20),
        ("heavier", 2, 5, 1),
    ],
    words: &[("grade", &["school", "beginner's", "hands-on", "first-year", "playful", "table-top"])],
    features: &[
        Ask {
            texts: &[
                "{particles} particles of the kinds {all} fly straight until they hit a wall or [each other|another particle]; collisions are elastic.",
                "[Put|Fill in] {particles} particles ({all}); walls and particles [reflect|deflect] them without loss.",
            ],
            served_by: &["PARAMS.particles", "function collide("],
            hint: "",
        },
        Ask {
            texts: &[
                "The kinds differ in mass: each is {heavier} units heavier than the one before and, at equal temperature, [slower|less fast].",
                "Every further kind weighs {heavier} more; [heavy|big] particles move more slowly at the same temperature.",
            ],
            served_by: &["PARAMS.heavier", "function usualSpeed("],
            hint: "",
        },
        Ask {
            texts: &[
                "Pressure is measured, not [computed|faked]: [add up|sum] the momentum of all hits on the walls over half a second and divide by their length.",
                "[Measure|Take] the pressure from the blows on the walls during each half second, [relative to|per] wall length.",
            ],
            served_by: &["function measure("],
            hint: "",
        },
        Ask {
            texts: &[
                "A histogram of speeds in sixteen [bars|classes] below the box [follows|tracks] the particles smoothly.",
                "Under the box, sixteen bars show how many particles are slow or fast, and [glide|ease] to their new heights.",
            ],
            served_by: &["function drawSpeeds("],
            hint: "",
        },
        Ask {
            texts: &[
                "Energy flows [gently|slowly] in or out until the particles have the chosen temperature.",
                "The walls [warm or cool|bring] the gas towards the set temperature [gradually|bit by bit], never at once.",
            ],
            served_by: &["const energy = "],
            hint: "",
        },
        Ask {
            texts: &[
                "[Tint|Shade] the inside of the box by temperature, and draw piston and rod at its right.",
                "The box [turns redder|is tinted] with heat; at its right side a piston on a rod [closes|bounds] it.",
            ],
            served_by: &["function drawBox("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Show|Display] the number of particles, the pressure and the mean speed.",
                "Three readouts: particles, [measured pressure|pressure], mean speed.",
            ],
            served_by: &["function showValues("],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "[Drag|Move] the piston in the box, or [use|press] the left and right arrow keys, and watch the pressure.",
                "The piston follows mouse or finger and the keys ArrowLeft and ArrowRight: less room, more [hits|pressure].",
            ],
            served_by: &["function setPiston(", "onPointer("],
            hint: "Left and Right | move the piston",
        },
        Ask {
            texts: &[
                "[Heat|Set the temperature] with the slider \"Temperature\" (5 to 100) or the up and down arrow keys.",
                "Temperature goes from 5 to 100 by slider, in steps of five by ArrowUp and ArrowDown.",
            ],
            served_by: &["onSlide(\"warmth\"", "function heatBy("],
            hint: "Up and Down | heat and cool",
        },
        Ask {
            texts: &[
                "\"Inject\" or I lets eight more particles in; \"Fresh filling\" [starts over|resets the box].",
                "[Press|Use] I or \"Inject\" for eight additional particles, \"Fresh filling\" to [begin|start] again.",
            ],
            served_by: &["onClick(\"inject\"", "onClick(\"fresh\""],
            hint: "I | lets more particles in",
        },
    ],
    stage: Stage::Canvas,
    readouts: &[("count", "Particles"), ("pressure", "Pressure"), ("speed", "Mean speed")],
    controls: &[
        Control::Button("inject", "Inject"),
        Control::Button("fresh", "Fresh filling"),
        Control::Slider("warmth", "Temperature", ["5", "100", "5", "{warmth}"]),
    ],
    script: include_str!("../scenes/gas.js"),
};
