//! The family `pond`; its script is `scenes/pond.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "pond",
    topic: Topic::Animation,
    night: false,
    titles: &["Rain on the {garden} pond", "{s:a} and rain", "The {garden} pond", "Drops, {all}"],
    openings: &[
        "[Build|Create|Make] a calm animation of rain on {an:garden} pond where {all} [float|drift] and [rock|bob] with every ring.",
        "[Write|Program] a [rainy|meditative] scene: seen from above, drops fall on {an:garden} pond and their rings [nudge|push] floating {all}.",
        "When it rains on {an:garden} pond, each drop [draws|makes] a ring; [show|animate] that, with {all} [drifting|afloat] among water lilies.",
    ],
    objects: &[
        ("paper boat", "boat"),
        ("maple leaf", "leaf"),
        ("rubber duck", "bird"),
        ("lotus flower", "flower"),
        ("glass bottle", "bottle"),
        ("straw hat", "hat"),
        ("paper lantern", "lantern"),
        ("koi", "fish"),
        ("apple", "fruit"),
        ("beach ball", "ball"),
    ],
    numbers: &[("rain", 3, 8, 1), ("floaters", 4, 8, 1), ("pads", 6, 14, 2)],
    words: &[
        ("garden", &["temple", "old garden", "village", "forest", "winter", "palace", "hidden"]),
        ("windFrom", &["left", "right"]),
    ],
    features: &[
        Ask {
            texts: &[
                "Each drop falls as a [thin|short] line and [becomes|turns into] a ring that [widens|grows] and fades.",
                "Where a drop [lands|hits], a ring [opens|spreads], slightly flattened by the [view|perspective], and [vanishes|dies away].",
            ],
            served_by: &["function drawRing(", "function splash("],
            hint: "",
        },
        Ask {
            texts: &[
                "{floaters} things float: {all} in turn, each with a [faint|soft] shadow and its own [slow|gentle] sway.",
                "[Let|Have] {floaters} things drift on the water ({all}), [swaying|tilting] to and fro above [their|a] shadow.",
            ],
            served_by: &["PARAMS.floaters", "function drawFloater("],
            hint: "",
        },
        Ask {
            texts: &[
                "Rings push what floats nearby away from their centre, the [nearer|closer] the stronger; friction [slows|stops] it again.",
                "A splash [moves|shoves] floating things within a radius of 130 units, and the water [brakes|calms] them afterwards.",
            ],
            served_by: &["function push("],
            hint: "",
        },
        Ask {
            texts: &[
                "Nothing floats out of the [picture|pond]: at the banks things [bounce|turn] back softly.",
                "The banks [hold|keep] everything in: floating things [rebound|come back] with less speed.",
            ],
            served_by: &["function moveFloater("],
            hint: "",
        },
        Ask {
            texts: &[
                "{pads} lily pads with a notch lie [still|at rest] on water with [slow|soft] bands of light.",
                "Decorate the water with {pads} notched lily pads and [faint|slow], moving stripes of reflected light.",
            ],
            served_by: &["PARAMS.pads", "function drawPad("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Count|Show the number of] fallen drops and visible rings.",
                "Two readouts: drops fallen [so far|since the start], rings [on the water|visible now].",
            ],
            served_by: &["function showCounts("],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "Click or tap the water to throw a stone: three rings [start|spread] one behind the other and [push|drive] everything away.",
                "A click on the pond [drops|throws in] a stone, which makes three [nested|successive] rings and a strong push; ArrowDown throws one [at random|somewhere].",
            ],
            served_by: &["onPointer(", "function throwStone("],
            hint: "Click the water | throws a stone",
        },
        Ask {
            texts: &[
                "[Call|Raise] a gust from the {windFrom} with the space bar or \"Gust\": for two seconds it [drives|carries] all things across.",
                "Space or the button \"Gust\" [brings|sends] wind from the {windFrom} for almost two seconds, which [sweeps|moves] whatever floats.",
            ],
            served_by: &["onClick(\"gust\"", "function blow("],
            hint: "Space | calls a gust of wind",
        },
        Ask {
            texts: &[
                "Make it [drizzle|drip] or pour with the slider \"Rain\" (0 to 20); \"Calm\" or C [starts over|resets the pond].",
                "The slider \"Rain\" goes from 0 (dry) to 20 (downpour), and \"Calm\" (key C) [clears|empties] the water.",
            ],
            served_by: &["onSlide(\"rain\"", "onClick(\"calm\""],
            hint: "Rain | from dry to downpour",
        },
    ],
    stage: Stage::Canvas,
    readouts: &[("fallen", "Drops fallen"), ("rings", "Rings")],
    controls: &[
        Control::Button("gust", "Gust"),
        Control::Button("calm", "Calm"),
        Control::Slider("rain", "Rain", ["0", "20", "1", "{rain}"]),
    ],
    script: include_str!("../scenes/pond.js"),
};
