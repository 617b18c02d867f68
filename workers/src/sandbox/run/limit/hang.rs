//! A page that no longer answers: where it is, and what is said of it.

use std::time::Duration;

use chromiumoxide::cdp::js_protocol::debugger::{
    self, GetPossibleBreakpointsParams, Location, RemoveBreakpointParams, SetBreakpointParams,
};
use mondo_jobs::{
    finding::{FindingClass, StackFrame},
    script::loops::{Loop, Loops},
};

use super::{CPU_SECS_MAX, watch::Silence};
use crate::sandbox::{
    findings::{
        Observation,
        stack::{self, place_of},
    },
    run::{Happened, Run, Stop},
};

/// The most calls whose loops are looked for, from the outermost: a function may call itself ten thousand times.
const CALLS_MAX: usize = 100;

/// How often a hung page is looked at for a loop that it has left: where a function calls itself, no look is the last.
const LOOKS_MAX: u32 = 20;

/// The most places of a loop at which a page is awaited.
const STOPS_MAX: usize = 20;

/// Processor seconds in which a page must come to the next turn of a loop; if it does not, one inside it never ends.
const TURN_CPU_SECS_MAX: f64 = 0.1;

/// How often the processor time is read meanwhile, and how many times on a machine that gives the page none.
const READ_PERIOD: Duration = Duration::from_millis(10);
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

    /// Asks a hung page where it is and reports that: the loop that does not end, where it is in one.
    pub(in crate::sandbox) async fn locate_hang(&mut self, silence: Silence) {
        if silence == Silence::Drawing {
            let message = "drawing one frame takes longer than 4 s of processor time";
            self.found(Observation::blocking(FindingClass::Hang, message, None));
            return;
        }
        self.locating = true;
        let mut endless = false;
        let mut stopped = self.stopped().await.unwrap_or_default();
        // What else is under way when the page is stopped depends on when that is.
        match self.endless_loop(&stopped).await {
            Some(Around { depth, of, .. }) => {
                stopped.drain(..stopped.len() - depth);
                if let Some((_, call)) = stopped.first_mut() {
                    (call.line, call.column) = of.start;
                    endless = true;
                }
            }
            None => drop(stopped.drain(..calls_of_itself(&stopped))),
        }
        let calls: Vec<StackFrame> = stopped.into_iter().map(|(_, call)| call).collect();
        let function = calls.first().and_then(|call| call.function.as_deref());
        let message = [
            "the page stopped answering".to_owned(),
            function.map(|name| format!(" in function `{name}`")).unwrap_or_default(),
            if endless { ": this loop does not end".to_owned() } else { String::new() },
        ];
        let place = calls.first().map(place_of);
        self.found(Observation::blocking(FindingClass::Hang, &message.concat(), place).with_stack(calls));
    }

    /// The loop that a page which was stopped there does not leave: the innermost around which no other goes on.
    async fn endless_loop(&mut self, stopped: &[Call]) -> Option<Around> {
        let source = self.source.to_owned();
        let loops = tokio::task::spawn_blocking(move || Loops::of(source)).await.ok()?;
        let mut never_left = around(&loops, stopped);
        for _ in 0..LOOKS_MAX {
            let [.., outer, inner] = &never_left[..] else { break };
            let Some(next) = self.next_turn(outer, inner).await else { break };
            let same =
                never_left.iter().zip(around(&loops, &next)).take_while(|(one, other)| **one == *other);
            never_left.truncate(same.count());
        }
        never_left.pop()
    }

    /// Lets the page go on until it is in a loop, and not in one inside that. Nothing where it does not get there.
    async fn next_turn(&mut self, outer: &Around, inner: &Around) -> Option<Vec<Call>> {
        let mut find = GetPossibleBreakpointsParams::new(location(&outer.script, outer.of.start));
        find.end = Some(location(&outer.script, outer.of.end));
        find.restrict_to_function = Some(true);
        let found = self.call(&find).await.ok()?.locations;
        let places = found.into_iter().map(|found| {
            let mut place = Location::new(outer.script.clone(), found.line_number);
            place.column_number = found.column_number;
            place
        });
        let outside = places.filter(|place| outer.depth != inner.depth || !is_in(place, inner.of));
        let mut stops = Vec::new();
        for place in outside.take(STOPS_MAX) {
            stops.push(self.call(&SetBreakpointParams::new(place)).await.ok()?.breakpoint_id);
        }
        self.call(&debugger::ResumeParams::default()).await.ok()?;
        self.alive();
        let before = self.cpu_secs().await.ok()?;
        for _ in 0..READS_MAX {
            self.until(READ_PERIOD, |run| run.paused.is_some()).await.ok()?;
            if self.paused.is_some() || self.cpu_secs().await.ok()? - before > TURN_CPU_SECS_MAX {
                break;
            }
        }
        let paused = self.paused.take()?;
        for stop in stops {
            drop(self.page.send(&RemoveBreakpointParams::new(stop)));
        }
        Some(stack::of_paused(&paused, &self.own_scripts))
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

/// A loop that one of several calls is in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Around {
    /// How many calls there are down to this one, itself included.
    depth: usize,
    script: String,
    of: Loop,
}

/// The loops that these calls are in, the outermost first.
fn around(loops: &Loops, calls: &[Call]) -> Vec<Around> {
    let outermost_first = (1..=CALLS_MAX).zip(calls.iter().rev());
    let of_call = |(depth, (script, call)): (usize, &Call)| {
        let loops = loops.around(call.line, call.column).into_iter();
        loops.map(move |of| Around { depth, script: script.clone(), of }).collect::<Vec<_>>()
    };
    outermost_first.flat_map(of_call).collect()
}

/// How many calls the innermost function is in that it has made itself, through others or not.
fn calls_of_itself(calls: &[Call]) -> usize {
    let Some(name) = calls.first().and_then(|(_, call)| call.function.as_ref()) else { return 0 };
    calls.iter().rposition(|(_, call)| call.function.as_ref() == Some(name)).unwrap_or_default()
}

/// For the browser, which counts from 0.
fn location(script: &str, (line, column): (u32, u32)) -> Location {
    let mut location = Location::new(script.to_owned(), i64::from(line) - 1);
    location.column_number = Some(i64::from(column) - 1);
    location
}

fn is_in(place: &Location, of: Loop) -> bool {
    let at = (place.line_number + 1, place.column_number.unwrap_or_default() + 1);
    let wide = |(line, column): (u32, u32)| (i64::from(line), i64::from(column));
    (wide(of.start)..wide(of.end)).contains(&at)
}
