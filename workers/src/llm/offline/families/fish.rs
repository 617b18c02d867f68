//! The family `fish`; its script is `scenes/fish.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "fish",
    topic: Topic::Animation,
    night: false,
    titles: &["The {a} lagoon", "A school of {all}", "Under the {tide} tide", "{a} and company"],
    openings: &[
        "[Build|Create|Make] an animated [underwater scene|aquarium|piece of sea] in which a school of {all} \
         [moves|swims|travels] as one [living body|crowd|cloud], without any swimmer being told where the whole goes.",
        "[Write|Program|Implement] a calm [web page|little web world] that shows how {all} [school|swim together]: \
         each one only watches its neighbours, and the [shape of the school|pattern] comes out of that.",
        "I would like to watch {all} [glide|swim] through {an:tide} tide on a web page; [please build|make] that \
         aquarium and let visitors [feed|disturb] the [school|swimmers].",
    ],
    objects: &[
        ("clownfish", "fish-round"),
        ("angelfish", "fish-tall"),
        ("swordfish", "fish-slim"),
        ("catfish", "fish"),
        ("sea star", "star"),
        ("sea snail", "shell"),
        ("jellyfish", "mushroom"),
        ("goldfish", "fish-round"),
        ("butterfly fish", "fish-tall"),
        ("needlefish", "fish-slim"),
    ],
    numbers: &[("count", 24, 48, 4), ("crumbs", 4, 9, 1), ("speed", 60, 105, 5), ("together", 4, 9, 1)],
    words: &[("tide", &["slow", "green", "quiet", "evening", "northern", "warm"])],
    features: &[
        Ask {
            texts: &[
                "Start with {count} swimmers [spread over|scattered across] the water, [shared out|divided] evenly \
                 among {all}, each kind with its own [outline|silhouette] and colour.",
                "The school has exactly {count} members at first; {all} [take turns|alternate] in it and are [easy \
                 to tell apart|recognisable] by shape and colour.",
            ],
            served_by: &["PARAMS.count", "makeSwimmer("],
            hint: "",
        },
        Ask {
            texts: &[
                "Move every swimmer by three [rules|habits]: keep a small distance, [match|copy] the heading of \
                 close neighbours, and [drift|pull] towards the middle of them.",
                "Use flocking [rules|behaviour] for the motion ([separation, alignment and cohesion|staying apart, \
                 turning together, staying close]), [recomputed|applied] in each frame.",
            ],
            served_by: &["function steer("],
            hint: "",
        },
        Ask {
            texts: &[
                "Nobody leaves the [picture|tank]: near a wall a swimmer [bends away|turns back] smoothly \
                 [instead of bouncing|and never bounces hard].",
                "Let the walls of the tank push [softly|gently], so that turns [stay round|look natural] and no \
                 {a} ever [disappears|vanishes] beyond the edge.",
            ],
            served_by: &["function avoidWalls("],
            hint: "",
        },
        Ask {
            texts: &[
                "Food [sinks|falls] slowly, attracts whoever is [nearby|close enough], and [is gone|disappears] when \
                 it has been eaten.",
                "When there are crumbs in the water, [close|neighbouring] swimmers [leave the school|break off] to \
                 [snap them up|eat them]; leftovers [settle on|sink to] the ground.",
            ],
            served_by: &["function nearestCrumb(", "function eat("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Rising|Small] air bubbles, [slanting|soft] beams of light and [swaying|waving] water plants [fill|\
                 decorate] the background.",
                "Give the water some depth: [a vertical gradient|darker tones towards the top], plants that [sway|\
                 bend] and [strings of bubbles|bubbles on their way up].",
            ],
            served_by: &["function drawWater(", "function drawWeed("],
            hint: "",
        },
        Ask {
            texts: &[
                "Point each {a} in the direction it swims, with a [slight beat|faint wobble] of the body.",
                "All bodies [turn|rotate] with their direction of travel and [pulse|beat] a little while swimming.",
            ],
            served_by: &["function drawSwimmer("],
            hint: "",
        },
        Ask {
            texts: &[
                "Below the water, [count|display] the swimmers, the crumbs that are [left|still there] and those \
                 already eaten.",
                "[Readouts|Three figures] under the scene [tell|state] how many swim, how much food [floats|is \
                 around] and how much was eaten.",
            ],
            served_by: &["function showCounts("],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "Click or tap [anywhere in the water|a spot in the tank]: {crumbs} crumbs of food [fall|are dropped] \
                 there; the F key or the button \"Feed\" [does the same|drops them] at a random place.",
                "Feed the {all} by [clicking|pressing on] the water ([{crumbs} crumbs per click|each click gives \
                 {crumbs} crumbs]), with the \"Feed\" button, or with F.",
            ],
            served_by: &["onPointer(", "onClick(\"feed\""],
            hint: "Click the water | drops {crumbs} crumbs of food",
        },
        Ask {
            texts: &[
                "[Press|Hit] S or the button \"Scatter\" to [frighten|startle] the school: for [a second or two|a \
                 moment] everyone [flees from|avoids] everyone.",
                "The \"Scatter\" button and the S key [scare|alarm] all swimmers, who [dash apart|burst apart] and \
                 then [find together|gather] again.",
            ],
            served_by: &["onClick(\"scatter\"", "function scatter("],
            hint: "S | scares the school apart",
        },
        Ask {
            texts: &[
                "[Drag|Move] the slider \"Togetherness\" (0 to 10) to [set|choose] how strongly the swimmers are \
                 drawn to each other: [low|small] values [dissolve|loosen] the school, high ones make it a ball.",
                "Change the school's cohesion with a slider [named|called] \"Togetherness\" that runs from 0 to 10 \
                 and [acts at once|takes effect immediately].",
            ],
            served_by: &["onSlide(\"together\"", "id=\"together\""],
            hint: "Togetherness | ties the school or lets it fall apart",
        },
    ],
    stage: Stage::Canvas,
    readouts: &[("swimmers", "Swimmers"), ("food", "Crumbs in the water"), ("eaten", "Eaten")],
    controls: &[
        Control::Button("feed", "Feed"),
        Control::Button("scatter", "Scatter"),
        Control::Slider("together", "Togetherness", ["0", "10", "1", "{together}"]),
    ],
    script: include_str!("../scenes/fish.js"),
};
