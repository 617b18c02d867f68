//! The family `kaleidoscope`; its script is `scenes/kaleidoscope.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "kaleidoscope",
    topic: Topic::Animation,
    night: false,
    titles: &["Kaleidoscope of {all}", "The {style} mirror", "Turning {s:a}", "{a} in {style} mirrors"],
    openings: &[
        "[Build|Create|Make] {an:style} kaleidoscope in which {all} tumble and mirrors repeat them around the centre.",
        "[Write|Program] a web page that works like {an:style} kaleidoscope: a few {all}, {half} pairs of mirrors, and patterns that never [quite repeat|come back].",
        "I remember a cardboard tube full of {all}; [rebuild|recreate] it as {an:style} kaleidoscope that turns by itself and [can be painted in|takes my own strokes].",
    ],
    objects: &[
        ("glass gem", "gem"),
        ("blossom", "flower"),
        ("feather", "leaf"),
        ("glass ring", "ring"),
        ("sea shell", "shell"),
        ("tin star", "star"),
        ("paper heart", "heart"),
        ("glass drop", "drop"),
        ("brass gear", "gear"),
        ("amber beetle", "bug"),
    ],
    numbers: &[("half", 3, 6, 1), ("pieces", 8, 14, 1), ("spin", 10, 35, 5)],
    words: &[(
        "style",
        &["velvet", "carnival", "church-window", "seaside", "winter", "paper-cut", "jewel-box"],
    )],
    features: &[
        Ask {
            texts: &[
                "[Divide|Split] the picture into {half} pairs of wedges; every second one is a mirror image, so that seams [match|close].",
                "There are {half} pairs of wedges around the centre, alternately plain and mirrored, [clipped|cut] exactly at their [edges|seams].",
            ],
            served_by: &["function drawWedge(", "ctx.clip()"],
            hint: "",
        },
        Ask {
            texts: &[
                "{pieces} pieces ({all}) [tumble|turn over], drift around the centre and [breathe|move] in and out.",
                "In the wedge move {pieces} pieces, namely {all}; each [has|keeps] its own size, colour and [rate of|speed of] tumbling.",
            ],
            served_by: &["PARAMS.pieces", "function drawPiece("],
            hint: "",
        },
        Ask {
            texts: &[
                "The whole pattern turns slowly, at {spin} hundredths of a radian per second [at first|to begin with].",
                "Let everything rotate about the centre, [starting|beginning] with {spin}/100 rad/s.",
            ],
            served_by: &["PARAMS.spin"],
            hint: "",
        },
        Ask {
            texts: &[
                "Strokes painted by the visitor [appear|show up] in all wedges at once and [fade|pale] over about eight seconds.",
                "What people paint is mirrored [everywhere|into each wedge] too and [slowly disappears|loses its colour with time].",
            ],
            served_by: &["function paint(", "stroke.life"],
            hint: "",
        },
        Ask {
            texts: &[
                "Pieces are translucent, so overlaps [mix|give new] colours; a [small|fine] dot marks the centre.",
                "[Use|Give the pieces] slight transparency for richer overlaps, and mark the axis with a small [dot|disc].",
            ],
            served_by: &["fade(piece.color"],
            hint: "",
        },
        Ask {
            texts: &[
                "[Show|Display] the numbers of pieces, mirrors and strokes [made|begun].",
                "Below stand how many pieces, wedges and strokes [there are|make up the picture].",
            ],
            served_by: &["function showCounts("],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "[Drag|Draw] with mouse or finger to paint; each stroke [takes|gets] the next colour of the palette.",
                "Press and drag anywhere to paint [dots|beads] of colour that all wedges [share|repeat].",
            ],
            served_by: &["onPointer(", "painting = true"],
            hint: "Drag on the picture | paints in all wedges",
        },
        Ask {
            texts: &[
                "[Press|Use] S or \"Shake\" to throw the pieces into new places; \"Wipe\" [removes|deletes] all strokes.",
                "\"Shake\" (or S) [rearranges|scatters] the pieces, and \"Wipe\" [clears|takes away] what was painted.",
            ],
            served_by: &["onClick(\"shake\"", "onClick(\"wipe\""],
            hint: "S | shakes the pieces",
        },
        Ask {
            texts: &[
                "[Speed up|Change] the turning with the left and right arrow keys, and set 2 to 8 pairs of wedges by the slider \"Pairs of mirrors\".",
                "ArrowLeft and ArrowRight [alter|change] speed and direction of the rotation; a slider \"Pairs of mirrors\" [runs|goes] from 2 to 8.",
            ],
            served_by: &["function rotateBy(", "onSlide(\"mirrors-slider\""],
            hint: "Left and Right | turn it slower or faster",
        },
    ],
    stage: Stage::Canvas,
    readouts: &[("pieces", "Pieces"), ("mirrors", "Wedges"), ("drawn", "Strokes")],
    controls: &[
        Control::Button("shake", "Shake"),
        Control::Button("wipe", "Wipe"),
        Control::Slider("mirrors-slider", "Pairs of mirrors", ["2", "8", "1", "{half}"]),
    ],
    script: include_str!("../scenes/kaleidoscope.js"),
};
