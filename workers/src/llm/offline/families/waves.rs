//! The family `waves`; its script is `scenes/waves.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "waves",
    topic: Topic::Science,
    night: false,
    titles: &[
        "Where waves of {s:a} meet",
        "{a} and {b} interfere",
        "Ripples in {an:place}",
        "The {place} waves",
    ],
    openings: &[
        "[Build|Create] an interactive picture of interfering waves in {an:place}, sent out by {sources} sources that look like {all}.",
        "[Make|Write|Program] a page on interference: {sources} sources, shown as {all}, make waves in {an:place}, and one sees where they [add up|cancel].",
        "Two waves can [make|give] silence. [Show|Demonstrate] it in {an:place} with {sources} movable sources, drawn as {all}, and a float that [measures|follows] the water.",
    ],
    objects: &[
        ("bell", "bell"),
        ("water drop", "drop"),
        ("buoy", "ball"),
        ("frog", "mole"),
        ("duckling", "bird"),
        ("tin cup", "cup"),
        ("tuning fork", "key"),
        ("rubber boat", "boat"),
        ("tambourine", "ring"),
        ("sea shell", "shell"),
    ],
    numbers: &[("sources", 2, 4, 1), ("wavelength", 36, 60, 4), ("speed", 3, 7, 1)],
    words: &[(
        "place",
        &["ripple tank", "quiet basin", "harbour model", "glass trough", "bath tub", "test pool"],
    )],
    features: &[
        Ask {
            texts: &[
                "[Colour|Paint] every point of the field by the sum of all waves there: crests in one colour, troughs in another, rest in the colour of the [panel|background].",
                "The sum of the waves decides the colour of each point: one [hue|tint] for crests, another for troughs, and the more [extreme|marked] the stronger.",
            ],
            served_by: &["function drawField(", "function heightAt("],
            hint: "",
        },
        Ask {
            texts: &[
                "Waves [weaken|get lower] with distance from their source and [travel|run] outwards at speed {speed}.",
                "Each wave runs outwards (speed {speed}) and [loses|drops in] height the farther it [gets|has come].",
            ],
            served_by: &["PARAMS.speed"],
            hint: "",
        },
        Ask {
            texts: &[
                "{sources} sources, marked by {all} in [round badges|discs], stand at the left at [first|the start].",
                "At the start, {sources} sources stand one above the other; [badges|discs] with {all} mark them, the chosen one with a bold [rim|ring].",
            ],
            served_by: &["PARAMS.sources", "function drawSource("],
            hint: "",
        },
        Ask {
            texts: &[
                "A float on a [vertical|upright] line rides up and down with the wave at its place.",
                "[Put|Place] a measuring float in the field: its height [shows|follows] the sum of the waves there [at each moment|all the time].",
            ],
            served_by: &["function drawMeter("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Show|Display] the number of sources, their phase and the level at the float with two decimals.",
                "Readouts [tell|give]: how many sources, in equal or opposed phase, and the [present|current] level at the float.",
            ],
            served_by: &["function showValues("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Compute|Draw] the field on a coarse grid of 128 by 80 points and scale it up, so that it [stays|runs] smooth on slow machines.",
                "For speed, the field is [computed|sampled] at 128 by 80 points and [smoothly|softly] enlarged.",
            ],
            served_by: &["const COLUMNS = 128"],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "[Drag|Move] the sources with mouse or finger, or the chosen one with the four arrow keys.",
                "Sources can be dragged; the last one [touched|taken] also [obeys|moves with] the arrow keys.",
            ],
            served_by: &["function drag(", "function moveChosen("],
            hint: "Drag a source | moves the pattern",
        },
        Ask {
            texts: &[
                "[Press|Use] Space or \"Swap phase\" so that every second source swings the [other|opposite] way.",
                "\"Swap phase\" or the space bar [inverts|reverses] every second source; \"Reset\" [brings|puts] everything back.",
            ],
            served_by: &["onClick(\"swap\"", "function swapPhase("],
            hint: "Space | turns every second source round",
        },
        Ask {
            texts: &[
                "Click on free [water|space] to set the float there, and choose the wavelength from 20 to 90 by slider.",
                "A click beside the sources [moves|places] the float; the slider \"Wavelength\" [runs|reaches] from 20 to 90.",
            ],
            served_by: &["function press(", "onSlide(\"wavelength\""],
            hint: "Click the water | puts the float there",
        },
    ],
    stage: Stage::Canvas,
    readouts: &[("sources", "Sources"), ("phase", "Phase"), ("level", "Level at float")],
    controls: &[
        Control::Button("swap", "Swap phase"),
        Control::Button("home", "Reset"),
        Control::Slider("wavelength", "Wavelength", ["20", "90", "2", "{wavelength}"]),
    ],
    script: include_str!("../scenes/waves.js"),
};
