//! What a server understands of the protocol, and requests written accordingly.
//!
//! Servers differ: some know no JSON schema, newer models of `OpenAI` take neither `max_tokens` nor a
//! temperature. The richest dialect is tried first; a refusal that names a parameter leads to one without it.

use mondo_jobs::ports::{Message, Request, Role, llm::Schema};
use serde::Serialize;
use serde_json::{Value, json};

/// Seeds are cut to 31 bits: some servers read them into a signed 32-bit integer.
const SEED_MASK: u64 = 0x7fff_ffff;

/// What a server is asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one parameter that a server takes or does not")]
pub(super) struct Dialect {
    format: Format,
    max_completion_tokens: bool,
    temperature: bool,
    seed: bool,
    stream_options: bool,
}

/// How a server is told the shape of the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// It gets the schema and holds the model to it.
    Schema,
    /// It holds the model to JSON; the prompt has the schema.
    Object,
    /// Only the prompt says.
    Plain,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            format: Format::Schema,
            max_completion_tokens: false,
            temperature: true,
            seed: true,
            stream_options: true,
        }
    }
}

impl Dialect {
    /// The dialect without what a refusal names; where it names nothing and the request asks for JSON, with
    /// the next plainer way to ask for it. Nothing when there is none.
    pub(super) fn plainer(self, refusal: &str, asks_for_json: bool) -> Option<Self> {
        let names = |name: &str| {
            refusal
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word.eq_ignore_ascii_case(name))
        };
        if names("max_completion_tokens") && !self.max_completion_tokens {
            return Some(Self { max_completion_tokens: true, ..self });
        }
        if names("temperature") && self.temperature {
            return Some(Self { temperature: false, ..self });
        }
        if names("seed") && self.seed {
            return Some(Self { seed: false, ..self });
        }
        if names("stream_options") && self.stream_options {
            return Some(Self { stream_options: false, ..self });
        }
        match self.format {
            Format::Schema if asks_for_json => Some(Self { format: Format::Object, ..self }),
            Format::Object if asks_for_json => Some(Self { format: Format::Plain, ..self }),
            _ => None,
        }
    }

    /// The request as the server gets it: JSON.
    pub(super) fn body(self, model: &str, request: &Request) -> Vec<u8> {
        let tokens = Some(request.tokens_max);
        let wire = WireRequest {
            model,
            messages: self.messages(request),
            stream: true,
            stream_options: self.stream_options.then(|| json!({ "include_usage": true })),
            response_format: request.schema.as_ref().and_then(|schema| self.response_format(schema)),
            max_tokens: tokens.filter(|_| !self.max_completion_tokens),
            max_completion_tokens: tokens.filter(|_| self.max_completion_tokens),
            temperature: self.temperature.then_some(request.temperature),
            seed: self.seed.then_some(request.seed & SEED_MASK),
        };
        // Strings, numbers and JSON values always serialise.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    fn messages(self, request: &Request) -> Vec<WireMessage> {
        let mut messages: Vec<_> = request.messages.iter().map(WireMessage::from).collect();
        if let (Some(schema), true, Some(last)) =
            (&request.schema, self.format != Format::Schema, messages.last_mut())
        {
            last.content.push_str(
                "\n\nReply with one JSON value that fits this JSON schema, and with nothing else:\n",
            );
            last.content.push_str(&schema.schema.to_string());
        }
        messages
    }

    fn response_format(self, schema: &Schema) -> Option<Value> {
        match self.format {
            Format::Schema => Some(json!({
                "type": "json_schema",
                "json_schema": { "name": schema.name, "strict": true, "schema": strict(&schema.schema) },
            })),
            Format::Object => Some(json!({ "type": "json_object" })),
            Format::Plain => None,
        }
    }
}

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    messages: Vec<WireMessage>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

#[derive(Serialize)]
struct WireMessage {
    role: &'static str,
    content: String,
}

impl From<&Message> for WireMessage {
    fn from(message: &Message) -> Self {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        Self { role, content: message.content.clone() }
    }
}

/// The schema as strict servers take it: every object closed and all of its properties required, no `oneOf`,
/// nothing beside a `$ref`.
fn strict(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(strict).collect(),
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref") {
                return json!({ "$ref": reference });
            }
            let mut out: serde_json::Map<_, _> = map
                .iter()
                .filter(|(key, _)| *key != "$schema")
                .map(|(key, value)| {
                    let key = if key == "oneOf" { "anyOf" } else { key };
                    (key.to_owned(), strict(value))
                })
                .collect();
            if let Some(Value::Object(properties)) = out.get("properties") {
                let required = properties.keys().cloned().map(Value::String).collect();
                out.insert("required".to_owned(), Value::Array(required));
                out.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            Value::Object(out)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_names_a_parameter_leads_to_a_dialect_without_it() {
        let rich = Dialect::default();
        for (refusal, plainer) in [
            (
                "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                Dialect { max_completion_tokens: true, ..rich },
            ),
            ("'temperature' does not support 0.7 with this model", Dialect { temperature: false, ..rich }),
            ("body.seed: extra inputs are not permitted", Dialect { seed: false, ..rich }),
            ("unknown field `stream_options`", Dialect { stream_options: false, ..rich }),
            ("json_schema is not supported", Dialect { format: Format::Object, ..rich }),
        ] {
            assert_eq!(rich.plainer(refusal, true), Some(plainer), "{refusal}");
        }
    }

    #[test]
    fn the_plainest_dialect_has_no_plainer_one() {
        let mut dialect = Dialect::default();
        let mut steps = 0;
        while let Some(plainer) =
            dialect.plainer("temperature seed stream_options max_completion_tokens", true)
        {
            dialect = plainer;
            steps += 1;
        }
        assert_eq!(steps, 6);
    }

    #[test]
    fn free_text_is_not_asked_again_for_want_of_a_format() {
        assert_eq!(Dialect::default().plainer("the prompt is too long", false), None);
    }

    #[test]
    fn a_strict_schema_has_closed_objects_and_no_unions_of_one() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "verdict": { "$ref": "#/$defs/Verdict", "description": "what follows" },
                "note": { "type": ["string", "null"] },
            },
            "required": ["verdict"],
            "$defs": { "Verdict": { "oneOf": [{ "type": "string", "const": "accept" }] } },
        });
        assert_eq!(
            strict(&schema),
            json!({
                "type": "object",
                "properties": {
                    "verdict": { "$ref": "#/$defs/Verdict" },
                    "note": { "type": ["string", "null"] },
                },
                // In the order in which they are declared, which is the order in which models write them.
                "required": ["verdict", "note"],
                "additionalProperties": false,
                "$defs": { "Verdict": { "anyOf": [{ "type": "string", "const": "accept" }] } },
            })
        );
    }
}
