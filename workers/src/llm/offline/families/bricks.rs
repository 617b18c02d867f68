//! The family `bricks`; its script is `scenes/bricks.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "bricks",
    topic: Topic::Games,
    night: false,
    titles: &["{s:a} behind the wall", "Break the {mood} wall", "Bricks and {s:b}", "The {mood} paddle"],
    openings: &[
        "[Build|Create|Make] a {mood} brick breaker for the browser in which some bricks hide {all} that are worth catching.",
        "[Write|Program] a {mood} game: a ball [knocks|takes] down a wall of {rows} rows of bricks, a paddle keeps it in play, and {all} fall out.",
        "I grew up with wall-breaking games; [make|give] me a {mood} one with {lives} lives, {rows} coloured rows and {all} as [treats|presents].",
    ],
    objects: &[
        ("cherry", "fruit"),
        ("gold ring", "ring"),
        ("ruby gem", "gem"),
        ("potion bottle", "bottle"),
        ("silver bell", "bell"),
        ("clover leaf", "leaf"),
        ("sugar heart", "heart"),
        ("toy rocket", "rocket"),
        ("treasure key", "key"),
        ("gold star", "star"),
    ],
    numbers: &[
        ("rows", 4, 6, 1),
        ("columns", 8, 11, 1),
        ("lives", 3, 5, 1),
        ("paddle", 84, 120, 6),
        ("pace", 3, 6, 1),
        ("giftPoints", 25, 60, 5),
    ],
    words: &[("mood", &["retro", "relaxed", "snappy", "pastel", "tea-break", "arcade", "homely"])],
    features: &[
        Ask {
            texts: &[
                "[Set up|Build] a wall of {rows} rows by {columns} columns, a colour for each row; higher rows [score|are worth] more.",
                "The wall has {rows} rows of {columns} bricks; the higher the row, the more points, in steps of ten.",
            ],
            served_by: &["PARAMS.rows", "function makeWall("],
            hint: "",
        },
        Ask {
            texts: &[
                "About a quarter of the bricks hide {all}, visible as a small [mark|sign]; broken, they [let|drop] it [fall|down].",
                "Some bricks [contain|carry] {all}, [hinted at by|shown as] a little outline, and release them when hit.",
            ],
            served_by: &["brick.gift", "function moveGifts("],
            hint: "",
        },
        Ask {
            texts: &[
                "Caught things [give|bring] {giftPoints} points each and are [announced|named] in the line below.",
                "Whoever catches one with the paddle [gets|earns] {giftPoints} extra points.",
            ],
            served_by: &["PARAMS.giftPoints"],
            hint: "",
        },
        Ask {
            texts: &[
                "The paddle of {paddle} units steers the ball: the farther from its middle it hits, the [flatter|more slanted] it leaves.",
                "Where the ball meets the paddle ({paddle} units wide) [decides|sets] its new direction; the speed is kept.",
            ],
            served_by: &["function bouncePaddle(", "PARAMS.paddle"],
            hint: "",
        },
        Ask {
            texts: &[
                "When the wall is gone, the next level [comes|starts] with a new wall and a [faster|quicker] ball.",
                "Clearing all bricks leads to the next level, where the ball is [a little|somewhat] faster.",
            ],
            served_by: &["function nextLevel("],
            hint: "",
        },
        Ask {
            texts: &[
                "There are {lives} lives; [after|with] the last one the words \"Game over\" and the score appear.",
                "{lives} missed balls end the game, with the result [stated|given] in the picture and in the text below.",
            ],
            served_by: &["PARAMS.lives", "function loseBall("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Show|Display] score, lives and level at all times.",
                "Readouts for points, remaining lives and level [stay|are] visible.",
            ],
            served_by: &["function showCounts("],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "Move the paddle by [mouse or finger|pointer] or with the left and right arrow keys.",
                "The paddle follows the pointer; ArrowLeft and ArrowRight [shift|move] it too.",
            ],
            served_by: &["function movePaddle(", "onPointer("],
            hint: "Left and Right | move the paddle",
        },
        Ask {
            texts: &[
                "[Launch|Serve] the ball with Space, a click on the field or \"Launch\"; N or \"New game\" [starts|begins] again.",
                "A resting ball [flies off|starts] on Space, on a click, or by \"Launch\"; \"New game\" (N) builds a new wall.",
            ],
            served_by: &["onClick(\"launch\"", "onClick(\"again\""],
            hint: "Space | launches the ball",
        },
        Ask {
            texts: &[
                "[Choose|Set] the pace from 1 to 10 with a slider; it [counts|holds] from the next serve.",
                "The slider \"Pace\" (1 to 10) [makes|sets] the next ball slower or faster.",
            ],
            served_by: &["onSlide(\"pace\""],
            hint: "Pace | sets the speed of the next ball",
        },
    ],
    stage: Stage::Canvas,
    readouts: &[("score", "Score"), ("lives", "Lives"), ("level", "Level")],
    controls: &[
        Control::Button("launch", "Launch"),
        Control::Button("again", "New game"),
        Control::Slider("pace", "Pace", ["1", "10", "1", "{pace}"]),
    ],
    script: include_str!("../scenes/bricks.js"),
};
