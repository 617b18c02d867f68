//! The family `starfield`; its script is `scenes/starfield.js`.

use mondo_jobs::pair::Topic;

use super::{Ask, Control, Family, Stage};

pub(super) const FAMILY: Family = Family {
    name: "starfield",
    topic: Topic::Animation,
    night: true,
    titles: &[
        "Past the {s:a}",
        "The {route} route",
        "{s:a} and {s:b} ahead",
        "A window on the {route} route",
    ],
    openings: &[
        "[Build|Create|Make] an animated flight through space along {an:route} route: stars rush past the window while {all} drift by.",
        "[Write|Program] a web page that feels like [looking out of|sitting at the window of] a ship on {an:route} route, with stars in depth and the odd {a} or {b} passing.",
        "I want the [calm|thrill] of [travelling|flying] through a star field in my browser: {all} should [appear|come up] far ahead, grow and [pass|slip by] on {an:route} route.",
    ],
    objects: &[
        ("comet", "comet"),
        ("ringed planet", "planet"),
        ("rocket", "rocket"),
        ("crescent moon", "moon"),
        ("asteroid", "gem"),
        ("space station", "ring"),
        ("satellite", "gear"),
        ("supply crate", "crate"),
        ("beacon", "lantern"),
        ("nova", "star"),
    ],
    numbers: &[("stars", 160, 320, 20), ("drifters", 4, 9, 1), ("speed", 5, 12, 1)],
    words: &[("route", &["outer", "silent", "northern", "old trading", "unmapped", "long", "amber"])],
    features: &[
        Ask {
            texts: &[
                "[Fill|Cover] the view with {stars} stars at different depths; near ones are [brighter and faster|brighter, larger and quicker], which [gives|creates] a parallax.",
                "Use {stars} stars, each with a depth of its own: perspective [spreads them|makes them spread] from a vanishing point, the [closest|nearest] fastest.",
            ],
            served_by: &["PARAMS.stars", "function drawStar("],
            hint: "",
        },
        Ask {
            texts: &[
                "Let {drifters} larger things be [under way|around] at any time ({all}), growing as they [approach|come near] and [replaced|followed by new ones] once they have passed.",
                "Keep {drifters} drifting things in sight: {all}, [tumbling|turning] slowly, growing with [closeness|nearness] and renewed after passing.",
            ],
            served_by: &["PARAMS.drifters", "function drawDrifter("],
            hint: "",
        },
        Ask {
            texts: &[
                "Each star [leaves|draws] a short streak that [lengthens|grows] with speed, so that fast flight [reads as|looks like] lines.",
                "Stars become streaks [away from|pointing from] the vanishing point; the faster the flight, the longer the [streak|line].",
            ],
            served_by: &["const length = "],
            hint: "",
        },
        Ask {
            texts: &[
                "A soft glow [marks|surrounds] the vanishing point and [changes|switches] colour during a jump.",
                "[Lay|Put] a faint radial glow around the point [everything comes from|of flight]; a jump [recolours|tints] it.",
            ],
            served_by: &["function drawSpace("],
            hint: "",
        },
        Ask {
            texts: &[
                "Show the distance in light-years with one [decimal|digit after the point] and [count|the number of] things passed.",
                "[Readouts|Figures] below tell how many light-years were [travelled|covered] and how many things were passed.",
            ],
            served_by: &["function showCounts("],
            hint: "",
        },
        Ask {
            texts: &[
                "Steering [is gentle|has inertia]: the vanishing point [glides|eases] to its new place instead of [jumping|snapping].",
                "When the course changes, the vanishing point [moves|drifts] there smoothly, never [at once|in one frame].",
            ],
            served_by: &["centre.x += "],
            hint: "",
        },
    ],
    actions: &[
        Ask {
            texts: &[
                "[Steer|Change course] with the four arrow keys; \"Straight ahead\" [centres|resets] the course.",
                "The arrow keys [bend|turn] the course up, down, left and right, and the button \"Straight ahead\" [undoes|cancels] it.",
            ],
            served_by: &["function steerBy(", "onClick(\"straight\""],
            hint: "Arrow keys | steer the ship",
        },
        Ask {
            texts: &[
                "[Press|Use] Space or \"Jump\" for about two seconds of [sixfold|six times the] speed.",
                "\"Jump\" or the space bar [multiplies|raises] the speed by six for [a little over|around] two seconds.",
            ],
            served_by: &["onClick(\"jump\"", "function startJump("],
            hint: "Space | jumps",
        },
        Ask {
            texts: &[
                "Click [anywhere in|on] the sky to [call up|summon] another {a} or {b} there, and set the cruising speed with the slider \"Speed\" from 1 to 20.",
                "A click on the sky [adds|launches] a thing at that place; the slider \"Speed\" (1 to 20) sets how fast the ship [cruises|flies].",
            ],
            served_by: &["onPointer(", "onSlide(\"speed\""],
            hint: "Click the sky | adds something to look at",
        },
    ],
    stage: Stage::Canvas,
    readouts: &[("distance", "Travelled"), ("passed", "Passed")],
    controls: &[
        Control::Button("jump", "Jump"),
        Control::Button("straight", "Straight ahead"),
        Control::Slider("speed", "Speed", ["1", "20", "1", "{speed}"]),
    ],
    script: include_str!("../scenes/starfield.js"),
};
