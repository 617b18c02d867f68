//! The family `projectile`; its script is `scenes/projectile.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "projectile",
    topic: Topic::Science,
    night: false,
    titles: &["The {a} range", "How far flies {an:a}?", "Throwing lab on {world}", "{a} against {b}"],
    openings: &[
        "[Build|Create] a [throwing laboratory|projectile laboratory] on {world}, where {all} are [thrown|launched] \
         across a field of {fieldMetres} metres and [follow|obey] the real equations of motion.",
        "[Make|Write|Program] an interactive [experiment|lab page] about [ballistic flight|projectile motion]: {all} \
         [fly|are hurled] over a field {fieldMetres} metres long on {world}, with gravity and the drag of the air.",
        "How far does {an:a} fly, and why does {an:b} come down [earlier|elsewhere]? [Implement|Build] a web page \
         that answers this on {world} by letting people [throw|launch] both over {fieldMetres} metres.",
    ],
    objects: &[
        ("cannon ball", "ball"),
        ("tennis ball", "ball"),
        ("dart", "bolt"),
        ("water balloon", "drop"),
        ("paper star", "star"),
        ("maple leaf", "leaf"),
        ("tea cup", "cup"),
        ("straw hat", "hat"),
        ("iron weight", "weight"),
        ("toy rocket", "rocket"),
        ("apple", "fruit"),
    ],
    numbers: &[
        ("fieldMetres", 60, 120, 10),
        ("angle", 30, 60, 5),
        ("power", 20, 32, 2),
        ("gravity", 60, 110, 5),
        ("drag", 2, 6, 1),
    ],
    words: &[(
        "world",
        &["a test meadow", "a far planet", "a windless beach", "an old airfield", "a school yard"],
    )],
    features: &[
        Ask {
            texts: &[
                "[Integrate|Compute] each flight step by step with gravity of {gravity} tenths of a metre per second \
                 squared and [quadratic air drag|drag that grows with the square of the speed].",
                "Gravity here is {gravity}/10 m/s²; the air [slows|brakes] everything in proportion to its squared \
                 speed, and the motion is [integrated|worked out] in [small|short] time steps.",
            ],
            served_by: &["function fly(", "PARAMS.gravity"],
            hint: "",
        },
        Ask {
            texts: &[
                "[Take|Use] {all} in turn: each kind has its own [air resistance|drag], so equal throws [land|end] at \
                 different [places|distances].",
                "The things to throw are {all}, one after the other; [lighter ones|they] [suffer|feel] the air \
                 differently, which [shows in|changes] their curves.",
            ],
            served_by: &["function dragOf(", "things.length"],
            hint: "",
        },
        Ask {
            texts: &[
                "Draw a [dotted|dashed] trail behind every flight and keep the last [six|half dozen] trails for \
                 comparison, in the colour of [the thing|what flew].",
                "Earlier flights stay visible as [dotted curves|trails of dots], up to six of them, so that angles can \
                 be [compared|weighed against each other].",
            ],
            served_by: &["function drawPath(", "trails.slice(-6)"],
            hint: "",
        },
        Ask {
            texts: &[
                "A round target stands [somewhere|at a random distance] on the ground; a hit [lights it up|makes it \
                 glow] and [moves it|sends it] to a new [place|spot].",
                "[Place|Set] a target at a random distance; whoever [lands|drops] close enough scores, the target \
                 [flashes|blinks] and reappears elsewhere.",
            ],
            served_by: &["function drawTarget(", "function placeTarget("],
            hint: "",
        },
        Ask {
            texts: &[
                "Mark the ground with [five|equal] distances in metres, [labelled|written] under the ticks.",
                "A ruler [along|on] the ground, labelled in metres, lets people [read off|estimate] distances.",
            ],
            served_by: &["function drawField("],
            hint: "",
        },
        Ask {
            texts: &[
                "After each landing, [report|show] range and greatest height in metres, and [say|tell] by how much \
                 the target was missed.",
                "[Display|Print] the distance and the [top|peak] height of the last throw; a sentence below [names|\
                 tells] the miss in metres and [whether it was|if it fell] short or far.",
            ],
            served_by: &["function land("],
            hint: "",
        },
        Ask {
            texts: &[
                "The launcher [is drawn as a barrel|has a barrel] that [turns with|follows] the chosen angle and grows \
                 with the power; [above it waits|it shows] the next thing.",
                "Let the barrel of the launcher [mirror|reflect] angle and power, and [show|float] the next {a} or {b} \
                 above it.",
            ],
            served_by: &["function drawLauncher("],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "[Press|Use] Space or the button \"Throw\" to launch the [next thing|thing whose turn it is].",
                "Launch with the \"Throw\" button or the space bar; several things may [be in the air|fly] at once.",
            ],
            served_by: &["onClick(\"throw\"", "function launch("],
            hint: "Space | throws the next thing",
        },
        Ask {
            texts: &[
                "[Aim|Set the angle] with the slider \"Angle\" (5 to 85 degrees), with the up and down arrow keys, or \
                 by [clicking|tapping] where the barrel should point.",
                "Choose the angle between 5 and 85 degrees: by slider, by [arrow keys|ArrowUp and ArrowDown], or with \
                 a click on the field [towards which the barrel turns|that the barrel then points at].",
            ],
            served_by: &["onSlide(\"angle\"", "function turn("],
            hint: "Up and Down | change the angle",
        },
        Ask {
            texts: &[
                "[Adjust|Change] the speed of launch by the slider \"Power\" from 10 to 45 metres per second; \"Clear \
                 field\" [wipes|removes] trails and counts.",
                "A slider \"Power\" (10 to 45 m/s) sets how hard things are thrown, and \"Clear field\" [starts over|\
                 begins anew].",
            ],
            served_by: &["onSlide(\"power\"", "onClick(\"clear\""],
            hint: "Power | sets how hard things are thrown",
        },
    ],
    stage: Stage::Canvas,
    readouts: &[
        ("next", "Next"),
        ("range", "Last range"),
        ("height", "Peak height"),
        ("throws", "Throws"),
        ("hits", "Hits"),
    ],
    controls: &[
        Control::Button("throw", "Throw"),
        Control::Button("clear", "Clear field"),
        Control::Slider("angle", "Angle", ["5", "85", "1", "{angle}"]),
        Control::Slider("power", "Power", ["10", "45", "1", "{power}"]),
    ],
    script: include_str!("../scenes/projectile.js"),
};
