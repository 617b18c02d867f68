//! The family `orbits`; its script is `scenes/orbits.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "orbits",
    topic: Topic::Science,
    night: true,
    titles: &[
        "{s:a} around a {color} star",
        "The {color} system",
        "Falling past the {color} star",
        "{a} and {b} in orbit",
    ],
    openings: &[
        "[Build|Create] a model of a {color} star around which {all} [orbit|revolve] by nothing but gravity.",
        "[Make|Write|Program] an orrery without rails: {all} [circle|travel around] a {color} star because they [keep falling|fall] past it.",
        "Why do things in orbit not fall down? [Answer|Show] it with a {color} star, {all} and [real|true] gravitation on a web page.",
    ],
    objects: &[
        ("ringed planet", "planet"),
        ("comet", "comet"),
        ("moonlet", "moon"),
        ("asteroid", "gem"),
        ("space station", "ring"),
        ("space probe", "rocket"),
        ("lost crate", "crate"),
        ("ice ball", "ball"),
        ("dwarf star", "star"),
        ("old satellite", "gear"),
    ],
    numbers: &[("bodies", 4, 7, 1), ("mass", 6, 12, 1), ("trail", 50, 110, 10)],
    words: &[("color", &["small", "young", "lonely", "red", "double-size", "distant", "steady"])],
    features: &[
        Ask {
            texts: &[
                "Every body is [pulled|attracted] by the star with a force that falls with the square of the distance; [integrate|work out] the motion in four steps per frame.",
                "Gravity follows the inverse-square law; positions are [advanced|computed] in four small steps for each frame, so orbits [close|stay put].",
            ],
            served_by: &["function move("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Start|Begin] with {bodies} bodies ({all}) at different distances, each with nearly the speed of a circular orbit.",
                "{bodies} bodies exist at first, taken in turn from {all}; [near|inner] ones must be faster than [far|outer] ones.",
            ],
            served_by: &["PARAMS.bodies", "function circularSpeed("],
            hint: "",
        },
        Ask {
            texts: &[
                "Each body [draws|leaves] a trail of its last {trail} positions, [fading|paling] towards the past.",
                "[Show|Keep] the recent path of every body, {trail} points long, as a line that [fades out|grows transparent].",
            ],
            served_by: &["PARAMS.trail", "function drawBody("],
            hint: "",
        },
        Ask {
            texts: &[
                "What [falls|drops] into the star or flies too far is gone and [counted|noted] as lost.",
                "[Remove|Take out] bodies that hit the star or escape, and [count|add up] the losses.",
            ],
            served_by: &["lost += "],
            hint: "",
        },
        Ask {
            texts: &[
                "The star [glows|shines] with a soft corona whose size [goes with|follows] its mass of {mass}.",
                "Draw the star with mass {mass} as a disc with a [radial glow|halo], before a [field|sprinkling] of faint points of light.",
            ],
            served_by: &["function drawStar(", "PARAMS.mass"],
            hint: "",
        },
        Ask {
            texts: &[
                "[Display|Show] the number of bodies, years passed and bodies lost.",
                "Readouts below: bodies, years (with one decimal), [losses|lost ones].",
            ],
            served_by: &["function showCounts("],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "Click [anywhere|a place] to start another body there on a [roughly|nearly] circular orbit.",
                "A click [puts|launches] one more body at that distance with just about the speed for a circle; at most sixteen [stay|exist].",
            ],
            served_by: &["onPointer(", "function launch("],
            hint: "Click the sky | starts another body there",
        },
        Ask {
            texts: &[
                "[Press|Use] D or \"Disturb\" to change all speeds by chance, and \"Restart\" for a fresh system.",
                "\"Disturb\" (D) [jolts|perturbs] every body, so that ellipses and escapes [appear|come about]; \"Restart\" [begins|sets up] anew.",
            ],
            served_by: &["onClick(\"disturb\"", "onClick(\"restart\""],
            hint: "D | disturbs all orbits",
        },
        Ask {
            texts: &[
                "[Change|Set] the star's mass from 2 to 20 by slider while everything [moves|runs], and zoom with the up and down arrow keys.",
                "The slider \"Mass of the star\" (2 to 20) acts at once on all orbits; ArrowUp and ArrowDown [magnify|zoom].",
            ],
            served_by: &["onSlide(\"mass\"", "function zoomBy("],
            hint: "Up and Down | zoom",
        },
    ],
    stage: Stage::Canvas,
    readouts: &[("bodies", "Bodies"), ("years", "Years"), ("lost", "Lost")],
    controls: &[
        Control::Button("disturb", "Disturb"),
        Control::Button("restart", "Restart"),
        Control::Slider("mass", "Mass of the star", ["2", "20", "1", "{mass}"]),
    ],
    script: include_str!("../scenes/orbits.js"),
};
