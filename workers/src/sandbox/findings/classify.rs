//! Decides what an event of the browser means for the page: which class of finding, and whether it blocks.

use mondo_jobs::{
    finding::{Coverage, FindingClass},
    place::Place,
};
use serde::Deserialize;

use super::{Observation, stack};
use crate::sandbox::{
    browser::{
        events::{
            ConsoleCalled, DialogOpening, ExceptionDetails, LogEntry, RemoteObject, RequestPaused, StackTrace,
        },
        json,
    },
    run::{input::keys, look::coverage, page::PAGE_URL},
};

/// An exception that nobody caught.
pub(in crate::sandbox) fn exception(details: &ExceptionDetails, source: &str) -> Observation {
    let text = details.exception.as_ref().map_or_else(|| details.text.clone(), RemoteObject::text);
    // The very first character is where the browser puts what it has no place for.
    let somewhere = (details.line_number, details.column_number) != (0, 0);
    let own = somewhere && details.url.as_deref() == Some(PAGE_URL);
    let own = own && (details.line_number > 0 || has_code(source.lines().next().unwrap_or_default()));
    let direct = Place::from_zero_based(details.line_number, details.column_number).filter(|_| own);
    let place = direct.or_else(|| in_page(details.stack_trace.as_ref()));
    let stack = stack::of_trace(details.stack_trace.as_ref());
    let stack = if stack.is_empty() { stack::in_text(&text) } else { stack };
    error(&text, details.text.contains("(in promise)"), named(&text, source, place).or(place))
        .with_stack(stack)
}

/// Whether there can be code in a line of the page. In the attribute of an element that a script made, the browser counts
/// from the attribute: the first line is meant only where it holds code.
fn has_code(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let handles = |rest: &str| {
        let name = rest.trim_start_matches(|symbol: char| symbol.is_ascii_alphabetic());
        name.len() < rest.len() && name.trim_start().starts_with('=')
    };
    line.contains("<script") || line.contains("javascript:") || line.split("on").skip(1).any(handles)
}

/// The browser gives the place of the whole script, or none, for what it notices before a script runs. The message
/// names what it is about.
fn named(message: &str, source: &str, place: Option<Place>) -> Option<Place> {
    if let Some(rest) = message.strip_prefix("SyntaxError: Identifier '") {
        let name = rest.split('\'').next()?;
        let declared = ["const", "let", "class", "function", "var"].map(|word| format!("{word} {name}"));
        let script = place.map_or(0, |place| place.line);
        return declared
            .iter()
            .filter_map(|text| find_from(source, text, script))
            .min_by_key(|found| found.line);
    }
    let rest = message.strip_prefix("TypeError: Failed to resolve module specifier \"")?;
    let name = rest.split('"').next()?;
    ['\'', '"'].iter().find_map(|quote| find(source, &format!("{quote}{name}{quote}")))
}

fn error(text: &str, rejected: bool, place: Option<Place>) -> Observation {
    let message = text.split("\n    at ").next().unwrap_or(text);
    // With a stack of the page's it was thrown by running code: `JSON.parse`, `new Function`.
    let thrown = text.contains("\n    at JSON.") || text.contains(&format!("{PAGE_URL}:"));
    let class = if rejected {
        FindingClass::Rejection
    } else if message.starts_with("SyntaxError") && !thrown {
        FindingClass::Syntax
    } else if message.starts_with("TypeError") {
        FindingClass::Type
    } else if message.starts_with("ReferenceError") {
        FindingClass::Reference
    } else {
        FindingClass::Exception
    };
    Observation::blocking(class, message, place)
}

/// Of what a page throws and catches itself, what nobody throws on purpose: nothing but a mistake of the page's. A page may well
/// look for a thing by trying, and refuse what it was given by throwing.
const MISTAKES: [&str; 9] = [
    "is not a function",
    "is not a constructor",
    "is not iterable",
    "Cannot read properties of",
    "Cannot set properties of",
    "Cannot destructure property",
    "Cannot convert undefined or null to object",
    "Assignment to constant variable",
    "Reduce of empty array",
];

