//! What a responder must reply with, by purpose. The JSON schemas that providers are given come from these
//! types, and every reply is read back into them. The schemas allow no other fields, because strict modes of
//! providers want it so; reading overlooks them, because a model without such a mode adds some at times.

use std::borrow::Cow;

use schemars::{JsonSchema, generate::SchemaSettings, json_schema};
use serde::{Deserialize, Serialize};

use crate::ports::llm::Schema;

/// The schema of `T` in the form that strict modes take: one object without references, nothing optional,
/// nothing beyond the named fields.
pub(crate) fn schema<T: JsonSchema>(name: &str) -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    Schema { name: name.to_owned(), schema: schema.into() }
}

/// To `objects`: common objects of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ObjectsReply {
    /// 5 to 12 common objects, one to four words each.
    pub objects: Vec<String>,
}

/// To `question`: one coding question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct QuestionReply {
    /// The whole question as Markdown: what to build, then `Features`, then `User Actions` (2 or 3).
    pub question: String,
}

/// To `answer`: the files of one web page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AnswerReply {
    /// `index.html`, and the scripts (`index.js`) and style sheets that it refers to by name.
    pub files: Vec<SourceFile>,
}

/// One file of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SourceFile {
    /// Its name, without folders.
    pub filename: String,
    /// Its whole text.
    pub content: String,
}

/// To `fix`: edits that mend a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FixReply {
    /// What was wrong and why the edits mend it, one or two sentences.
    pub explanation: String,
    /// 1 to 40 edits, applied in order.
    pub edits: Vec<Edit>,
}

/// One replacement in a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Edit {
    /// Text that occurs exactly once in the page, copied to the letter.
    pub find: String,
    /// What stands there instead.
    pub replace: String,
}

/// To `solve`: a judgement of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SolveReply {
    /// One entry for each requirement of the question.
    pub requirements: Vec<Requirement>,
    /// What follows from them.
    pub verdict: Verdict,
    /// Why, one sentence each; for `retry` these are what fix is told.
    pub reasons: Vec<String>,
}

/// How a page does on one requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Requirement {
    /// The requirement in a few words.
    pub requirement: String,
    /// Whether the page meets it.
    pub met: bool,
    /// What in the page or its report shows that.
    pub evidence: String,
}

/// What solve says of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is good.
    Accept,
    /// It goes back to fix.
    Retry,
    /// It cannot be made good.
    Reject,
}

/// A plain list of names: what the derived schema makes of documented variants is not taken by strict modes.
impl JsonSchema for Verdict {
    fn schema_name() -> Cow<'static, str> {
        "Verdict".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        json_schema!({"type": "string", "enum": ["accept", "retry", "reject"]})
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn schemas_suit_strict_modes() {
        for schema in [
            schema::<ObjectsReply>("objects"),
            schema::<QuestionReply>("question"),
            schema::<AnswerReply>("answer"),
            schema::<FixReply>("fix"),
            schema::<SolveReply>("solve"),
        ] {
            assert_eq!(schema.schema["type"], "object");
            check(&schema.schema);
        }
    }

    fn check(schema: &Value) {
        let Some(object) = schema.as_object() else { return };
        for refused in ["$ref", "$defs", "oneOf", "allOf", "$schema", "default", "format"] {
            assert!(!object.contains_key(refused), "{refused} in {schema}");
        }
        if object.get("type") == Some(&"object".into()) {
            assert_eq!(object.get("additionalProperties"), Some(&Value::Bool(false)), "{schema}");
            let mut names: Vec<_> = object["properties"].as_object().unwrap().keys().cloned().collect();
            let mut required: Vec<String> = serde_json::from_value(object["required"].clone()).unwrap();
            names.sort_unstable();
            required.sort_unstable();
            assert_eq!(names, required);
            object["properties"].as_object().unwrap().values().for_each(check);
        }
        object.get("items").into_iter().for_each(check);
    }

    #[test]
    fn every_verdict_is_in_the_schema() {
        let schema = schema::<SolveReply>("solve").schema;
        let names: Vec<Verdict> =
            serde_json::from_value(schema["properties"]["verdict"]["enum"].clone()).unwrap();
        assert_eq!(names, [Verdict::Accept, Verdict::Retry, Verdict::Reject]);
    }
}
