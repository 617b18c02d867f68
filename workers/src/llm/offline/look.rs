//! What pages look like: palettes, and the outlines of the things that questions are about.

use serde::Serialize;

use super::dice::Dice;

/// Colours that go together, as `#rrggbb`. Text in `ink` is readable on `back` and on `panel`.
#[derive(Debug, Serialize)]
pub(super) struct Palette {
    /// How a question speaks of it.
    #[serde(skip)]
    pub(super) words: &'static str,
    /// Whether text is lighter than what is behind it.
    #[serde(skip)]
    pub(super) is_dark: bool,
    /// Behind everything.
    pub(super) back: &'static str,
    /// Behind the scene and its controls.
    pub(super) panel: &'static str,
    /// Text and outlines.
    pub(super) ink: &'static str,
    /// Text of less weight.
    pub(super) soft: &'static str,
    /// What stands out, strongest first.
    pub(super) accents: [&'static str; 5],
}

const PALETTES: [Palette; 8] = [
    Palette {
        words: "deep night blue with warm amber and coral highlights",
        is_dark: true,
        back: "#0b1026",
        panel: "#151c3b",
        ink: "#f2f0ff",
        soft: "#aab2dd",
        accents: ["#ffb454", "#ff6f61", "#59d8e6", "#9d7bff", "#7ee081"],
    },
    Palette {
        words: "soft cream paper with teal, brick red and mustard",
        is_dark: false,
        back: "#f6efe0",
        panel: "#fffaf0",
        ink: "#2b2a28",
        soft: "#6a6259",
        accents: ["#0f7173", "#c8553d", "#b8860b", "#588157", "#6d597a"],
    },
    Palette {
        words: "dark forest green with lime, gold and pale rose",
        is_dark: true,
        back: "#0c1f17",
        panel: "#143024",
        ink: "#eef7ee",
        soft: "#a3c4b0",
        accents: ["#a6e22e", "#ffd166", "#f7a1c4", "#64dfdf", "#ff9f6b"],
    },
    Palette {
        words: "pale sky blue with navy, tangerine and raspberry",
        is_dark: false,
        back: "#e6f1fa",
        panel: "#ffffff",
        ink: "#14213d",
        soft: "#52617d",
        accents: ["#d9480f", "#1d6fb8", "#b5179e", "#2b8a3e", "#7048e8"],
    },
    Palette {
        words: "dusky plum with peach, mint and lemon",
        is_dark: true,
        back: "#241327",
        panel: "#35203a",
        ink: "#fff3ea",
        soft: "#cfb2c8",
        accents: ["#ffb997", "#8ce8c4", "#f9f871", "#f67e9b", "#8fa8ff"],
    },
    Palette {
        words: "graphite grey with signal yellow, cyan and vermilion",
        is_dark: true,
        back: "#16181c",
        panel: "#22262d",
        ink: "#f4f6f8",
        soft: "#a9b2bd",
        accents: ["#ffd60a", "#3fc1e0", "#ff5a36", "#8de969", "#d38bff"],
    },
    Palette {
        words: "warm sand with ocean blue, terracotta and olive",
        is_dark: false,
        back: "#efe3d0",
        panel: "#fbf5ea",
        ink: "#33261d",
        soft: "#735f4e",
        accents: ["#1f6f8b", "#bc4b31", "#6b7a1f", "#8c4a7d", "#d08700"],
    },
    Palette {
        words: "polar teal with ice white, salmon and saffron",
        is_dark: true,
        back: "#06262d",
        panel: "#0d3b45",
        ink: "#eafcff",
        soft: "#9ccad3",
        accents: ["#ff9b85", "#f4c430", "#7fe7dc", "#c3a6ff", "#9be564"],
    },
];

/// The palette of a pair; a dark one if `night`.
pub(super) fn palette(seed: u64, night: bool) -> &'static Palette {
    let suitable: Vec<&Palette> = PALETTES.iter().filter(|palette| palette.is_dark || !night).collect();
    Dice::new(seed, "palette").pick::<&Palette>(&suitable)
}

/// Outlines, one a line: a name and SVG path data in a box from -50 to 50.
const ICONS: &str = include_str!("scenes/icons.txt");

/// The outline with this name, if there is one.
pub(super) fn icon(name: &str) -> Option<&'static str> {
    ICONS.lines().filter_map(|line| line.split_once(' ')).find(|(own, _)| *own == name).map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(hex: &str, at: usize) -> f64 {
        let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let light =
            |hex| 0.2126 * channel(hex, 1) + 0.7152 * channel(hex, 3) + 0.0722 * channel(hex, 5) + 0.05;
        let (one, other) = (light(one), light(other));
        one.max(other) / one.min(other)
    }

    #[test]
    fn text_is_readable_in_every_palette() {
        for palette in &PALETTES {
            for back in [palette.back, palette.panel] {
                assert!(contrast(palette.ink, back) > 7.0, "{palette:?}");
                assert!(contrast(palette.soft, back) > 4.5, "{palette:?}");
            }
        }
    }
}
