//! The loops of a page's scripts: which of them a script is in that never ends.

use oxc_allocator::Allocator;
use oxc_ast::AstKind;
use oxc_ast_visit::Visit;
use oxc_parser::Parser;
use oxc_span::{GetSpan, Span};

use super::{goal, on_deep_stack, too_deep};
use crate::{
    html::{self, ScriptKind},
    place::{Place, bytes_before},
};

/// How far into a line loops are looked for, in bytes: longer ones are made by programs, and every look would walk them.
const LINE_BYTES_MAX: usize = 20_000;

/// The most loops around one place that are told, from the outermost.
const AROUND_MAX: usize = 10;

/// The loops of a page, and the functions they are in.
pub struct Loops {
    page: String,
    /// Where its lines begin, in bytes.
    lines: Vec<usize>,
    scopes: Vec<Scope>,
}

/// Where a loop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loop {
    /// Its first sign.
    pub start: Place,
    /// What follows it.
    pub end: Place,
    /// The same two places of what is run once, before it: what it counts from, or goes through.
    pub before: Option<(Place, Place)>,
}

/// A part of the page, in byte offsets.
struct Scope {
    kind: Kind,
    start: usize,
    end: usize,
    /// What of it is run once, before the loop.
    before: Option<(usize, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Function,
    Loop,
}

impl Loops {
    /// Finds them in every script that parses. Takes milliseconds: not for an async thread.
    pub fn of(page: String) -> Self {
        let lines: Vec<usize> =
            std::iter::once(0).chain(page.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let line_of = |at: usize| lines[lines.partition_point(|start| *start <= at) - 1];
        let mut scopes = scopes_of_page(&page);
        scopes.retain(|scope| [scope.start, scope.end].iter().all(|at| at - line_of(*at) <= LINE_BYTES_MAX));
        Self { page, lines, scopes }
    }

    /// The loops around a place that are in the same function as it, the outermost first.
    pub fn around(&self, place: Place) -> Vec<Loop> {
        let Some(at) = self.offset(place) else { return Vec::new() };
        let mut around: Vec<&Scope> = self.scopes.iter().filter(|scope| scope.holds(at)).collect();
        around.sort_by_key(|scope| scope.start);
        let own = around.rsplit(|scope| scope.kind == Kind::Function).next().unwrap_or_default();
        own.iter().take(AROUND_MAX).map(|scope| self.found(scope)).collect()
    }

    fn found(&self, scope: &Scope) -> Loop {
        let before = scope.before.map(|(start, end)| (self.place(start), self.place(end)));
        Loop { start: self.place(scope.start), end: self.place(scope.end), before }
    }

    fn offset(&self, place: Place) -> Option<usize> {
        let start = *self.lines.get(usize::try_from(place.line).ok()?.checked_sub(1)?)?;
        if usize::try_from(place.column).ok()? > LINE_BYTES_MAX {
            return None;
        }
        let line = self.page[start..].split('\n').next()?;
        Some(start + bytes_before(line, place.column)?)
    }

    fn place(&self, at: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= at);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        Place { line, column: 1 }.after(&self.page[start..at])
    }
}

impl Scope {
    fn holds(&self, at: usize) -> bool {
        let before = self.before.is_some_and(|(start, end)| (start..end).contains(&at));
        (self.start..self.end).contains(&at) && !before
    }
}

fn scopes_of_page(page: &str) -> Vec<Scope> {
    let Ok(outline) = html::outline(page) else { return Vec::new() };
    let mut scripts = Vec::new();
    for script in &outline.scripts {
        let (kind, content) = (script.script_kind(), script.content(page));
        let inline = script.end.is_some() && script.attribute("src").is_none();
        if inline && kind != ScriptKind::Data && too_deep(&page[content.clone()]).is_none() {
            scripts.push((content, goal(kind)));
        }
    }
    let longest = scripts.iter().map(|(content, _)| content.len()).max();
    // One thread for all: a page may have tens of thousands.
    let found = on_deep_stack(longest.unwrap_or_default(), || {
        let mut finder = Finder { offset: 0, scopes: Vec::new() };
        for (content, goal) in scripts {
            let allocator = Allocator::default();
            finder.offset = content.start;
            let parsed = Parser::new(&allocator, &page[content], goal).parse();
            finder.visit_program(&parsed.program);
        }
        finder.scopes
    });
    found.unwrap_or_default()
}

struct Finder {
    offset: usize,
    scopes: Vec<Scope>,
}

impl Finder {
    fn found(&mut self, kind: Kind, span: Span, before: Option<Span>) {
        let at = |offset: u32| self.offset + usize::try_from(offset).unwrap_or_default();
        let before = before.map(|before| (at(before.start), at(before.end)));
        self.scopes.push(Scope { kind, start: at(span.start), end: at(span.end), before });
    }
}

impl<'a> Visit<'a> for Finder {
    fn enter_node(&mut self, kind: AstKind<'a>) {
        match kind {
            AstKind::WhileStatement(_) | AstKind::DoWhileStatement(_) => {
                self.found(Kind::Loop, kind.span(), None);
            }
            AstKind::ForStatement(of) => {
                self.found(Kind::Loop, of.span, of.init.as_ref().map(GetSpan::span));
            }
            AstKind::ForInStatement(of) => self.found(Kind::Loop, of.span, Some(of.right.span())),
            AstKind::ForOfStatement(of) => self.found(Kind::Loop, of.span, Some(of.right.span())),
            AstKind::Function(_)
            | AstKind::ArrowFunctionExpression(_)
            | AstKind::StaticBlock(_)
            | AstKind::PropertyDefinition(_) => self.found(Kind::Function, kind.span(), None),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Place {
        Place { line, column }
    }

    /// The loops around the sign `@`, which is left out.
    fn around(marked: &str) -> Vec<(u32, u32)> {
        let (before, after) = marked.split_once('@').unwrap();
        let around = Loops::of([before, after].concat()).around(Place::START.after(before));
        around.into_iter().map(|found| (found.start.line, found.start.column)).collect()
    }

    #[test]
    fn a_loop_ends_before_what_follows_it() {
        let loops = Loops::of("<script>\nwhile (a) {\n}; b()\n</script>".to_owned());
        assert_eq!(loops.around(at(2, 8)), [Loop { start: at(2, 1), end: at(3, 2), before: None }]);
        let loops = Loops::of("<script>for (const a of b()) {}</script>".to_owned());
        let before = Some((at(1, 25), at(1, 28)));
        assert_eq!(loops.around(at(1, 20)), [Loop { start: at(1, 9), end: at(1, 32), before }]);
    }

    #[test]
    fn loops_of_every_kind_are_found_the_outermost_first() {
        for (marked, found) in [
            ("<script>while (on) {@}</script>", vec![(1, 9)]),
            ("<script>while (@on) {}</script>", vec![(1, 9)]),
            ("<script>\n  for (;;)\n do @go(); while (1)</script>", vec![(2, 3), (3, 2)]),
            (
                "<script type=module>for (const a in b) for (const c of a) {@}</script>",
                vec![(1, 21), (1, 40)],
            ),
            ("<b>é🙂</b><script>while (1) @go()</script>", vec![(1, 19)]),
            ("<script>for (const a in b) {@}</script>", vec![(1, 9)]),
            ("<script>for (;;) {} @</script>", vec![]),
            ("<script src=x>while (1) @go()</script>", vec![]),
            ("<p>while (1) @go()", vec![]),
        ] {
            assert_eq!(around(marked), found, "{marked}");
        }
    }

    #[test]
    fn what_is_run_before_a_loop_is_not_in_it() {
        for marked in ["for (let a = @b(); a; ) {}", "for (const a of @b()) {}", "for (const a in @b()) {}"] {
            assert_eq!(around(&format!("<script>{marked}</script>")), [], "{marked}");
        }
        assert_eq!(around("<script>for (let a = 1; @a; ) {}</script>"), [(1, 9)]);
    }

    #[test]
    fn a_function_in_a_loop_is_not_in_it() {
        for marked in [
            "while (1) all.some(() => @one())",
            "while (1) (function () { @one() })()",
            "while (1) class A { b = @one() }",
            "while (1) class A { static { @one() } }",
            "while (1) ({ a() { @one() } })",
        ] {
            assert_eq!(around(&format!("<script>{marked}</script>")), [], "{marked}");
        }
    }

    #[test]
    fn a_place_outside_the_page_is_in_no_loop() {
        let loops = Loops::of("<script>while (1) {}</script>".to_owned());
        for (line, column) in [(0, 0), (1, 0), (2, 1), (1, 9000), (u32::MAX, u32::MAX)] {
            assert_eq!(loops.around(at(line, column)), [], "{line}:{column}");
        }
    }

    #[test]
    fn endless_repetition_does_not_overflow_the_stack() {
        for (part, loops) in [
            ("! ", 0),
            ("new ", 0),
            ("x**", 0),
            ("a=>", 0),
            ("a=", 0),
            ("a?b:", 0),
            ("if(a){}else ", 0),
            ("a.", 0),
            ("- ", 0),
            ("for(;;)", AROUND_MAX),
            ("while(1)", AROUND_MAX),
        ] {
            let long = format!("<script>{}a</script>", part.repeat(250_000 / part.len()));
            assert_eq!(Loops::of(long).around(at(1, 500)), [], "{part}: its line is too long");
            let short = format!("<script>{}a;</script>", part.repeat(100));
            let last = u32::try_from("<script>".len() + 100 * part.len() + 1).unwrap();
            assert_eq!(Loops::of(short).around(at(1, last)).len(), loops, "{part}");
        }
    }

    #[test]
    fn a_call_of_a_call_without_end_does_not_overflow_the_stack() {
        let page = format!("<script>while (1) {{\nb;\n}}\na{}</script>", "()".repeat(120_000));
        assert_eq!(Loops::of(page).around(at(2, 1)).len(), 1);
    }
}
