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

/// How many elements a second a page adds that adds them all the time, and at how many looks in a row: for twelve seconds
/// of page time or longer.
const STEADY_PER_S: u64 = 20;
const STEADY_LOOKS: u32 = 6;

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

    /// Reports a page that adds elements all the time, though not yet too many.
    fn look_at_pace(&mut self, now: u64) {
        let now_ms = self.page_ms();
        let (before, before_ms) = self.growth.last.replace((now, now_ms)).unwrap_or((now, now_ms));
        let added = now.saturating_sub(before);
        let is_fast = added > 0 && added * 1000 >= STEADY_PER_S * (now_ms - before_ms);
        self.growth.looks = if is_fast { self.growth.looks + 1 } else { 0 };
        if self.growth.looks == STEADY_LOOKS {
            let message = "the page goes on adding elements, twenty a second or more than it removes";
            self.found(Observation::advice(FindingClass::Memory, message, None));
        }
    }

    /// Reports a page that adds elements without end.
    pub(in crate::sandbox::run) async fn look_at_growth(&mut self) -> Result<(), Stop> {
        let mut count = EvaluateParams::new(COUNT);
        count.silent = Some(true);
        let value = self.call(&count).await?.result.value;
        let Some(now) = value.as_ref().and_then(Value::as_u64) else { return Ok(()) };
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
