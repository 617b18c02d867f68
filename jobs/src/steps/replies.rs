//! What a responder must reply with, by purpose. The JSON schemas that providers are given come from these
//! types, and every reply is read back into them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// To `objects`: common objects of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectsReply {
    /// 5 to 12 common objects, one to four words each.
    pub objects: Vec<String>,
}

/// To `question`: one coding question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuestionReply {
    /// The whole question as Markdown: what to build, then `Features`, then `User Actions` (2 or 3).
    pub question: String,
}

/// To `answer`: the files of one web page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerReply {
    /// `index.html`, and the scripts (`index.js`) and style sheets that it refers to by name.
    pub files: Vec<SourceFile>,
}

/// One file of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Its name, without folders.
    pub filename: String,
    /// Its whole text.
    pub content: String,
}

/// To `fix`: edits that mend a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FixReply {
    /// What was wrong and why the edits mend it, one or two sentences.
    pub explanation: String,
    /// 1 to 40 edits, applied in order.
    pub edits: Vec<Edit>,
}

/// One replacement in a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Text that occurs exactly once in the page, copied to the letter.
    pub find: String,
    /// What stands there instead.
    pub replace: String,
}

/// To `solve`: a judgement of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// The requirement in a few words.
    pub requirement: String,
    /// Whether the page meets it.
    pub met: bool,
    /// What in the page or its report shows that.
    pub evidence: String,
}

/// What solve says of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is good.
    Accept,
    /// It goes back to fix.
    Retry,
    /// It cannot be made good.
    Reject,
}
