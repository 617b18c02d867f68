//! Parses every script of a page before anything runs it.

pub mod loops;

use oxc_allocator::Allocator;
use oxc_diagnostics::OxcDiagnostic;
use oxc_parser::{ParseOptions, Parser};
use oxc_span::SourceType;

use crate::{
    html::{self, Outline, ScriptKind},
    place::Place,
};

/// The most errors that are listed: later ones follow from earlier ones more often than not.
const ERRORS_MAX: usize = 20;

/// How deep brackets may be nested. The parser recurses and needs up to 4 KiB of stack for each level, and its time
/// grows with the square of the depth: 900 times `(a=` took it 2 s, unoptimized.
const NESTING_MAX: usize = 250;

/// Stack of the thread that parses, apart from what the script's length asks for.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Stack for each byte of a script. What makes the parser recurse without a bracket (`a=>a=>`, `x**x**`,
/// `class extends`) was measured to need at most 410 bytes of stack for a byte of source, unoptimized. The
/// operating system backs only what is used.
const STACK_BYTES_PER_BYTE: usize = 768;

/// Why a script does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {message}, at `{excerpt}`", place.line, place.column)]
pub struct ScriptError {
    /// What the parser said.
    pub message: String,
    /// Where in the page.
    pub place: Place,
    /// What stands there, at most 100 characters of that line.
    pub excerpt: String,
}

/// Everything that keeps a script of the page, or an `on…` attribute, from being parsed; in the order of the
/// page, at most 20. Errors that only show when names are resolved (a `const` declared twice) are not among
/// them.
pub fn check_scripts(page: &str) -> Vec<ScriptError> {
    let Ok(outline) = html::outline(page) else { return Vec::new() };
    let scripts = outline.scripts.iter().map(|script| script.content(page).len());
    let longest = scripts.chain(outline.handlers.iter().map(|handler| handler.value.len())).max();
    // One thread for all: a page may have a hundred thousand handlers.
    let mut found =
        on_deep_stack(longest.unwrap_or_default(), || find_errors(page, &outline)).unwrap_or_default();
    found.sort();
    found.truncate(ERRORS_MAX);
    found.into_iter().map(|(at, message)| locate(page, at, message)).collect()
}

/// Byte offsets and messages, scripts first.
fn find_errors(page: &str, outline: &Outline) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for script in &outline.scripts {
        let kind = script.script_kind();
        if kind == ScriptKind::Data {
            continue;
        }
        if script.end.is_none() {
            found.push((script.start.start, "the script has no end tag".to_owned()));
        } else if script.attribute("src").is_none() {
            let content = script.content(page);
            let errors = parse_errors(&page[content.clone()], goal(kind), false);
            found.extend(errors.into_iter().map(|(at, message)| (content.start + at, message)));
        }
    }
    for handler in &outline.handlers {
        // References move the columns; such a handler is pointed at as a whole.
        let source = resolve(&handler.value);
        let start = handler.value_start.unwrap_or_default();
        let moved = source.len() != handler.value.len();
        let errors = parse_errors(&source, SourceType::script(), true);
        found.extend(
            errors.into_iter().map(|(at, message)| (if moved { start } else { start + at }, message)),
        );
    }
    found
}

/// Whether a script can only be meant as a module: it imports or exports.
pub(crate) fn is_module(script: &str) -> bool {
    if too_deep(script).is_some() {
        return false;
    }
    on_deep_stack(script.len(), || {
        let allocator = Allocator::default();
        Parser::new(&allocator, script, SourceType::unambiguous()).parse().module_record.has_module_syntax
    })
    .unwrap_or(false)
}

fn goal(kind: ScriptKind) -> SourceType {
    match kind {
        ScriptKind::Module => SourceType::mjs(),
        ScriptKind::Classic | ScriptKind::Data => SourceType::script(),
    }
}

/// Byte offsets and messages.
fn parse_errors(script: &str, goal: SourceType, in_function: bool) -> Vec<(usize, String)> {
    if let Some(at) = too_deep(script) {
        return vec![(at, format!("brackets are nested more than {NESTING_MAX} deep"))];
    }
    let allocator = Allocator::default();
    let options = ParseOptions { allow_return_outside_function: in_function, ..ParseOptions::default() };
    let parsed = Parser::new(&allocator, script, goal).with_options(options).parse();
    let mut errors: Vec<_> = parsed.diagnostics.errors().map(describe).collect();
    if goal.is_script() && errors.is_empty() && parsed.module_record.has_module_syntax {
        let at = script.find("import").into_iter().chain(script.find("export")).min().unwrap_or_default();
        errors.push((at, "only a script of `type=\"module\"` can import or export".to_owned()));
    }
    errors
}

