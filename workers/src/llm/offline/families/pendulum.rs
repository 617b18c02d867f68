//! The family `pendulum`; its script is `scenes/pendulum.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "pendulum",
    topic: Topic::Science,
    night: false,
    titles: &[
        "The {s:a} that never repeat",
        "Chaos in {an:place}",
        "Double pendulum with {an:b}",
        "Swinging {s:a}",
    ],
    openings: &[
        "[Build|Create] an interactive double pendulum for {an:place}: {an:a} hangs below {an:b}, and together they [move chaotically|never swing the same way twice].",
        "[Make|Write|Program] a web page for {an:place} that [demonstrates|shows] chaos with the simplest machine there is: two arms, carrying {all}.",
        "Two weights on two rods are enough for chaos. [Show|Demonstrate] that to the visitors of {an:place}, with {all} as weights, and let them [pull|throw] the arms about.",
    ],
    objects: &[
        ("brass bell", "bell"),
        ("iron weight", "weight"),
        ("lantern", "lantern"),
        ("billiard ball", "ball"),
        ("apple", "fruit"),
        ("iron key", "key"),
        ("teacup", "cup"),
        ("glass bottle", "bottle"),
        ("gear wheel", "gear"),
        ("paper star", "star"),
    ],
    numbers: &[
        ("upper", 70, 100, 5),
        ("lower", 70, 110, 5),
        ("massUpper", 2, 6, 1),
        ("massLower", 2, 6, 1),
        ("gravity", 8, 16, 1),
        ("damping", 0, 40, 10),
        ("trail", 160, 320, 20),
    ],
    words: &[(
        "place",
        &[
            "science museum",
            "physics classroom",
            "school fair",
            "waiting room",
            "clock maker's shop",
            "observatory",
        ],
    )],
    features: &[
        Ask {
            texts: &[
                "[Use|Solve] the exact equations of the double pendulum with arms of {upper} and {lower} units and masses {massUpper} and {massLower}, not a [fake|canned] swing.",
                "The arms are {upper} and {lower} units long, the weights {massUpper} and {massLower}; their motion [comes|follows] from the coupled equations of motion.",
            ],
            served_by: &["function accelerations(", "PARAMS.massUpper"],
            hint: "",
        },
        Ask {
            texts: &[
                "Integrate with the classical Runge-Kutta method in [several|six] small steps per frame, so that the energy [hardly drifts|stays sensible].",
                "[A fourth-order|A Runge-Kutta] integrator with sub-steps [keeps|makes] the simulation stable even when it swings [wildly|fast].",
            ],
            served_by: &["function integrate("],
            hint: "",
        },
        Ask {
            texts: &[
                "The lower weight [draws|leaves] a trail of {trail} points that [fades|thins] towards its end.",
                "[Trace|Record] the last {trail} positions of the lower weight as a line that [grows|becomes] fainter and thinner with age.",
            ],
            served_by: &["PARAMS.trail", "function drawTrail("],
            hint: "",
        },
        Ask {
            texts: &[
                "{all} serve as weights, drawn [upright along|turned with] their arms, the heavier the [larger|bigger].",
                "Draw {all} at the ends of the arms; size [tells|stands for] mass, and each [tilts|turns] with its arm.",
            ],
            served_by: &["function drawArms("],
            hint: "",
        },
        Ask {
            texts: &[
                "[Show|Display] the angle of the upper arm in degrees, the height of both weights and how often the lower arm has [flipped over|gone over the top].",
                "Readouts [give|tell] angle, height and the number of somersaults of the lower arm.",
            ],
            served_by: &["function showEnergy("],
            hint: "",
        },
        Ask {
            texts: &[
                "A [pale|faint] disc [marks|shows] the region that the pendulum can reach.",
                "Shade the circle that [bounds|limits] all possible positions.",
            ],
            served_by: &["PARAMS.upper + PARAMS.lower"],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "[Drag|Pull] either weight with mouse or finger; when let go, the pendulum [starts|swings] from there.",
                "Take hold of a weight, [move|place] it where you like and [release|drop] it: the motion [continues|begins] from rest.",
            ],
            served_by: &["function grab(", "function letGo("],
            hint: "Drag a weight | swings from where you let go",
        },
        Ask {
            texts: &[
                "Give it a push with \"Push\" or the left and right arrow keys; N or \"New start\" [begins|hangs it] at another angle.",
                "ArrowLeft, ArrowRight and \"Push\" [kick|strike] both arms; \"New start\" (N) [resets|restarts] the experiment.",
            ],
            served_by: &["onClick(\"push\"", "function push("],
            hint: "Left and Right | push the pendulum",
        },
        Ask {
            texts: &[
                "[Set|Change] gravity from 2 to 30 and friction from 0 to 200 by two sliders, with [immediate|instant] effect.",
                "Two sliders, \"Gravity\" (2 to 30) and \"Friction\" (0 to 200), act while it [swings|moves].",
            ],
            served_by: &["onSlide(\"gravity\"", "onSlide(\"damping\""],
            hint: "Gravity | makes it heavier or lighter",
        },
    ],
    stage: Stage::Canvas,
    readouts: &[("swing", "Upper angle"), ("height", "Height"), ("flips", "Somersaults")],
    controls: &[
        Control::Button("push", "Push"),
        Control::Button("again", "New start"),
        Control::Slider("gravity", "Gravity", ["2", "30", "1", "{gravity}"]),
        Control::Slider("damping", "Friction", ["0", "200", "10", "{damping}"]),
    ],
    script: include_str!("../scenes/pendulum.js"),
};
