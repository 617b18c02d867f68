//! The bytes of an entry that could not be decoded, in a form that survives JSON and terminals.

use std::fmt::Write as _;

use crate::queue::entry::Fields;

/// Names and values in turn, in hex, with a space between.
pub(in crate::queue) fn to_hex(fields: &Fields) -> String {
    let words = fields.iter().flat_map(|(name, value)| [name, value]).map(|bytes| {
        bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The fields again; `None` for a text that is not of that form.
pub(super) fn from_hex(text: &str) -> Option<Fields> {
    let words = text.split(' ').map(bytes_of).collect::<Option<Vec<_>>>()?;
    let (pairs, rest) = words.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[name, value]| (name.clone(), value.clone())).collect())
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16)?).ok();
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_any_bytes_survive_hex() {
        let fields = vec![(b"a".to_vec(), vec![0, 255, 10]), (Vec::new(), b"\xff{".to_vec())];
        assert_eq!(from_hex(&to_hex(&fields)), Some(fields));
    }

    #[test]
    fn text_that_is_not_hex_is_refused() {
        for text in ["zz 00", "0 00", "00", "+1 00"] {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }
}
