//! The files that answer a question: a page, its script and its style.

use mondo_jobs::steps::replies::SourceFile;
use serde::Serialize;

use super::{
    families::{Control, Plan, Stage},
    look::Palette,
    text::{self, Values},
};

const HTML: &str = include_str!("scenes/index.html");
const CSS: &str = include_str!("scenes/style.css");
const SHARED: &str = include_str!("scenes/shared.js");

/// The clean files for a plan and its objects.
pub(super) fn files(plan: &Plan, objects: &[String], seed: u64) -> Vec<SourceFile> {
    let values = plan.values_with(objects);
    let palette = plan.palette;
    let params = Params::new(plan, &values, objects, palette, seed);
    let file = |filename: &str, content| SourceFile { filename: filename.to_owned(), content };
    vec![
        file("index.html", html(plan, &params, &values)),
        file("index.js", script(plan, &params)),
        file("style.css", style(palette)),
    ]
}

/// What the script is given; it reads everything that was chosen from here.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    seed: u32,
    #[serde(flatten)]
    numbers: serde_json::Map<String, serde_json::Value>,
    things: Vec<Thing>,
    hints: Vec<Hint>,
    hint_millis: u64,
    colors: &'a Palette,
}

#[derive(Serialize)]
struct Thing {
    name: String,
    color: &'static str,
    path: &'static str,
}

#[derive(Serialize)]
struct Hint {
    key: String,
    text: String,
}

impl<'a> Params<'a> {
    fn new(plan: &Plan, values: &Values, objects: &[String], palette: &'a Palette, seed: u64) -> Self {
        let numbers = plan.values.iter().map(|(name, value)| {
            let number = value.parse::<u32>().map_or_else(|_| value.clone().into(), Into::into);
            (name.clone(), number)
        });
        let objects = if objects.is_empty() { &[values["a"].clone(), values["b"].clone()] } else { objects };
        let things = objects.iter().zip(palette.accents.iter().cycle()).map(|(name, color)| Thing {
            name: name.clone(),
            color,
            path: plan.icon_of(name),
        });
        let hints = plan.actions.iter().map(|asked| asked.ask.hint).chain(["Pause | stops and goes on"]);
        let hints = hints
            .filter_map(|hint| hint.split_once(" | "))
            .map(|(key, hint)| Hint { key: text::fill(key, values), text: text::fill(hint, values) });
        Self {
            seed: u32::try_from(seed & u64::from(u32::MAX)).unwrap_or(0),
            numbers: numbers.collect(),
            things: things.collect(),
            hints: hints.collect(),
            hint_millis: 2000 + seed % 8 * 50,
            colors: palette,
        }
    }
}

fn script(plan: &Plan, params: &Params<'_>) -> String {
    // `<` never stands in the data, so no text in it can end the script element.
    let params = serde_json::to_string_pretty(params).unwrap_or_default().replace('<', "\\u003c");
    format!("\"use strict\";\n\nconst PARAMS = {params};\n\n{SHARED}{}", plan.family.script)
}

fn style(palette: &Palette) -> String {
    let Palette { back, panel, ink, soft, accents: [accent, ..], .. } = palette;
    format!(
        ":root {{\n  --back: {back};\n  --panel: {panel};\n  --ink: {ink};\n  --soft: {soft};\n  \
         --line: {soft}66;\n  --accent: {accent};\n}}\n\n{CSS}"
    )
}

fn html(plan: &Plan, params: &Params<'_>, values: &Values) -> String {
    let title = escape(&values["title"]);
    let stage = match plan.family.stage {
        Stage::Canvas => format!("<canvas id=\"stage\" role=\"img\" aria-label=\"{title}\"></canvas>"),
        Stage::Svg => {
            format!("<svg id=\"stage\" viewBox=\"0 0 640 400\" role=\"img\" aria-label=\"{title}\"></svg>")
        }
        Stage::Board => {
            format!("<div id=\"stage\" class=\"board\" role=\"group\" aria-label=\"{title}\"></div>")
        }
    };
    let legend = params.things.iter().map(|thing| {
        format!(
            "        <li><svg viewBox=\"-50 -50 100 100\" aria-hidden=\"true\"><path fill=\"{}\" \
             fill-rule=\"evenodd\" d=\"{}\"/></svg>{}</li>",
            thing.color,
            thing.path,
            escape(&thing.name)
        )
    });
    let readouts = plan.family.readouts.iter().map(|(id, label)| {
        format!("      <div><dt>{}</dt><dd id=\"{id}\">0</dd></div>", escape(&text::fill(label, values)))
    });
    let pause = "      <button id=\"pause\" type=\"button\" aria-pressed=\"false\">Pause</button>".to_owned();
    let is_button = |control: &&Control| matches!(control, Control::Button(..));
    let buttons = plan.family.controls.iter().filter(is_button).map(|control| markup(control, values));
    let sliders = plan.family.controls.iter().filter(|control| !is_button(control));
    let controls = buttons.chain([pause]).chain(sliders.map(|control| markup(control, values)));

    HTML.replace("__TITLE__", &title)
        .replace("__SCENE__", plan.family.name)
        .replace("__STAGE__", &stage)
        .replace("__LEGEND__", &legend.collect::<Vec<_>>().join("\n"))
        .replace("__READOUTS__", &readouts.collect::<Vec<_>>().join("\n"))
        .replace("__CONTROLS__", &controls.collect::<Vec<_>>().join("\n"))
}

fn markup(control: &Control, values: &Values) -> String {
    match control {
        Control::Button(id, label) => {
            format!(
                "      <button id=\"{id}\" type=\"button\">{}</button>",
                escape(&text::fill(label, values))
            )
        }
        Control::Slider(id, label, numbers) => {
            let [low, high, step, start] = numbers.map(|number| text::fill(number, values));
            format!(
                "      <label class=\"slider\"><span>{} <output id=\"{id}-value\">{start}</output></span>\n        \
                 <input id=\"{id}\" type=\"range\" min=\"{low}\" max=\"{high}\" step=\"{step}\" value=\"{start}\">\
                 </label>",
                escape(&text::fill(label, values))
            )
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
