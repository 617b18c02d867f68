//! What a reply is filed under.

use std::fmt::Write as _;

use mondo_jobs::ports::Request;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Names a reply by everything that led to it: hex SHA-256 of responder and request, in a form that does not
/// depend on the order of object keys.
pub(super) fn key(responder: &str, request: &Request) -> String {
    let mut text = String::new();
    canonical(&Value::from(responder), &mut text);
    // Strings, finite numbers and JSON values always serialise. The purpose is part of the request.
    canonical(&serde_json::to_value(request).unwrap_or_default(), &mut text);
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in entries {
                let _ = write!(out, "{}:", Value::from(name.as_str()));
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

#[cfg(test)]
mod tests {
    use mondo_jobs::ports::{Message, Purpose, Role};
    use serde_json::json;

    use super::*;

    fn request(inputs: Value) -> Request {
        Request {
            purpose: Purpose::Objects,
            messages: vec![Message { role: Role::User, content: "name some objects".to_owned() }],
            schema: None,
            inputs,
            tokens_max: 100,
            temperature: 0.7,
            seed: 1,
        }
    }

    #[test]
    fn the_order_of_object_keys_does_not_change_the_key() {
        let one = request(serde_json::from_str(r#"{"a":{"x":1,"y":[2]},"b":null}"#).unwrap());
        let other = request(serde_json::from_str(r#"{"b":null,"a":{"y":[2],"x":1}}"#).unwrap());
        assert_eq!(key("p/m", &one), key("p/m", &other));
    }

    #[test]
    fn every_part_of_a_request_changes_the_key() {
        let base = request(json!({}));
        let base_key = key("p/m", &base);
        assert_eq!(base_key.len(), 64);
        let changed = [
            Request { purpose: Purpose::Solve, ..base.clone() },
            Request { messages: Vec::new(), ..base.clone() },
            Request { inputs: json!({ "a": 1 }), ..base.clone() },
            Request { tokens_max: 101, ..base.clone() },
            Request { temperature: 0.8, ..base.clone() },
            Request { seed: 2, ..base.clone() },
        ];
        for other in changed {
            assert_ne!(key("p/m", &other), base_key, "{other:?}");
        }
        assert_ne!(key("p/other", &base), base_key);
    }

    /// A new way to compute keys would pay for every journaled reply again.
    #[test]
    fn the_key_stays_the_same_from_release_to_release() {
        assert_eq!(
            key("p/m", &request(json!({ "topic": "games" }))),
            "bf732e39165ca03a8849455a680249735e41d301bd0d592c4503587d748f9aff"
        );
    }
}
