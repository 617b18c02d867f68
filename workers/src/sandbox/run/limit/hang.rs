//! A page that no longer answers: where it is, and what is said of it.

use std::time::Duration;

use chromiumoxide::cdp::js_protocol::debugger::{
    self, GetPossibleBreakpointsParams, Location, RemoveBreakpointParams, SetBreakpointParams,
};
use mondo_jobs::{
    finding::{FindingClass, StackFrame},
    place::Place,
    script::loops::{Loop, Loops},
};

use super::{CPU_SECS_MAX, watch::Silence};
use crate::sandbox::{
    browser::cdp::CdpError,
    findings::{
        Observation,
        stack::{self, place_of},
    },
    run::{Happened, Hung, Run, Stop},
};

/// The most calls whose loops are looked for, from the outermost: a function may call itself ten thousand times.
const CALLS_MAX: usize = 100;

/// The most looks for a loop that the page has left: one for each around the innermost, and some that find nothing.
const LOOKS_MAX: u32 = 10;

/// The most places of a loop at which a page is awaited. The first few are come to in every turn, or one after the loop
/// inside is.
const STOPS_MAX: usize = 20;

/// Processor seconds in which a page must come to the next turn of a loop; if it does not, it never leaves one inside.
const TURN_CPU_SECS_MAX: f64 = 0.4;

/// How often the processor time is read meanwhile, and how many times on a machine that gives the page none.
const READ_PERIOD: Duration = Duration::from_millis(20);
const READS_MAX: u32 = 100;

impl Run<'_> {
    /// Ends a page of which there is nothing more to learn.
    pub(in crate::sandbox::run) fn look_at_flood(&self) -> Result<(), Stop> {
        if self.findings.are_a_flood() { Err(Stop::Ended) } else { Ok(()) }
    }

    /// Reports a page that has used up its processor time.
    pub(in crate::sandbox::run) fn report_slow(&mut self) {
        let message =
            format!("the page is too slow: its use takes more than {CPU_SECS_MAX} s of processor time");
        self.found(Observation::blocking(FindingClass::Hang, &message, None));
    }

    /// Asks a hung page where it is and reports that: at the loop that it does not leave, where it is in one.
    pub(in crate::sandbox) async fn locate_hang(&mut self, silence: Silence) {
        if silence == Silence::Drawing {
            let message = "drawing one frame takes longer than 4 s of processor time";
            self.found(Observation::blocking(FindingClass::Hang, message, None));
            return;
        }
        self.watch_catches(false);
        self.hung = Hung::Asked;
        let mut calls = self.stopped().await.unwrap_or_default();
        let entered = self.never_left(&calls).await;
        // What else is under way when the page is stopped depends on when that is.
        let depth =
            entered.as_ref().map_or_else(|| outermost_call_of_itself(&calls), |entered| entered.depth);
        calls.drain(..calls.len() - depth);
        let mut stack: Vec<StackFrame> = calls.into_iter().map(|(_, call)| call).collect();
        let is_in_loop = entered.is_some();
        if let (Some(call), Some(entered)) = (stack.first_mut(), entered) {
            let Place { line, column } = entered.of.start;
            (call.line, call.column) = (line, column);
        }
        let function = stack.first().and_then(|call| call.function.as_deref());
        let message = [
            "the page stopped answering".to_owned(),
            function.map(|name| format!(" in function `{name}`")).unwrap_or_default(),
            if is_in_loop { ", in this loop".to_owned() } else { String::new() },
        ];
        let place = stack.first().map(place_of);
        self.found(Observation::blocking(FindingClass::Hang, &message.concat(), place).with_stack(stack));
    }

    /// The innermost loop of which a page that was stopped there comes to no other turn of a loop around it.
    async fn never_left(&mut self, calls: &[Call]) -> Option<Entered> {
        let source = self.source.to_owned();
        let loops = tokio::task::spawn_blocking(move || Loops::of(source)).await.ok()?;
        let mut entered = entered(&loops, calls);
        // A function that calls itself from a loop is in it many times over, and how often depends on the moment.
        let again = |one: &Entered| entered.iter().filter(|other| other.is_of(one)).count() > 1;
        if let Some(first) = entered.iter().position(again) {
            entered.truncate(first + 1);
            return entered.pop();
        }
        for _ in 0..LOOKS_MAX {
            let [.., outer, inner] = &entered[..] else { break };
            match self.next_turn(outer, inner).await {
                Ok(Turn::Come(calls)) => {
                    let now = self::entered(&loops, &calls);
                    let same = entered.iter().zip(now).take_while(|(one, other)| **one == *other).count();
                    entered.truncate(same);
                }
                // Nothing in it is only of its own: `while (true) for …`. Of the two, this is the one that does not end.
                Ok(Turn::NoPlace) => drop(entered.pop()),
                Ok(Turn::NotCome) | Err(_) => break,
            }
        }
        entered.pop()
    }

    /// Lets the page go on until it is in a loop, and not in one inside that.
    async fn next_turn(&mut self, outer: &Entered, inner: &Entered) -> Result<Turn, Stop> {
        let mut find = GetPossibleBreakpointsParams::new(location(&outer.script, outer.of.start));
        find.end = Some(location(&outer.script, outer.of.end));
        find.restrict_to_function = Some(true);
        let found = self.call(&find).await?.locations.into_iter().map(|found| {
            let mut place = Location::new(outer.script.clone(), found.line_number);
            place.column_number = found.column_number;
            place
        });
        let outside = found.filter(|place| outer.depth != inner.depth || !is_in(place, inner.of));
        let mut stops = Vec::new();
        for place in outside.take(STOPS_MAX) {
            match self.call(&SetBreakpointParams::new(place)).await {
                Ok(set) => stops.push(set.breakpoint_id),
                // It has one there.
                Err(Stop::Failed(CdpError::Refused { .. })) => {}
                Err(stop) => return Err(stop),
            }
        }
        if stops.is_empty() {
            return Ok(Turn::NoPlace);
        }
        let come = self.come_to_one().await?;
        for stop in stops {
            drop(self.page.send(&RemoveBreakpointParams::new(stop)));
        }
        Ok(come)
    }

    /// Lets the page go on until it comes to a breakpoint.
    async fn come_to_one(&mut self) -> Result<Turn, Stop> {
        self.hung = Hung::LetGo;
        self.call(&debugger::ResumeParams::default()).await?;
        self.alive();
        let before = self.cpu_secs().await?;
        for _ in 0..READS_MAX {
            self.until(READ_PERIOD, |run| run.paused.is_some()).await?;
            match self.paused.take() {
                Some(paused) if paused.hit_breakpoints.is_empty() => {
                    // A `debugger` statement.
                    self.call(&debugger::ResumeParams::default()).await?;
                }
                Some(paused) => return Ok(Turn::Come(stack::of_paused(&paused, &self.own_scripts))),
                None if self.cpu_secs().await? - before > TURN_CPU_SECS_MAX => break,
                None => {}
            }
        }
        Ok(Turn::NotCome)
    }

    /// Stops the page wherever it is. Gives the calls in its own scripts, the innermost first; nothing where it does not
    /// stop within as long as it takes to be noticed.
    async fn stopped(&mut self) -> Option<Vec<Call>> {
        drop(self.page.send(&debugger::PauseParams::default()));
        self.alive();
        while self.paused.is_none() {
            let Happened::Event(event) = self.next().await else { return None };
            self.on_event(*event).ok()?;
        }
        let paused = self.paused.take()?;
        Some(stack::of_paused(&paused, &self.own_scripts))
    }

    /// Reports that the page's time stands still though the page answers.
    pub(in crate::sandbox::run) fn report_stall(&mut self) {
        let message = "the page's time stands still: it keeps loading something for ever";
        self.found(Observation::blocking(FindingClass::Hang, message, None));
    }

    /// Reports a page in which more than one browser broke down.
    pub(in crate::sandbox) fn report_breakdown(&mut self) {
        let message = "the page breaks the browser down";
        self.found(Observation::blocking(FindingClass::Crash, message, None));
    }
}

