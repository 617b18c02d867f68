//! How one spooled reply stands in its file, so that a tail that was cut off and a damaged record can be told
//! from whole ones and cost nothing but themselves.
//!
//! | bytes | hold |
//! |---|---|
//! | 4 | a mark that occurs in no UTF-8 text |
//! | 4 | length of the payload, little endian |
//! | 8 | the first bytes of SHA-256 over length and payload |
//! | … | payload: pair, key and reply, with a line end between |

use std::ops::Range;

use mondo_jobs::pair::{BODY_BYTES_MAX, PairId};
use sha2::{Digest as _, Sha256};

/// Pair and key: what names a reply.
pub(crate) type ReplyId = (PairId, String);

const MARK: [u8; 4] = [0xFF, b'm', b's', b'1'];
const HEAD_BYTES: usize = 16;
/// The largest reply that a journal takes, and its name.
const PAYLOAD_BYTES_MAX: usize = BODY_BYTES_MAX + 1024;

/// A reply and its name as bytes.
pub(super) fn encode((pair, key): &ReplyId, reply: &[u8]) -> Vec<u8> {
    let payload = [pair.to_string().as_bytes(), b"\n", key.as_bytes(), b"\n", reply].concat();
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&MARK[..], &length, &check(length, &payload), &payload].concat()
}

/// The payload of the whole record at the beginning of these bytes.
fn payload(bytes: &[u8]) -> Option<&[u8]> {
    let head = bytes.get(..HEAD_BYTES)?;
    let length: [u8; 4] = head[4..8].try_into().ok()?;
    let size = usize::try_from(u32::from_le_bytes(length)).ok().filter(|size| *size <= PAYLOAD_BYTES_MAX)?;
    let payload = bytes[HEAD_BYTES..].get(..size)?;
    (head.starts_with(&MARK) && head[8..] == check(length, payload)).then_some(payload)
}

fn check(length: [u8; 4], payload: &[u8]) -> [u8; 8] {
    let hash = Sha256::new().chain_update(length).chain_update(payload).finalize();
    std::array::from_fn(|at| hash[at])
}

/// The reply and its name in one whole record.
pub(super) fn decode(record: &[u8]) -> Option<(ReplyId, &[u8])> {
    let mut parts = payload(record)?.splitn(3, |byte| *byte == b'\n');
    let mut text = || std::str::from_utf8(parts.next()?).ok();
    let (pair, key) = (text()?.parse().ok()?, text()?.to_owned());
    Some(((pair, key), parts.next()?))
}

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Where whole records are.
    pub(super) records: Vec<Range<usize>>,
    /// Where bytes are that are no record and were one, or should be.
    pub(super) damaged: Vec<Range<usize>>,
    /// How far all that reaches; what follows is the beginning of a record whose writing was cut off.
    pub(super) end: usize,
}

/// Finds the whole records among these bytes, also behind damaged ones.
pub(super) fn scan(bytes: &[u8]) -> Scan {
    let mut found = Scan::default();
    while found.end < bytes.len() {
        let rest = &bytes[found.end..];
        if let Some(payload) = payload(rest) {
            let end = found.end + HEAD_BYTES + payload.len();
            found.records.push(found.end..end);
            found.end = end;
            continue;
        }
        let next =
            (1..rest.len()).find(|at| rest[*at..].starts_with(&MARK) && payload(&rest[*at..]).is_some());
        if next.is_none() && is_cut_off(rest) {
            break;
        }
        let end = next.map_or(bytes.len(), |at| found.end + at);
        found.damaged.push(found.end..end);
        found.end = end;
    }
    found
}

/// Whether these bytes are what a write that never finished leaves behind.
fn is_cut_off(rest: &[u8]) -> bool {
    let Some(head) = rest.get(..HEAD_BYTES) else {
        return rest.iter().zip(MARK).all(|(byte, mark)| *byte == mark);
    };
    let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    head.starts_with(&MARK) && size <= PAYLOAD_BYTES_MAX && HEAD_BYTES + size > rest.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(key: &str, reply: &[u8]) -> Vec<u8> {
        encode(&(PairId::fresh(), key.to_owned()), reply)
    }

    /// Three records of different length; the one in the middle holds what looks like the beginning of one.
    fn three() -> (Vec<u8>, Vec<Range<usize>>) {
        let records = [record("a", b"first"), record("bb", &MARK.repeat(3)), record("ccc", b"{\"n\":\n3}")];
        let mut bytes = Vec::new();
        let mut places = Vec::new();
        for record in records {
            places.push(bytes.len()..bytes.len() + record.len());
            bytes.extend(record);
        }
        (bytes, places)
    }

    #[test]
    fn what_was_written_is_read() {
        let id = (PairId::fresh(), "key".to_owned());
        for reply in [&b""[..], b"{}", b"one\ntwo\n", &[0xFF; 300]] {
            assert_eq!(decode(&encode(&id, reply)), Some((id.clone(), reply)));
        }
    }

    #[test]
    fn a_tail_that_was_cut_off_anywhere_costs_only_itself() {
        let (bytes, places) = three();
        for end in 0..=bytes.len() {
            let whole: Vec<_> = places.iter().filter(|place| place.end <= end).cloned().collect();
            let end_of_whole = whole.last().map_or(0, |place| place.end);
            let expected = Scan { records: whole, damaged: Vec::new(), end: end_of_whole };
            assert_eq!(scan(&bytes[..end]), expected, "cut at byte {end}");
        }
    }

    #[test]
    fn a_flipped_bit_costs_only_its_own_record() {
        let (bytes, places) = three();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = scan(&bytes);
            let whole: Vec<_> = places.iter().filter(|place| !place.contains(&(bit / 8))).cloned().collect();
            assert_eq!(found.records, whole, "bit {bit}");
            // A length that grew in the last record looks like a tail that was cut off.
            let last = places[2].start;
            assert!(!found.damaged.is_empty() || found.end == last, "bit {bit}: {found:?}");
        }
    }

    #[test]
    fn zeroes_that_a_crash_of_the_host_left_are_damage_and_no_record() {
        let (mut bytes, places) = three();
        let end = bytes.len();
        bytes.extend([0; 100]);
        let damaged = std::iter::once(end..end + 100).collect();
        assert_eq!(scan(&bytes), Scan { records: places, damaged, end: end + 100 });
    }

    proptest! {
        #[test]
        fn garbage_is_no_record_and_no_panic(garbage in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(scan(&garbage).records.is_empty());
        }

        #[test]
        fn records_are_found_behind_garbage(garbage in proptest::collection::vec(any::<u8>(), 0..200)) {
            let whole = record("key", b"reply");
            let bytes = [&garbage[..], &whole, &whole].concat();
            let found = scan(&bytes).records;
            prop_assert_eq!(found, [garbage.len()..garbage.len() + whole.len(), garbage.len() + whole.len()..bytes.len()]);
        }
    }
}