/// A mistake that the page catches, as if it had not been made. A page whose `source` names that kind of error expects it.
pub(in crate::sandbox) fn mistake(text: &str, source: &str) -> Option<Observation> {
    let message = first_line(text);
    if message.split(':').next().is_some_and(|kind| source.contains(kind)) {
        return None;
    }
    let of_type = message.starts_with("TypeError: ") && MISTAKES.iter().any(|words| message.contains(words));
    let class = if of_type {
        FindingClass::Type
    } else if message.starts_with("ReferenceError: ") {
        FindingClass::Reference
    } else {
        return None;
    };
    Some(Observation::advice(class, &message, None))
}

/// What `init.js` sends: kind, text, file, line and column from 1 (0 for nowhere).
#[derive(Deserialize)]
struct Announced(String, String, String, i64, i64);

/// What `init.js` has to say.
#[derive(Debug)]
pub(in crate::sandbox) enum Announcement {
    /// An error that the page's listeners were told of, and that the browser reports next unless it is kept from it.
    Suspect(Observation),
    /// Something that the browser does not report.
    Found(Observation),
    /// The page asks for frame after frame.
    Animates,
    /// What the page listens to, and what of it was reached.
    Covered(Coverage),
}

/// Reads what `init.js` sent; the page's `source` says which keys it means to handle.
pub(in crate::sandbox) fn announced(payload: &str, source: &str) -> Option<Announcement> {
    let Announced(kind, text, file, line, column) = json::from_text(payload).ok()?;
    let first = text.lines().next().unwrap_or_default();
    Some(match kind.as_str() {
        "animates" => Announcement::Animates,
        "covered" => Announcement::Covered(coverage::read(&text)?),
        "evaluated" => Announcement::Found(text_as_code(in_stack(&text)).with_stack(stack::in_text(&text))),
        "frozen" => {
            let message = "the page waits for its clock in a loop, and is frozen meanwhile";
            let found = Observation::advice(FindingClass::Slow, message, in_stack(&text));
            Announcement::Found(found.with_stack(stack::in_text(&text)))
        }
        "scroll" if !keys::handles(source, &text, &file) || keys::prevents(source, &text, &file) => {
            return None;
        }
        "scroll" => {
            let message = "a key that the page handles scrolls it as well; call preventDefault";
            Announcement::Found(Observation::advice(FindingClass::Scroll, message, None))
        }
        "dropless" if may_allow_drops(source) => return None,
        "dropless" => {
            let message = "nothing can be dropped: the page listens to \"drop\", which is sent only where it prevents \"dragover\"";
            let place = find(source, "'dragover'").or_else(|| find(source, "\"dragover\""));
            Announcement::Found(Observation::advice(FindingClass::Control, message, place))
        }
        "again" => {
            let message = format!(
                "{first} is given the same listener to \"{file}\" whenever the page is used, and does more each time"
            );
            let found = Observation::advice(FindingClass::Control, &message, in_stack(&text));
            Announcement::Found(found.with_stack(stack::in_text(&text)))
        }
        "deaf" => {
            let message = format!(
                "nothing listens to {first} any more: the page has written it anew, and \"{file}\" with the old one"
            );
            let id = first.split_once('#').map_or("", |(_, id)| id);
            let place = [format!("id=\"{id}\""), format!("id='{id}'")].iter().find_map(|id| find(source, id));
            Announcement::Found(Observation::advice(FindingClass::Control, &message, place))
        }
        "appended" => {
            let message =
                format!("{first} hears nothing any more: `innerHTML +=` writes all that is there anew");
            let found = Observation::advice(FindingClass::Control, &message, in_stack(&text));
            Announcement::Found(found.with_stack(stack::in_text(&text)))
        }
        "misplaced" => {
            let message = format!("what a press at {first} draws is drawn elsewhere: {file}");
            let place = ["clientX", "pageX", "offsetX"].iter().find_map(|name| find(source, name));
            Announcement::Found(Observation::advice(FindingClass::Control, &message, place))
        }
        "unheard" => {
            let message = "a worker that the page has ended is sent a message, and does not answer";
            let found = Observation::advice(FindingClass::Control, message, in_stack(&text));
            Announcement::Found(found.with_stack(stack::in_text(&text)))
        }
        "fingerless" => {
            let message =
                format!("`{first}` is undefined in a touch: the places of its fingers are in `touches`");
            let found = Observation::advice(FindingClass::Control, &message, in_stack(&text));
            Announcement::Found(found.with_stack(stack::in_text(&text)))
        }
        "stretched" if KNOWS_SIZES.iter().any(|name| source.contains(name)) => return None,
        "stretched" => {
            let message = format!("a press lands elsewhere: {first}, and the page does not reckon with that");
            let found = Observation::advice(FindingClass::Control, &message, in_stack(&text));
            Announcement::Found(found.with_stack(stack::in_text(&text)))
        }
        "typeless" if ASKS_FOR_FIELD.iter().any(|asked| source.contains(asked)) => return None,
        "typeless" => {
            let key = if first == " " { "Space" } else { first };
            let message =
                format!("{file} does not get the key {key}: the page prevents it, wherever it is typed");
            Announcement::Found(Observation::advice(FindingClass::Control, &message, None))
        }
        "graphics" => {
            let found = Observation::blocking(FindingClass::Graphics, first, in_stack(&text));
            Announcement::Found(found.with_stack(stack::in_text(&text)))
        }
        "lost" => {
            let message = format!("{first} is given NaN, and draws nothing");
            let found = Observation::advice(FindingClass::Graphics, &message, in_stack(&text));
            Announcement::Found(found.with_stack(stack::in_text(&text)))
        }
        "policy" => {
            let message = format!("{first} is refused to a sandboxed page");
            let found = Observation::advice(FindingClass::Policy, &message, in_stack(&text));
            Announcement::Found(found.with_stack(stack::in_text(&text)))
        }
        _ => {
            let direct = Place::from_zero_based(line - 1, column - 1).filter(|_| file == PAGE_URL);
            let text = text.strip_prefix("Uncaught ").unwrap_or(&text);
            let place = direct.or_else(|| in_stack(text));
            Announcement::Suspect(error(text, kind == "rejection", place).with_stack(stack::in_text(text)))
        }
    })
}

