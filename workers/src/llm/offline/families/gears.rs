//! The family `gears`; its script is `scenes/gears.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "gears",
    topic: Topic::Animation,
    night: false,
    titles: &["The {place} gears", "A train for {an:a}", "Wheels of the {place}", "{a} and {b} in gear"],
    openings: &[
        "[Build|Create] an animated train of {gears} meshing gears, as it could [turn|stand] in {an:place}, whose hubs [carry|show] {all}.",
        "[Make|Write|Program] a web page with the gearing of {an:place}: {gears} wheels, each driving the next, [decorated with|marked by] {all}.",
        "Show how gears [pass on|trade] speed: {gears} of them in a [row|train] from {an:place}, with {all} on their [discs|faces], all [turning|moving] at the right ratio.",
    ],
    objects: &[
        ("bell", "bell"),
        ("clover leaf", "leaf"),
        ("compass rose", "star"),
        ("water drop", "drop"),
        ("brass key", "key"),
        ("sunflower", "flower"),
        ("crown jewel", "gem"),
        ("moon dial", "moon"),
        ("anvil", "weight"),
        ("swallow", "bird"),
    ],
    numbers: &[("gears", 5, 8, 1), ("rpm", 6, 18, 2), ("teethMin", 10, 16, 2)],
    words: &[(
        "place",
        &["old clock", "water mill", "music box", "lock gate", "printing shop", "bell tower", "toy factory"],
    )],
    features: &[
        Ask {
            texts: &[
                "[Draw|Make] {gears} gears as vector shapes with real teeth: between {teethMin} and sixteen more than that, of [equal|the same] size on all of them.",
                "There are {gears} gears in SVG; each has at least {teethMin} teeth, and the teeth of all gears are [equally large|of one size], so big wheels have [more|many].",
            ],
            served_by: &["PARAMS.gears", "function outline("],
            hint: "",
        },
        Ask {
            texts: &[
                "Teeth [must mesh|fall into gaps]: neighbours touch at their pitch circles, and a tooth of one [meets|faces] a gap of the other.",
                "[Place|Set] each gear so that it [touches|meshes with] the one before, tooth into gap, not tooth [on|against] tooth.",
            ],
            served_by: &["function mesh("],
            hint: "",
        },
        Ask {
            texts: &[
                "Neighbours turn in opposite directions, with speeds in the [inverse ratio|opposite proportion] of their teeth.",
                "The speed of every gear follows from [the first|the driving] one by the ratio of teeth; the sense of turning [alternates|changes] from wheel to wheel.",
            ],
            served_by: &["function speedOf("],
            hint: "",
        },
        Ask {
            texts: &[
                "Each hub [bears|carries] one of {all} that [turns with|rotates along with] its gear, so that slow and fast wheels are [easy to compare|told apart].",
                "[Put|Engrave] {all} on the hubs in turn; they rotate with the wheels and [make|let] speed [visible|be seen].",
            ],
            served_by: &["gear.thing.path"],
            hint: "",
        },
        Ask {
            texts: &[
                "The whole train is scaled to [fill|fit] the picture, however long it [gets|is].",
                "[Fit|Scale] the drawing so that all {gears} wheels are [in view|visible] at any size of the window.",
            ],
            served_by: &["function fitTrain("],
            hint: "",
        },
        Ask {
            texts: &[
                "For the [chosen|selected] gear, show its number, teeth, ratio to the first gear and its speed in rpm; [count|add up] the turns of the first one.",
                "Readouts give teeth, [transmission ratio|ratio] and revolutions per minute of the gear that is [selected|picked], besides the turns of the driver.",
            ],
            served_by: &["function showGear(", "show(\"turns\""],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "Click a gear, or [walk|step] with the left and right arrow keys, to [select|choose] it; a [thick|bold] outline marks it.",
                "Select gears by click or with ArrowLeft and ArrowRight; the selected one [gets|wears] a bold outline and [its data|its figures] are shown.",
            ],
            served_by: &["function choose(", "stage.addEventListener(\"click\""],
            hint: "Click a gear | shows its teeth and speed",
        },
        Ask {
            texts: &[
                "[Set|Change] the speed of the first gear between 0 and 60 rpm by the slider \"Driver speed\" or the up and down arrow keys.",
                "The driver runs at 0 to 60 revolutions per minute: [use|drag] the slider \"Driver speed\", or ArrowUp and ArrowDown in steps of two.",
            ],
            served_by: &["onSlide(\"rpm\"", "function setSpeed("],
            hint: "Up and Down | change the speed",
        },
        Ask {
            texts: &[
                "\"Reverse\" or R turns everything the other way, and \"New train\" [builds|draws] gears with other [numbers of teeth|teeth].",
                "[Reverse|Turn round] the motion with R or the \"Reverse\" button; \"New train\" [makes|assembles] another set of wheels.",
            ],
            served_by: &["onClick(\"reverse\"", "onClick(\"rebuild\""],
            hint: "R | reverses all gears",
        },
    ],
    stage: Stage::Svg,
    readouts: &[
        ("gear", "Gear"),
        ("teeth", "Teeth"),
        ("ratio", "Ratio to first"),
        ("turning", "Speed"),
        ("turns", "Turns of first"),
    ],
    controls: &[
        Control::Button("reverse", "Reverse"),
        Control::Button("rebuild", "New train"),
        Control::Slider("rpm", "Driver speed", ["0", "60", "1", "{rpm}"]),
    ],
    script: include_str!("../scenes/gears.js"),
};
