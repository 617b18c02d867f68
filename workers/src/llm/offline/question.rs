//! The question: what to build, what it must show and do, what people can do, within which limits.

use super::{
    dice::Dice,
    families::Plan,
    text::{self, Values},
};

const ASKERS: &[&str] = &[
    "[Who asks|The person behind this]: {persona}",
    "[It is meant for|Think of] this person: {persona}",
    "[About the one who will use it|The future user]: {persona}",
    "[Written|Asked] by someone you should keep in mind. {persona}",
];

const LOOKS: &[&str] = &[
    "[Dress|Paint] everything in {palette}, and call the page \"{title}\".",
    "The page [is called|carries the heading] \"{title}\"; its colours are {palette}.",
    "[Heading|Title]: \"{title}\". [Colours|Palette]: {palette}.",
    "Under the [heading|title] \"{title}\", use {palette} [throughout|for all of it].",
];

const LIMITS: &[&[&str]] = &[
    &[
        "[Write|Use] plain HTML, CSS and JavaScript in `index.html`, `index.js` and, if you like, `style.css`; no \
         library, no framework.",
        "[Deliver|Hand in] `index.html` and `index.js` ([a style sheet is welcome|`style.css` is optional]) in plain web \
         languages, without any [library|dependency].",
        "Only HTML, CSS and JavaScript of your own: `index.html` [loads|refers to] `index.js` and perhaps `style.css`.",
    ],
    &[
        "Nothing may come from [elsewhere|the network]: no fonts, pictures, sounds or scripts from [outside|other hosts].",
        "The page [works offline|is self-contained]; it [requests|fetches] no file besides its own.",
        "No external [resource|file] of any kind: [draw|generate] all graphics in code.",
    ],
    &[
        "Do without storage, cookies, camera, microphone and [dialog boxes|pop-up dialogs].",
        "No browser storage, no devices such as camera or microphone, and no alert, confirm or prompt.",
        "[Storage|Saved state], media devices and modal dialogs are off limits.",
    ],
    &[
        "It must [fit|work on] a phone 375 pixels wide without sideways scrolling, and [have|offer] a button \"Pause\" \
         that [stops|halts] all motion.",
        "A \"Pause\" button [freezes|stops] the scene and resumes it; the layout [adapts to|holds on] narrow phones.",
        "Everything stays [readable|usable] on small screens, and people can pause the [motion|action] at any time \
         with a button \"Pause\".",
    ],
];

/// Writes the question of a plan for a persona about objects.
pub(super) fn write(plan: &Plan, persona: &str, objects: &[String], seed: u64) -> String {
    let mut values = plan.values_with(objects);
    values.insert("persona".to_owned(), persona.trim().to_owned());
    values.insert("palette".to_owned(), plan.palette.words.to_owned());
    let mut dice = Dice::new(seed, "question");
    let mut sentence = |choices: &[&str]| text::word(dice.pick::<&str>(choices), &mut dice);

    let (asker, look) = (sentence(ASKERS), sentence(LOOKS));
    let limits: Vec<String> = LIMITS.iter().map(|choices| sentence(choices)).collect();
    let intro = [plan.opening.as_str(), &asker, &look];
    let intro = intro.map(|worded| text::capital(&text::fill(worded, &values))).join("\n\n");
    let features = plan.features.iter().map(|asked| asked.text.as_str());
    let actions = plan.actions.iter().map(|asked| asked.text.as_str());
    let limits = limits.iter().map(String::as_str);
    format!(
        "{intro}\n\n**Features**\n{}\n\n**User Actions**\n{}\n\n**Limits**\n{}\n",
        lines(features, &values, |_| "- ".to_owned()),
        lines(actions, &values, |index| format!("{}. ", index + 1)),
        lines(limits, &values, |_| "- ".to_owned()),
    )
}

fn lines<'a>(
    worded: impl Iterator<Item = &'a str>,
    values: &Values,
    mark: impl Fn(usize) -> String,
) -> String {
    let lines = worded
        .enumerate()
        .map(|(index, text)| format!("{}{}", mark(index), text::capital(&text::fill(text, values))));
    lines.collect::<Vec<_>>().join("\n")
}