/// By these a page asks which field has a key, and may keep from one what it is not to have.
const ASKS_FOR_FIELD: [&str; 6] =
    ["target.matches", "target.closest", "target.tagName", "target.id", "target.type", "activeElement"];

/// By these a page may know how large a canvas is shown without asking for its place, or made it as large as that.
const KNOWS_SIZES: [&str; 6] =
    ["devicePixelRatio", "clientWidth", "offsetWidth", "innerWidth", "getComputedStyle", "contentRect"];

/// Whether a listener to "dragover" or "dragenter" may prevent it, if only now and then: it does somewhere in what follows, or
/// that is to be found elsewhere.
fn may_allow_drops(source: &str) -> bool {
    ["dragover", "dragenter"].iter().flat_map(|name| source.match_indices(name)).any(|(at, name)| {
        let after: String = source[at + name.len()..].chars().take(LISTENER_CHARS).collect();
        // Up to the next listener.
        let after = after.split("addEventListener").next().unwrap_or_default();
        let is_here = after.contains("=>") || after.contains("function");
        !is_here || after.contains("preventDefault") || after.contains("return false")
    })
}

/// How far behind its name the code of a listener is looked for.
const LISTENER_CHARS: usize = 300;

/// Code made from text while the page runs: `eval`, `new Function`.
pub(in crate::sandbox) fn evaluated(trace: Option<&StackTrace>) -> Option<Observation> {
    let place = in_page(trace)?;
    Some(text_as_code(Some(place)).with_stack(stack::of_trace(trace)))
}

fn text_as_code(place: Option<Place>) -> Observation {
    let message = "code is made from text, as with eval; a stricter page forbids it";
    Observation::advice(FindingClass::Policy, message, place)
}

/// The first place in a stack's text that is in the page.
fn in_stack(text: &str) -> Option<Place> {
    stack::in_text(text).first().map(stack::place_of)
}

/// A message on the page's console, where it matters. A page that reports an error by itself has failed in its
/// own eyes, most often in a `catch` that hides the exception, so it blocks like the exception.
pub(in crate::sandbox) fn console(called: &ConsoleCalled) -> Option<Observation> {
    let prefix = match called.r#type.as_str() {
        "error" => "",
        "assert" => "assertion failed: ",
        _ => return None,
    };
    let words: Vec<_> = called.args.iter().map(|argument| first_line(&argument.text())).collect();
    let message = format!("{prefix}{}", words.join(" "));
    let place = in_page(called.stack_trace.as_ref());
    let stack = stack::of_trace(called.stack_trace.as_ref());
    Some(Observation::blocking(FindingClass::Console, &message, place).with_stack(stack))
}

