//! The families of scenes: what each can be asked for, and the page that answers.

mod bricks;
mod catcher;
mod fireworks;
mod fish;
mod gas;
mod gears;
mod kaleidoscope;
mod maze;
mod memory;
mod orbits;
mod pendulum;
mod pond;
mod projectile;
mod snake;
mod starfield;
mod waves;
mod whack;

use mondo_jobs::pair::Topic;

use super::{
    dice::Dice,
    look::{self, Palette},
    text::{self, Values},
};

/// One family of scenes. Texts are in the notation of [`text`]; besides the family's own numbers and words
/// they may name `a` and `b` (two of the objects), `all` (every object, in the plural) and `last` (the last one,
/// in the plural).
pub(super) struct Family {
    /// Name of the family and of its script in `scenes/`.
    pub(super) name: &'static str,
    /// What it is about.
    pub(super) topic: Topic,
    /// Whether the scene is a dark one, so that only dark palettes suit it.
    pub(super) night: bool,
    /// Headings of the page.
    pub(super) titles: &'static [&'static str],
    /// First sentences of the question.
    pub(super) openings: &'static [&'static str],
    /// Common things that fit the scene, with the outline that draws each.
    pub(super) objects: &'static [(&'static str, &'static str)],
    /// Numbers that a seed chooses: name, lowest, highest, step.
    pub(super) numbers: &'static [(&'static str, u32, u32, u32)],
    /// Words that a seed chooses: name, choices.
    pub(super) words: &'static [(&'static str, &'static [&'static str])],
    /// What the page shows and does by itself.
    pub(super) features: &'static [Ask],
    /// What people can do, two or three of them.
    pub(super) actions: &'static [Ask],
    /// What the scene is drawn on.
    pub(super) stage: Stage,
    /// Values under the scene: element id, label.
    pub(super) readouts: &'static [(&'static str, &'static str)],
    /// Controls besides *Pause*, which every page has.
    pub(super) controls: &'static [Control],
    /// The scene's own script.
    pub(super) script: &'static str,
}

/// Something that a question asks for.
pub(super) struct Ask {
    /// Ways to say it.
    pub(super) texts: &'static [&'static str],
    /// Code that serves it: each of these stands in the page.
    pub(super) served_by: &'static [&'static str],
    /// The same in a few words, for the page's own hints; empty for what needs no hint.
    pub(super) hint: &'static str,
}

/// What a scene is drawn on, 640 by 400 units.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// `<canvas id="stage">`.
    Canvas,
    /// `<svg id="stage">`.
    Svg,
    /// `<div id="stage">` that the script fills.
    Board,
}

/// One control of a page. Its texts may name numbers of the family.
pub(super) enum Control {
    /// A button: id, label.
    Button(&'static str, &'static str),
    /// A slider: id, label, lowest, highest, step, start.
    Slider(&'static str, &'static str, [&'static str; 4]),
}

/// A family with everything that one seed chose for it.
pub(super) struct Plan {
    /// The family.
    pub(super) family: &'static Family,
    /// The heading, not yet filled.
    pub(super) title: String,
    /// The first sentence, not yet filled.
    pub(super) opening: String,
    /// Chosen features in the order of the question, not yet filled.
    pub(super) features: Vec<Asked>,
    /// Actions in the order of the question, not yet filled.
    pub(super) actions: Vec<Asked>,
    /// The colours.
    pub(super) palette: &'static Palette,
    /// Numbers and words by name.
    pub(super) values: Values,
}

/// An [`Ask`] in one wording.
pub(super) struct Asked {
    /// The wording, not yet filled.
    pub(super) text: String,
    /// What was worded.
    pub(super) ask: &'static Ask,
}

/// All families.
const FAMILIES: &[Family] = &[
    bricks::FAMILY,
    catcher::FAMILY,
    fireworks::FAMILY,
    fish::FAMILY,
    gas::FAMILY,
    gears::FAMILY,
    kaleidoscope::FAMILY,
    maze::FAMILY,
    memory::FAMILY,
    orbits::FAMILY,
    pendulum::FAMILY,
    pond::FAMILY,
    projectile::FAMILY,
    snake::FAMILY,
    starfield::FAMILY,
    waves::FAMILY,
    whack::FAMILY,
];

/// All families.
pub(super) fn all() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter()
}

/// What a seed chooses for a topic. It depends on nothing else, so every purpose of a pair comes to the same.
pub(super) fn plan(topic: Topic, seed: u64) -> Plan {
    let list: Vec<&'static Family> = all().filter(|family| family.topic == topic).collect();
    plan_of(Dice::new(seed, "family").pick::<&Family>(&list), seed)
}

/// What a seed chooses for a family.
pub(super) fn plan_of(family: &'static Family, seed: u64) -> Plan {
    let mut dice = Dice::new(seed, "values");
    let mut values = Values::new();
    for (name, low, high, step) in family.numbers {
        let steps = usize::try_from((high - low) / step).unwrap_or(0);
        let chosen = low + step * u32::try_from(dice.below(steps + 1)).unwrap_or(0);
        values.insert((*name).to_owned(), chosen.to_string());
    }
    for (name, choices) in family.words {
        values.insert((*name).to_owned(), (*dice.pick(choices)).to_owned());
    }

    let mut dice = Dice::new(seed, "wording");
    let title = wording(family.titles, &mut dice);
    let opening = wording(family.openings, &mut dice);
    let mut features: Vec<_> = family.features.iter().map(|ask| asked(ask, &mut dice)).collect();
    dice.shuffle(&mut features);
    features.truncate(5 + dice.below(3));
    let actions = family.actions.iter().map(|ask| asked(ask, &mut dice)).collect();
    Plan { family, title, opening, features, actions, palette: look::palette(seed, family.night), values }
}

fn asked(ask: &'static Ask, dice: &mut Dice) -> Asked {
    Asked { text: wording(ask.texts, dice), ask }
}

fn wording(texts: &[&str], dice: &mut Dice) -> String {
    text::word(dice.pick::<&str>(texts), dice)
}

impl Plan {
    /// The values of the plan together with those that the objects give.
    pub(super) fn values_with(&self, objects: &[String]) -> Values {
        let mut objects: Vec<String> = objects.iter().filter(|object| !object.is_empty()).cloned().collect();
        let own = self.family.objects.iter().map(|(name, _)| (*name).to_owned());
        objects.extend(own.take(2_usize.saturating_sub(objects.len())));
        let plurals: Vec<String> = objects.iter().map(|object| text::plural(object)).collect();

        let mut values = self.values.clone();
        values.insert("a".to_owned(), objects[0].clone());
        values.insert("b".to_owned(), objects[1].clone());
        values.insert("all".to_owned(), text::list(&plurals));
        values.insert("last".to_owned(), plurals.last().cloned().unwrap_or_default());
        let title = text::fill(&self.title, &values);
        values.insert("title".to_owned(), text::capital(&title));
        values
    }

    /// The outline of one of the objects; a gem's for an object that the family does not know.
    pub(super) fn icon_of(&self, object: &str) -> &'static str {
        let own = self.family.objects.iter().find(|(name, _)| *name == object);
        own.and_then(|(_, icon)| look::icon(icon)).or_else(|| look::icon("gem")).unwrap_or_default()
    }
}
