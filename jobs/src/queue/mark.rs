//! The mark that a commit leaves in its pair's record: what the job did and, after a line break, the jobs that the
//! commit added, so that a lost one can be put back. One field for both costs Redis less than two.

use super::{
    NewJob, Priority,
    entry::Entry,
    keys::{DONE_PREFIX, NEXT_PREFIX},
};
use crate::job::Step;

/// The value of the field.
pub(super) fn write(did: &[u8], next: &[NewJob], priority: Priority) -> Vec<u8> {
    let mut mark = [did, b"\n"].concat();
    if !next.is_empty() {
        mark.extend(Entry::write_next(next, priority));
    }
    mark
}

/// Leaves of a mark what the job did, as its handler wrote it.
pub(super) fn keep_did(mark: &mut Vec<u8>) {
    mark.truncate(split(mark).0.len());
}

/// The jobs that a field of a record promises: a mark, or the first job of the pair.
pub(super) fn promised(name: &str, value: &[u8]) -> Vec<(Step, Priority, Entry)> {
    if name.starts_with(DONE_PREFIX) {
        Entry::read_next(split(value).1)
    } else if name.starts_with(NEXT_PREFIX) {
        Entry::read_next(value)
    } else {
        Vec::new()
    }
}

/// At the last line break, since the jobs are JSON without any; what an earlier release wrote has none at all.
fn split(mark: &[u8]) -> (&[u8], &[u8]) {
    let end = mark.iter().rposition(|byte| *byte == b'\n');
    end.map_or((mark, &[]), |end| (&mark[..end], &mark[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{job::Job, pair::PairId};

    fn did(mut mark: Vec<u8>) -> Vec<u8> {
        keep_did(&mut mark);
        mark
    }

    #[test]
    fn what_a_job_did_is_read_back_whatever_it_is() {
        let pair = PairId::fresh();
        let id = Job { pair, step: Step::Question, candidate: None, round: 0 }.id();
        let next = [NewJob { id: id.clone(), pair, step: Step::Question, envelope: "a\nb".to_owned() }];
        for text in ["", "{}", "two\nlines", "\n", "ends\n"] {
            for next in [&next[..], &[]] {
                let mark = write(text.as_bytes(), next, Priority::High);
                let promised = promised(&format!("{DONE_PREFIX}x"), &mark);
                assert_eq!(did(mark), text.as_bytes());
                assert_eq!(promised.len(), next.len(), "{text:?}");
                for (step, priority, entry) in promised {
                    assert_eq!((step, priority, &entry.id), (Step::Question, Priority::High, &id));
                }
            }
        }
    }

    #[test]
    fn the_mark_of_an_earlier_release_is_what_the_job_did() {
        assert_eq!(did(br#"{"v":1}"#.to_vec()), br#"{"v":1}"#);
        assert!(promised(&format!("{DONE_PREFIX}x"), br#"{"v":1}"#).is_empty());
    }
}
