//! Makes one self-contained page of the files that a model wrote.
//!
//! Scripts and style sheets that `index.html` refers to by name are put in their place; every other byte of it
//! stays as it is. A classic script with `defer` or `async` moves to the end of the body, in order, because
//! neither has an effect on a script without `src`. Scripts and style sheets that `index.html` forgot to refer
//! to are added at the end of the body and of the head: the model meant them to be there. Files of other kinds
//! are left out.

mod map;

use std::ops::Range;

pub use map::SourceMap;
use map::{Insert, assemble};

use crate::{
    html::{self, Element, ScriptKind},
    ports::sandbox::PAGE_BYTES_MAX,
    script,
    steps::replies::SourceFile,
};

/// Why files make no page. The text is for the model that wrote them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// There is no `index.html`, or it is empty.
    #[error("there is no file named `index.html` with content")]
    NoIndex,
    /// Two files have one name.
    #[error("two files are named `{filename}`")]
    Twice {
        /// The name.
        filename: String,
    },
    /// `index.html` refers to a file that is not there.
    #[error("`index.html` refers to `{name}`, which is not among the files")]
    Missing {
        /// The file as `index.html` names it.
        name: String,
    },
    /// The page is larger than allowed.
    #[error("the page has {bytes} bytes, more than the {PAGE_BYTES_MAX} that are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The tokenizer gave up.
    #[error("`index.html` cannot be read: {message}")]
    Unreadable {
        /// What it said.
        message: String,
    },
}

/// One self-contained page of at most 1 MiB.
///
/// # Errors
/// See [`BundleError`].
pub fn bundle(files: &[SourceFile]) -> Result<String, BundleError> {
    together(files, true).map(|(page, _)| page)
}

/// The same of files that lie in a folder: what `index.html` names and is not there stays named, for the browser to
/// miss it, and what it does not name stays out. The map says where everything was written.
///
/// # Errors
/// See [`BundleError`]; never [`BundleError::Missing`].
pub fn bundle_named(files: &[SourceFile]) -> Result<(String, SourceMap), BundleError> {
    together(files, false)
}

/// The files that a page names as its scripts and style sheets, as it names them.
///
/// # Errors
/// [`BundleError::Unreadable`].
pub fn named_files(index: &str) -> Result<Vec<String>, BundleError> {
    let outline =
        html::outline(index).map_err(|error| BundleError::Unreadable { message: error.to_string() })?;
    let links = outline.links.iter().filter_map(|link| link.attribute("href"));
    let scripts = outline.scripts.iter().filter_map(|script| script.attribute("src"));
    let local = links.chain(scripts).filter(|reference| is_local(reference));
    Ok(local.map(|reference| name_of(reference).to_owned()).collect())
}

fn together(files: &[SourceFile], complete: bool) -> Result<(String, SourceMap), BundleError> {
    check_names(files)?;
    let index = find(files, "index.html").filter(|file| !file.content.trim().is_empty());
    let index = index.ok_or(BundleError::NoIndex)?;
    let page = index.content.strip_prefix('\u{feff}').unwrap_or(&index.content);
    let outline =
        html::outline(page).map_err(|error| BundleError::Unreadable { message: error.to_string() })?;

    let mut bundle =
        Bundle { page, files, complete, used: vec![index], edits: Vec::new(), at_end: Vec::new(), bytes: 0 };
    for link in &outline.links {
        bundle.link(link)?;
    }
    for script in &outline.scripts {
        bundle.script(script)?;
    }
    let (page, map) = bundle.finish(outline.head_end, outline.body_end);
    if page.len() > PAGE_BYTES_MAX {
        return Err(BundleError::TooLarge { bytes: page.len() });
    }
    Ok((page, map))
}

fn check_names(files: &[SourceFile]) -> Result<(), BundleError> {
    let mut names: Vec<&str> = files.iter().map(|file| name_of(&file.filename)).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(BundleError::Twice { filename: pair[0].to_owned() }),
        None => Ok(()),
    }
}

struct Bundle<'a> {
    page: &'a str,
    files: &'a [SourceFile],
    /// All files belong to the page, and all that it needs is among them.
    complete: bool,
    used: Vec<&'a SourceFile>,
    edits: Vec<(Range<usize>, Vec<Insert>)>,
    at_end: Vec<Insert>,
    /// What has been put in place of references so far.
    bytes: usize,
}

impl<'a> Bundle<'a> {
    fn link(&mut self, link: &Element) -> Result<(), BundleError> {
        let Some(href) = link.attribute("href").filter(|href| is_local(href)) else { return Ok(()) };
        let relations = link.attribute("rel").unwrap_or_default().to_ascii_lowercase();
        let is = |relation: &str| relations.split_ascii_whitespace().any(|word| word == relation);
        if is("stylesheet") && !is("alternate") {
            let Some(file) = self.take(href)? else { return Ok(()) };
            let style = style(&kept(link, &LINK_DROPS), file);
            self.count(&style)?;
            self.edits.push((link.start.clone(), vec![style]));
        } else if is("preload") || is("modulepreload") || is("prefetch") {
            self.edits.push((link.start.clone(), Vec::new()));
        }
        Ok(())
    }