/// A call that is under way, with the id of its script.
type Call = (String, StackFrame);

/// Whether a page has come to the next turn of a loop.
enum Turn {
    /// It has, and is in these calls.
    Come(Vec<Call>),
    NotCome,
    /// No place of the loop is only of its own.
    NoPlace,
}

/// A loop that one of several calls is in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entered {
    /// How many calls there are down to this one, itself included.
    depth: usize,
    script: String,
    of: Loop,
}

impl Entered {
    /// Whether both are of the same loop.
    fn is_of(&self, other: &Self) -> bool {
        (&self.script, self.of) == (&other.script, other.of)
    }
}

/// The loops that these calls are in, the outermost first.
fn entered(loops: &Loops, calls: &[Call]) -> Vec<Entered> {
    let outermost_first = (1..=CALLS_MAX).zip(calls.iter().rev());
    let of_call = |(depth, (script, call)): (usize, &Call)| {
        let loops = loops.around(place_of(call)).into_iter();
        loops.map(move |of| Entered { depth, script: script.clone(), of }).collect::<Vec<_>>()
    };
    outermost_first.flat_map(of_call).collect()
}

/// How many calls there are down to the first of a function that has called itself, through others or not; down to the
/// innermost where none has.
fn outermost_call_of_itself(calls: &[Call]) -> usize {
    let is_same = |(script, call): &Call, (other_script, other): &Call| {
        call.function.is_some() && call.function == other.function && script == other_script
    };
    let again = (1..=calls.len().min(CALLS_MAX)).find(|depth| {
        let (inner, outer) = calls.split_at(calls.len() - depth);
        outer.first().is_some_and(|call| inner.iter().any(|other| is_same(call, other)))
    });
    again.unwrap_or(calls.len())
}

/// For the browser, which counts from 0.
fn location(script: &str, place: Place) -> Location {
    let mut location = Location::new(script.to_owned(), i64::from(place.line) - 1);
    location.column_number = Some(i64::from(place.column) - 1);
    location
}

fn is_in(location: &Location, of: Loop) -> bool {
    let place = Place::from_zero_based(location.line_number, location.column_number.unwrap_or_default());
    let holds = |from: Place, to: Place| place.is_some_and(|place| (from..to).contains(&place));
    holds(of.start, of.end) && !of.before.is_some_and(|(from, to)| holds(from, to))
}