fn first_line(text: &str) -> String {
    text.split("\n    at ").next().unwrap_or(text).to_owned()
}

/// A line that the browser itself wrote to the log.
pub(in crate::sandbox) fn log(entry: &LogEntry, source: &str) -> Option<Observation> {
    let direct = entry
        .line_number
        .filter(|_| entry.url.as_deref() == Some(PAGE_URL))
        .and_then(|line| Place::from_zero_based(line, 0));
    let place = in_page(entry.stack_trace.as_ref()).or(direct);
    if entry.text.starts_with("WebSocket connection to") {
        let url = entry.text.split('\'').nth(1).unwrap_or_default();
        let message = format!("WebSocket {url} is not part of the page; blocked");
        return Some(Observation::blocking(
            FindingClass::External,
            &message,
            place.or_else(|| find(source, url)),
        ));
    }
    if let Some(call) = entry.text.strip_prefix("Ignored call to '") {
        let name = call.split('\'').next().unwrap_or_default();
        let message = format!("{name} shows nothing: a sandboxed page may not open dialogs");
        return Some(Observation::blocking(FindingClass::Dialog, &message, place));
    }
    let blocked_by_sandbox =
        ["Blocked form submission", "Blocked opening", "Unsafe attempt to initiate navigation"];
    if blocked_by_sandbox.iter().any(|start| entry.text.starts_with(start)) {
        return Some(Observation::advice(FindingClass::Navigation, &entry.text, place));
    }
    let refused_by_page = entry.text.contains("violates the following Content Security Policy");
    if refused_by_page {
        return Some(Observation::blocking(FindingClass::Browser, &entry.text, place));
    }
    // What failed on the network is reported from the request itself; a worker's errors come from its session.
    let told_elsewhere = matches!(entry.source.as_str(), "network" | "worker");
    (entry.level == "error" && !told_elsewhere)
        .then(|| Observation::advice(FindingClass::Browser, &entry.text, place))
}