    fn script(&mut self, script: &Element) -> Result<(), BundleError> {
        let Some(src) = script.attribute("src").filter(|src| is_local(src)) else { return Ok(()) };
        let kind = script.script_kind();
        if kind == ScriptKind::Data {
            return Ok(());
        }
        let Some(file) = self.take(src)? else { return Ok(()) };
        let deferred = kind == ScriptKind::Classic
            && (script.attribute("defer").is_some() || script.attribute("async").is_some());
        let drops: &[&str] = if kind == ScriptKind::Module { &MODULE_DROPS } else { &CLASSIC_DROPS };
        let mut inline = inline_script(&kept(script, drops), file);
        self.count(&inline)?;
        // Without its end tag the script would swallow the rest of the page: only the start tag is replaced.
        let whole = script.start.start..script.end.as_ref().map_or(script.start.end, |end| end.end);
        if deferred {
            self.edits.push((whole, Vec::new()));
            inline.after.push('\n');
            self.at_end.push(inline);
        } else {
            self.edits.push((whole, vec![inline]));
        }
        Ok(())
    }

    /// Ends at once when it becomes too much: a page may refer to one large file a thousand times.
    fn count(&mut self, inlined: &Insert) -> Result<(), BundleError> {
        self.bytes += inlined.len();
        if self.bytes > PAGE_BYTES_MAX { Err(BundleError::TooLarge { bytes: self.bytes }) } else { Ok(()) }
    }

    fn take(&mut self, reference: &str) -> Result<Option<&'a SourceFile>, BundleError> {
        match find(self.files, reference) {
            Some(file) => self.used.push(file),
            None if self.complete => return Err(BundleError::Missing { name: reference.to_owned() }),
            None => return Ok(None),
        }
        Ok(self.used.last().copied())
    }

    fn finish(mut self, head_end: Option<usize>, body_end: usize) -> (String, SourceMap) {
        let mut styles = Vec::new();
        for file in self.files.iter().filter(|_| self.complete) {
            let forgotten = !self.used.contains(&file) && !self.page.contains(file.content.trim());
            match file.filename.rsplit_once('.').map(|(_, extension)| extension) {
                Some("css") if forgotten => styles.push(on_a_line(style("", file))),
                Some("js" | "mjs") if forgotten => {
                    let kind = if script::is_module(&file.content) { " type=\"module\"" } else { "" };
                    self.at_end.push(on_a_line(inline_script(kind, file)));
                }
                _ => {}
            }
        }
        self.edits.push((head_end.unwrap_or(body_end)..head_end.unwrap_or(body_end), styles));
        self.edits.push((body_end..body_end, self.at_end));
        assemble(self.page, "index.html", self.edits)
    }
}

fn style(attributes: &str, file: &SourceFile) -> Insert {
    Insert {
        before: format!("<style{attributes}>"),
        file: name_of(&file.filename).to_owned(),
        content: safe_css(&file.content),
        after: "</style>".to_owned(),
    }
}

fn inline_script(attributes: &str, file: &SourceFile) -> Insert {
    Insert {
        before: format!("<script{attributes}>"),
        file: name_of(&file.filename).to_owned(),
        content: safe_js(&file.content),
        after: "</script>".to_owned(),
    }
}

fn on_a_line(mut insert: Insert) -> Insert {
    insert.after.push('\n');
    insert
}

/// Attributes that mean nothing, or something else, once the content stands in the page.
const LINK_DROPS: [&str; 9] =
    ["rel", "href", "hreflang", "type", "crossorigin", "integrity", "referrerpolicy", "as", "fetchpriority"];
const MODULE_DROPS: [&str; 7] =
    ["src", "defer", "charset", "crossorigin", "integrity", "referrerpolicy", "fetchpriority"];
const CLASSIC_DROPS: [&str; 8] =
    ["src", "defer", "async", "charset", "crossorigin", "integrity", "referrerpolicy", "fetchpriority"];

fn kept(element: &Element, drops: &[&str]) -> String {
    let mut kept = String::new();
    for attribute in element.attributes.iter().filter(|attribute| !drops.contains(&attribute.name.as_str())) {
        kept.push(' ');
        kept.push_str(&attribute.name);
        if attribute.value_start.is_some() {
            let quote = if attribute.value.contains('"') { '\'' } else { '"' };
            kept.extend([&format!("={quote}"), attribute.value.as_str(), &quote.to_string()]);
        }
    }
    kept
}

/// Whether a reference names a file beside the page, rather than a place elsewhere.
fn is_local(reference: &str) -> bool {
    let reference = reference.trim();
    let scheme = reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    !reference.is_empty() && !scheme && !reference.starts_with("//") && !reference.starts_with('#')
}

fn find<'a>(files: &'a [SourceFile], reference: &str) -> Option<&'a SourceFile> {
    files.iter().find(|file| name_of(&file.filename) == name_of(reference))
}

/// `./index.js?v=2#top` and `/index.js` are `index.js`.
fn name_of(reference: &str) -> &str {
    let path = reference.trim().split(['?', '#']).next().unwrap_or_default();
    path.trim_start_matches("./").trim_start_matches('/')
}

/// A script that the HTML tokenizer cannot take for its own end: both replacements mean the same inside a
/// string, a template and a regular expression, which is where working scripts have them.
fn safe_js(script: &str) -> String {
    let script = script.strip_prefix('\u{feff}').unwrap_or(script);
    escape(&escape(script, "</script", "\\x3C"), "<!--", "\\x3C")
}

fn safe_css(sheet: &str) -> String {
    escape(sheet.strip_prefix('\u{feff}').unwrap_or(sheet), "</style", "\\3C ")
}

/// Replaces the `<` of every occurrence of `needle`, in whatever case, which starts with it.
fn escape(text: &str, needle: &str, with: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        let found = rest.as_bytes()[at..].get(..needle.len());
        let hit = found.is_some_and(|found| found.eq_ignore_ascii_case(needle.as_bytes()));
        out.push_str(if hit { with } else { "<" });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
