//! Pages that use up the machine: memory, and elements that are never removed.

use chromiumoxide::cdp::js_protocol::runtime::{EvaluateParams, GetHeapUsageReturns};
use mondo_jobs::finding::FindingClass;
use serde_json::Value;

use crate::sandbox::{
    browser::guard,
    findings::Observation,
    run::{Run, Stop},
};

/// The most memory that a page may use, in bytes.
const MEMORY_BYTES_MAX: u64 = 400 * 1024 * 1024;

/// How many elements a page may add to those it had at first.
const ELEMENTS_ADDED_MAX: u64 = 10_000;

/// How many elements a second a page adds that adds them all the time. One with each frame is no more than that while its
/// animation is called less often.
const STEADY_PER_S: u64 = 10;
const PACED_PER_S: u64 = 8;

/// Looks in a row by which a page is suspected of it: for ten seconds of page time or longer. Then it is watched at full
/// pace for so many steps of half a second.
const STEADY_LOOKS: u32 = 5;
const WATCHED_STEPS: u32 = 6;
const WATCHED_STEP_MS: f64 = 500.0;

/// A frame is a document of its own and counts as many elements. Only names that no page can give another meaning: a
/// `length` of the page's own would count.
const COUNT: &str =
    "document.getElementsByTagName('*').length + 50 * document.querySelectorAll('iframe,frame').length";

/// How the number of elements has changed.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Growth {
    /// How many there were at the first look.
    first: Option<u64>,
    /// How many at the last, and at which millisecond of page time that was.
    last: Option<(u64, u64)>,
    /// Looks in a row at which there were many more than before.
    looks: u32,
}

impl Run<'_> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number of bytes")]
    pub(in crate::sandbox::run) fn look_at_memory(
        &mut self,
        usage: &GetHeapUsageReturns,
    ) -> Result<(), Stop> {
        let bytes = (usage.used_size + usage.embedder_heap_used_size + usage.backing_storage_size) as u64;
        self.memory_bytes_peak = self.memory_bytes_peak.max(bytes);
        if bytes <= MEMORY_BYTES_MAX {
            return Ok(());
        }
        let message = format!(
            "the page uses {} MiB of memory, more than the {} MiB it may",
            bytes >> 20,
            MEMORY_BYTES_MAX >> 20
        );
        self.found(Observation::blocking(FindingClass::Memory, &message, None));
        Err(Stop::Ended)
    }

    /// Reports a page whose browser was ended because all its processes together used too much.
    pub(in crate::sandbox) fn report_outgrown(&mut self, bytes: u64) {
        self.memory_bytes_peak = self.memory_bytes_peak.max(bytes);
        let message = format!(
            "the page's processes use more memory than the {} MiB they may",
            guard::MEMORY_BYTES_MAX >> 20
        );
        self.found(Observation::blocking(FindingClass::Memory, &message, None));
    }

    /// Whether the page seems to add elements all the time, though not yet too many.
    pub(in crate::sandbox::run) fn seems_to_grow(&self) -> bool {
        self.growth.looks >= STEADY_LOOKS
    }

    fn look_at_pace(&mut self, now: u64) {
        let now_ms = self.page_ms();
        let (before, before_ms) = self.growth.last.replace((now, now_ms)).unwrap_or((now, now_ms));
        let least = if self.animates { PACED_PER_S } else { STEADY_PER_S };
        let is_fast = is_fast(now.saturating_sub(before), now_ms - before_ms, least);
        self.growth.looks = if is_fast { self.growth.looks + 1 } else { 0 };
    }

    /// Reports a page that goes on adding elements while its animation is called as often as anywhere.
    pub(in crate::sandbox::run) async fn watch_growth(&mut self) -> Result<(), Stop> {
        let (before, before_ms) = (self.count().await?, self.page_ms());
        for _ in 0..WATCHED_STEPS {
            self.pass(WATCHED_STEP_MS).await?;
        }
        let (Some(before), Some(now)) = (before, self.count().await?) else { return Ok(()) };
        if is_fast(now.saturating_sub(before), self.page_ms() - before_ms, STEADY_PER_S) {
            let message = "the page goes on adding elements, ten a second or more than it removes";
            self.found(Observation::advice(FindingClass::Memory, message, None));
        }
        Ok(())
    }

    async fn count(&mut self) -> Result<Option<u64>, Stop> {
        let mut count = EvaluateParams::new(COUNT);
        count.silent = Some(true);
        Ok(self.call(&count).await?.result.value.as_ref().and_then(Value::as_u64))
    }

    /// Reports a page that adds elements without end.
    pub(in crate::sandbox::run) async fn look_at_growth(&mut self) -> Result<(), Stop> {
        let Some(now) = self.count().await? else { return Ok(()) };
        let first = *self.growth.first.get_or_insert(now);
        self.look_at_pace(now);
        if now <= first.saturating_add(ELEMENTS_ADDED_MAX) {
            return Ok(());
        }
        let message = format!("the page has added more than {ELEMENTS_ADDED_MAX} elements and removes none");
        self.found(Observation::blocking(FindingClass::Memory, &message, None));
        Err(Stop::Ended)
    }
}

/// Whether so many elements in this time are `least` a second or more.
fn is_fast(added: u64, ms: u64, least: u64) -> bool {
    added > 0 && added.saturating_mul(1000) >= least * ms
}
