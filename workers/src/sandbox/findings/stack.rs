//! The calls that led to a failure, as far as they are in the page's own source.

use std::collections::HashSet;

use mondo_jobs::{
    finding::{
        StackFrame,
        bounds::{FUNCTION_CHARS_MAX, STACK_FRAMES_MAX},
    },
    place::Place,
};

use crate::sandbox::{
    browser::events::{Paused, StackTrace},
    run::page::PAGE_URL,
};

/// Where a call is.
pub(in crate::sandbox) fn place_of(frame: &StackFrame) -> Place {
    Place { line: frame.line, column: frame.column }
}

/// From a stack of the protocol.
pub(in crate::sandbox) fn of_trace(trace: Option<&StackTrace>) -> Vec<StackFrame> {
    let frames = trace.into_iter().flat_map(|trace| &trace.call_frames);
    let own = frames.filter(|frame| frame.url == PAGE_URL);
    let placed = own.filter_map(|frame| {
        let place = Place::from_zero_based(frame.line_number, frame.column_number)?;
        Some(self::frame(&frame.function_name, place))
    });
    placed.take(STACK_FRAMES_MAX).collect()
}

/// From where a paused page is: all frames of the page's own scripts with these ids, each with its script's.
pub(in crate::sandbox) fn of_paused(paused: &Paused, own: &HashSet<String>) -> Vec<(String, StackFrame)> {
    let frames = paused.call_frames.iter().filter(|frame| own.contains(&frame.location.script_id));
    let placed = frames.filter_map(|frame| {
        let place = Place::from_zero_based(frame.location.line_number, frame.location.column_number)?;
        Some((frame.location.script_id.clone(), self::frame(&frame.function_name, place)))
    });
    placed.collect()
}

/// From the text of an error, whose lines are `    at draw (https://sandbox.invalid/:12:5)`.
pub(in crate::sandbox) fn in_text(text: &str) -> Vec<StackFrame> {
    text.lines().filter_map(line).take(STACK_FRAMES_MAX).collect()
}

fn line(line: &str) -> Option<StackFrame> {
    let (before, after) = line.split_once(&format!("{PAGE_URL}:"))?;
    let mut numbers = after.split(|symbol: char| !symbol.is_ascii_digit());
    let place = Place { line: numbers.next()?.parse().ok()?, column: numbers.next()?.parse().ok()? };
    let name =
        before.trim_start().strip_prefix("at ").and_then(|rest| rest.split_once(" (")).map(|(name, _)| name);
    Some(frame(name.unwrap_or_default(), place))
}

/// The same call from the protocol and from a text gives the same frame.
fn frame(function: &str, place: Place) -> StackFrame {
    let name = function.trim_start_matches("async ").trim_start_matches("new ");
    let name = name.rsplit_once(" [as ").map_or(name, |(name, _)| name);
    let name = name.rsplit('.').next().unwrap_or(name);
    let known = !name.is_empty() && name != "<anonymous>";
    StackFrame {
        function: known.then(|| name.chars().take(FUNCTION_CHARS_MAX).collect()),
        file: None,
        line: place.line,
        column: place.column,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        in_text(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn frames_are_read_from_the_text_of_an_error() {
        let text = "Error: x\n    at f (https://sandbox.invalid/:12:5)\n    at new Game (https://sandbox.invalid/:3:9)\n    \
                    at Array.map (<anonymous>)\n    at https://sandbox.invalid/:20:1";
        assert_eq!(words(text), ["page:12:5 f", "page:3:9 Game", "page:20:1"]);
        assert!(words("Error: x\n    at <anonymous>").is_empty());
    }

    #[test]
    fn a_stack_is_of_bounded_length() {
        let text = "    at dig (https://sandbox.invalid/:1:1)\n".repeat(500);
        assert_eq!(words(&text).len(), STACK_FRAMES_MAX);
    }
}