/// A dialog that the browser would open.
pub(in crate::sandbox) fn dialog(dialog: &DialogOpening) -> Observation {
    let message = format!("{}(\"{}\") shows nothing to the consumer's page", dialog.r#type, dialog.message);
    Observation::blocking(FindingClass::Dialog, &message, None)
}

/// A request for something that is not in the page; `source` is searched for where it was asked.
pub(in crate::sandbox) fn request(request: &RequestPaused, source: &str) -> Option<Observation> {
    let url = request.request.url.as_str();
    if url.ends_with("/favicon.ico") {
        return None;
    }
    let kind = request.resource_type.to_ascii_lowercase();
    let relative = url.strip_prefix(PAGE_URL);
    let place = find(source, relative.unwrap_or(url));
    let (class, message) = match relative {
        Some(path) => (FindingClass::Resource, format!("{kind} `{path}` is not part of the page")),
        None => (FindingClass::External, format!("{kind} {url} is on another host; blocked")),
    };
    let needed = !matches!(
        request.resource_type.as_str(),
        "Font" | "Media" | "TextTrack" | "Prefetch" | "Manifest" | "Ping" | "CSPViolationReport"
    );
    Some(if needed {
        Observation::blocking(class, &message, place)
    } else {
        Observation::advice(class, &message, place)
    })
}

/// The page goes somewhere else.
pub(in crate::sandbox) fn navigation(url: &str, source: &str) -> Observation {
    let place = find(source, url.strip_prefix(PAGE_URL).unwrap_or(url));
    Observation::advice(FindingClass::Navigation, &format!("the page tried to go to {url}"), place)
}

/// The first place of a text in the source.
pub(in crate::sandbox) fn find(source: &str, text: &str) -> Option<Place> {
    find_from(source, text, 1)
}

/// The first place of an element in the source, by its opening tag as the browser writes it, or else by its id.
pub(in crate::sandbox) fn find_tag(source: &str, tag: &str) -> Option<Place> {
    find(source, tag).or_else(|| {
        let id = tag.split(" id=\"").nth(1)?.split('"').next()?;
        find(source, &format!(" id=\"{id}\""))
    })
}

/// The first place of a text in the source from a line on.
fn find_from(source: &str, text: &str, line: u32) -> Option<Place> {
    if text.len() < 3 {
        return None;
    }
    let skipped: usize =
        source.split_inclusive('\n').take(line.saturating_sub(1) as usize).map(str::len).sum();
    let start = skipped + source.get(skipped..)?.find(text)?;
    Some(Place::START.after(source.get(..start)?))
}

fn in_page(trace: Option<&StackTrace>) -> Option<Place> {
    stack::of_trace(trace).first().map(stack::place_of)
}

#[cfg(test)]
mod tests {
    use mondo_jobs::finding::Severity;

    use super::*;

    fn class(text: &str, rejected: bool) -> FindingClass {
        error(text, rejected, None).class
    }

    #[test]
    fn drops_are_refused_only_where_no_listener_could_allow_them() {
        let listens = |listener: &str| {
            format!(
                "shelf.addEventListener('dragover', {listener});\nshelf.addEventListener('drop', (event) => event.preventDefault());"
            )
        };
        assert!(!may_allow_drops(&listens("() => shelf.classList.add('over')")));
        assert!(may_allow_drops(&listens("(event) => { if (fits(event)) event.preventDefault(); }")));
        assert!(may_allow_drops(&listens("allow")), "it is elsewhere");
        assert!(!may_allow_drops("shelf.ondrop = take"), "nothing listens");
    }

    #[test]
    fn a_syntax_error_thrown_by_running_code_is_an_exception() {
        assert_eq!(class("SyntaxError: Unexpected token ')'", false), FindingClass::Syntax);
        assert_eq!(
            class("SyntaxError: bad\n    at JSON.parse (<anonymous>)", false),
            FindingClass::Exception
        );
    }

    #[test]
    fn a_mistake_is_told_from_what_is_thrown_on_purpose() {
        let caught =
            |text: &str| mistake(text, "try { go() } catch {}").map(|found| (found.class, found.severity));
        let advice = |class| Some((class, Severity::Advice));
        let read = "TypeError: Cannot read properties of undefined (reading 'x')\n    at go (https://sandbox.invalid/:1:1)";
        assert_eq!(caught(read), advice(FindingClass::Type));
        assert_eq!(caught("ReferenceError: go is not defined"), advice(FindingClass::Reference));
        assert_eq!(caught("TypeError: Failed to construct 'URL': Invalid URL"), None);
        assert_eq!(caught("Error: the range needs two numbers"), None);
        assert_eq!(mistake(read, "catch (error) { if (error instanceof TypeError) say('none') }"), None);
    }

    #[test]
    fn errors_are_classed_by_name_and_rejections_as_such() {
        assert_eq!(class("TypeError: x", false), FindingClass::Type);
        assert_eq!(class("ReferenceError: x", false), FindingClass::Reference);
        assert_eq!(class("RangeError: x", false), FindingClass::Exception);
        assert_eq!(class("TypeError: x", true), FindingClass::Rejection);
    }

    #[test]
    fn a_line_with_a_script_or_a_handler_has_code() {
        for (line, code) in [
            ("<!DOCTYPE html><SCRIPT>", true),
            ("<p\tonClick = 'go()'>", true),
            ("<a href=JavaScript:go()>", true),
            ("<!-- based on one of two, only -->", false),
            ("<!DOCTYPE html>", false),
        ] {
            assert_eq!(has_code(line), code, "{line}");
        }
    }

    #[test]
    fn an_element_is_found_by_its_tag_or_its_id() {
        let source = "<p>\n<input id=\"name\" readonly>\n<p class=\"b\">";
        let line = |tag: &str| find_tag(source, tag).map(|place| place.line);
        assert_eq!(line("<input id=\"name\" readonly=\"\""), Some(2));
        assert_eq!(line("<p class=\"b\""), Some(3));
        assert_eq!(line("<p class=\"c\""), None);
    }

    #[test]
    fn a_request_is_found_in_the_source() {
        assert_eq!(find("<a>\nä <img src=\"cat.png\">", "cat.png"), Some(Place { line: 2, column: 13 }));
        assert_eq!(find("<a>", "dog.png"), None);
    }
}