fn describe(error: &OxcDiagnostic) -> (usize, String) {
    let at = error.labels.first().map_or(0, |label| usize::try_from(label.offset()).unwrap_or_default());
    let message = match &error.help {
        Some(help) => format!("{} ({help})", error.message),
        None => error.message.to_string(),
    };
    (at, message)
}

/// Where brackets become too deep. Those in strings and comments count too: it is a guard, not a parser.
fn too_deep(script: &str) -> Option<usize> {
    let mut depth = 0_usize;
    script.bytes().position(|byte| {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > NESTING_MAX
    })
}

/// Runs a parse of scripts of at most so many bytes where none of them can overflow the stack. Without a thread
/// they count as not checked: the browser will judge them.
fn on_deep_stack<T: Send>(script_bytes_max: usize, parse: impl FnOnce() -> T + Send) -> Option<T> {
    let stack = STACK_BYTES + script_bytes_max * STACK_BYTES_PER_BYTE;
    let done = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("parse".to_owned()).stack_size(stack);
        let handle = thread.spawn_scoped(scope, parse).ok()?;
        handle.join().ok()
    });
    if done.is_none() {
        tracing::warn!(script_bytes_max, "scripts could not be parsed here");
    }
    done
}

fn locate(page: &str, at: usize, message: String) -> ScriptError {
    let at = page.floor_char_boundary(at.min(page.len()));
    let line_start = page[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let text = page[line_start..].lines().next().unwrap_or_default();
    let before = page[line_start..at].chars().count();
    let excerpt: String = text.chars().skip(before.saturating_sub(50)).take(100).collect();
    ScriptError { message, place: Place::START.after(&page[..at]), excerpt: excerpt.trim().to_owned() }
}

/// Resolves the character references that occur in code.
fn resolve(value: &str) -> String {
    let named =
        [("&quot;", "\""), ("&#34;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">")];
    let resolved = named.iter().fold(value.to_owned(), |text, (name, sign)| text.replace(name, sign));
    resolved.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(page: &str) -> Vec<(u32, u32)> {
        check_scripts(page).iter().map(|error| (error.place.line, error.place.column)).collect()
    }

    #[test]
    fn errors_are_placed_in_the_page() {
        let page = "<p>é</p>\n<script>\n  let x = ;\n</script>\n<script>ok()</script><b onclick='go('>";
        assert_eq!(check(page), [(3, 11), (5, 37)]);
        let error = &check_scripts(page)[0];
        assert!(error.to_string().starts_with("line 3, column 11: "), "{error}");
        assert!(error.to_string().ends_with("at `let x = ;`"), "{error}");
    }

    #[test]
    fn working_scripts_of_every_kind_pass() {
        for page in [
            "<script>const a = 1; for (const b of [a]) { b?.c ?? (() => {})(); }</script>",
            "<script type=module>import 'x'; await 1; export default 2</script>",
            "<script type=application/json>{\"a\": </script>",
            "<script type=importmap>{nonsense</script>",
            "<script src=gone.js>this is not { run</script>",
            "<a onclick=\"if (a &amp;&amp; b) return false; say(&quot;x&quot;)\" onload=''>",
            "<p>no script</p>",
        ] {
            assert_eq!(check_scripts(page), [], "{page}");
        }
    }

    #[test]
    fn scripts_that_no_browser_would_run_are_found() {
        for page in [
            "<script>return 1</script>",
            "<script>import x from 'y'</script>",
            "<script>await 1</script>",
            "<script>`open</script>",
            "<script>function (</script>",
            "<script>let a = 1; ]</script>",
            "<p><script>never closed()",
            "<i onclick='a b'>",
        ] {
            assert_ne!(check_scripts(page), [], "{page}");
        }
    }

    #[test]
    fn a_script_that_imports_or_exports_is_a_module() {
        assert!(is_module("import './a.js'"));
        assert!(is_module("export const a = 1"));
        assert!(!is_module("const a = import('b')"));
        assert!(!is_module("go()"));
    }

    #[test]
    fn endless_repetition_does_not_overflow_the_stack() {
        for part in [
            "(",
            "[",
            "{",
            "!",
            "new ",
            "x**",
            "a=>",
            "a=",
            "a?b:",
            "if(a){}else ",
            "for(;;)",
            "class extends ",
        ] {
            let script = part.repeat(250_000 / part.len());
            let page = format!("<script>{script}</script><a onclick=\"{script}\">");
            assert_ne!(check_scripts(&page), [], "{part}");
            is_module(&script);
        }
    }

    #[test]
    fn many_handlers_are_all_checked() {
        let page = format!("{}<b onx='a b'>", "<b onx=a>".repeat(30_000));
        assert_eq!(check_scripts(&page).len(), 1);
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(page in "(<script( type=module)?>|</script>|<a onclick='|[(){}`'\"&;=>a-c\\n]|\\PC)*") {
            for error in check_scripts(&page) {
                prop_assert!(error.place >= Place::START);
            }
        }
    }
}
