//! The family `maze`; its script is `scenes/maze.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "maze",
    topic: Topic::Games,
    night: false,
    titles: &["{s:a} in the maze", "The {place} maze", "Out of the {place}", "Lost between {all}"],
    openings: &[
        "[Build|Create|Make] a maze game set in {an:place}: collect {treasures} things ({all}) and [find|walk] the way out.",
        "[Write|Program] a {columns} by {rows} maze inside {an:place}, different in each game, in which {all} lie about and must be [gathered|picked up] before leaving.",
        "[Design|Make] a calm puzzle: {an:place} with winding passages, {treasures} hidden things such as {s:a} and {s:b}, and one exit.",
    ],
    objects: &[
        ("rusty key", "key"),
        ("lantern", "lantern"),
        ("emerald", "gem"),
        ("bronze bell", "bell"),
        ("felt hat", "hat"),
        ("mushroom", "mushroom"),
        ("silver cup", "cup"),
        ("moon charm", "moon"),
        ("potion bottle", "bottle"),
        ("feather", "leaf"),
    ],
    numbers: &[
        ("columns", 12, 18, 2),
        ("rows", 8, 11, 1),
        ("treasures", 3, 6, 1),
        ("stepMillis", 90, 150, 20),
    ],
    words: &[(
        "place",
        &["castle cellar", "hedge garden", "old mine", "library", "pyramid", "abandoned ship", "ant hill"],
    )],
    features: &[
        Ask {
            texts: &[
                "[Generate|Carve] a perfect maze of {columns} by {rows} cells by random depth-first search: every cell is [reachable|connected], and there are no loops.",
                "The maze has {columns} columns and {rows} rows and is made anew by [backtracking|a random walk with backtracking], so that exactly one path joins any two cells.",
            ],
            served_by: &["function carve(", "PARAMS.columns"],
            hint: "",
        },
        Ask {
            texts: &[
                "{treasures} things lie at random places: {all}, each drawn in its own colour; [walking|stepping] onto one picks it up.",
                "[Hide|Scatter] {treasures} things taken from {all}; whoever enters their cell [gets|takes] them.",
            ],
            served_by: &["PARAMS.treasures", "function hideTreasure("],
            hint: "",
        },
        Ask {
            texts: &[
                "The exit at the lower right [glows|is marked] and only counts when [everything|all of it] has been found.",
                "Leaving is possible at the marked cell in the lower right corner, but only with all things; before, a sentence [says|tells] what is missing.",
            ],
            served_by: &["function reachGoal("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Draw|Make] walls, things and walker as SVG shapes, with the walker [gliding|sliding] from cell to cell.",
                "Everything is vector graphics; the walker moves [smoothly|in a glide] instead of jumping.",
            ],
            served_by: &["function drawWalls(", "walker.shownX"],
            hint: "",
        },
        Ask {
            texts: &[
                "[Count|Show] steps, things found and seconds; the clock [stops|rests] at the exit.",
                "Readouts tell steps, finds and time, until the [exit is reached|maze is left].",
            ],
            served_by: &["function showCounts("],
            hint: "",
        },
        Ask {
            texts: &[
                "Clicked ways are walked on their own, a cell every {stepMillis} ms.",
                "After a click, the walker follows the way by itself at {stepMillis} milliseconds per cell.",
            ],
            served_by: &["PARAMS.stepMillis", "function route("],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "Walk with the four arrow keys, one cell [per press|at a time]; walls [stop|block] you.",
                "The arrow keys move you cell by cell where a passage is open.",
            ],
            served_by: &["function walk("],
            hint: "Arrow keys | walk",
        },
        Ask {
            texts: &[
                "Click any cell to [walk|go] there by the shortest way.",
                "[Clicking|Tapping] a cell sends the walker there on the only path, found by breadth-first search.",
            ],
            served_by: &["onPointer(", "function route("],
            hint: "Click a cell | walks there",
        },
        Ask {
            texts: &[
                "H or \"Show way\" draws a dotted line to the next thing or the exit; \"New maze\" [makes|carves] another one.",
                "[Ask|Call] for help with \"Show way\" (H), which dots the path to the next thing, and start over with \"New maze\".",
            ],
            served_by: &["onClick(\"way\"", "onClick(\"new\""],
            hint: "H | shows the way",
        },
    ],
    stage: Stage::Svg,
    readouts: &[("steps", "Steps"), ("found", "Found"), ("clock", "Time")],
    controls: &[Control::Button("way", "Show way"), Control::Button("new", "New maze")],
    script: include_str!("../scenes/maze.js"),
};
