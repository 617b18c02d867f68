//! Who asks questions.

/// A list of personas, one or two sentences each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Personas {
    lines: Vec<String>,
}

impl Personas {
    /// The persona for a seed.
    pub fn pick(&self, seed: u64) -> &str {
        self.lines
            .get(usize::try_from(seed).unwrap_or(0) % self.lines.len().max(1))
            .map_or("", String::as_str)
    }
}
