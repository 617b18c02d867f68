//! The events of the browser that the driver reads, each reduced to the fields it needs. They are shapes of
//! our own, with plain strings where the protocol has closed lists: an unknown value in a newer browser must not
//! lose a whole event.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// An event and the session it came from.
#[derive(Debug)]
pub(in crate::sandbox) struct SessionEvent {
    pub(in crate::sandbox) session: String,
    pub(in crate::sandbox) event: Event,
}

/// One event of interest.
#[derive(Debug)]
pub(in crate::sandbox) enum Event {
    RequestPaused(RequestPaused),
    ExceptionThrown(ExceptionDetails),
    ExceptionRevoked {
        exception_id: i64,
    },
    ConsoleCalled(ConsoleCalled),
    LogAdded(LogEntry),
    DialogOpening(DialogOpening),
    Reported {
        payload: String,
    },
    Attached {
        session: String,
        /// `worker`, `iframe` or something else.
        kind: String,
    },
    ScriptParsed(Script),
    Paused(Paused),
    /// What is being dragged, as the browser describes it.
    DragIntercepted {
        data: Value,
    },
    /// The document is parsed and its scripts have run.
    Parsed,
    /// Nothing that this document asked for has been on its way for half a second.
    Quiet {
        document: String,
    },
    BudgetExpired,
    Crashed,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sandbox) struct RequestPaused {
    pub(in crate::sandbox) request_id: String,
    pub(in crate::sandbox) request: Request,
    pub(in crate::sandbox) frame_id: String,
    pub(in crate::sandbox) resource_type: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::sandbox) struct Request {
    pub(in crate::sandbox) url: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sandbox) struct ExceptionDetails {
    pub(in crate::sandbox) exception_id: i64,
    pub(in crate::sandbox) text: String,
    /// From 0.
    pub(in crate::sandbox) line_number: i64,
    /// From 0.
    pub(in crate::sandbox) column_number: i64,
    pub(in crate::sandbox) url: Option<String>,
    pub(in crate::sandbox) stack_trace: Option<StackTrace>,
    pub(in crate::sandbox) exception: Option<RemoteObject>,
}

#[derive(Debug, Deserialize)]
pub(in crate::sandbox) struct RemoteObject {
    #[serde(default, deserialize_with = "even_null")]
    pub(in crate::sandbox) value: Option<Value>,
    pub(in crate::sandbox) description: Option<String>,
}

/// `null` is a value as well, and not the same as none.
fn even_null<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

impl RemoteObject {
    /// The value as a console would print it.
    pub(in crate::sandbox) fn text(&self) -> String {
        match (&self.description, &self.value) {
            (Some(description), _) => description.clone(),
            (None, Some(Value::String(text))) => text.clone(),
            (None, Some(value)) => value.to_string(),
            (None, None) => "undefined".to_owned(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sandbox) struct StackTrace {
    pub(in crate::sandbox) call_frames: Vec<Frame>,
}

/// Where in a script; line and column from 0.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sandbox) struct Frame {
    pub(in crate::sandbox) function_name: String,
    pub(in crate::sandbox) url: String,
    pub(in crate::sandbox) line_number: i64,
    pub(in crate::sandbox) column_number: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sandbox) struct ConsoleCalled {
    pub(in crate::sandbox) r#type: String,
    pub(in crate::sandbox) args: Vec<RemoteObject>,
    pub(in crate::sandbox) stack_trace: Option<StackTrace>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sandbox) struct LogEntry {
    pub(in crate::sandbox) source: String,
    pub(in crate::sandbox) level: String,
    pub(in crate::sandbox) text: String,
    pub(in crate::sandbox) url: Option<String>,
    /// From 0.
    pub(in crate::sandbox) line_number: Option<i64>,
    pub(in crate::sandbox) stack_trace: Option<StackTrace>,
}

#[derive(Debug, Deserialize)]
pub(in crate::sandbox) struct DialogOpening {
    pub(in crate::sandbox) r#type: String,
    pub(in crate::sandbox) message: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sandbox) struct Paused {
    pub(in crate::sandbox) call_frames: Vec<PausedFrame>,
    pub(in crate::sandbox) reason: String,
    /// What was thrown.
    pub(in crate::sandbox) data: Option<RemoteObject>,
    /// The ids of the breakpoints that it came to.
    #[serde(default)]
    pub(in crate::sandbox) hit_breakpoints: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sandbox) struct PausedFrame {
    pub(in crate::sandbox) function_name: String,
    pub(in crate::sandbox) location: PausedLocation,
}

/// Where the script stands; line and column from 0.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sandbox) struct PausedLocation {
    pub(in crate::sandbox) script_id: String,
    pub(in crate::sandbox) line_number: i64,
    #[serde(default)]
    pub(in crate::sandbox) column_number: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thrown {
    exception_details: ExceptionDetails,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Revoked {
    exception_id: i64,
}

#[derive(Deserialize)]
struct Added {
    entry: LogEntry,
}

#[derive(Deserialize)]
struct Called {
    payload: String,
}

#[derive(Deserialize)]
struct Dragged {
    data: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stage {
    loader_id: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attached {
    session_id: String,
    target_info: TargetInfo,
}

#[derive(Deserialize)]
struct TargetInfo {
    r#type: String,
}

/// A script that the browser has read; one with a stack and without a URL was made from text by a running one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sandbox) struct Script {
    #[serde(rename = "scriptId")]
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) url: String,
    pub(in crate::sandbox) stack_trace: Option<StackTrace>,
}

impl Event {
    /// Reads a whole message whose method is `method`; nothing when the driver has no use for it.
    pub(in crate::sandbox) fn parse(method: &str, message: &[u8]) -> serde_json::Result<Option<Self>> {
        let event = match method {
            "Fetch.requestPaused" => Self::RequestPaused(params(message)?),
            "Runtime.exceptionThrown" => Self::ExceptionThrown(params::<Thrown>(message)?.exception_details),
            "Runtime.exceptionRevoked" => {
                Self::ExceptionRevoked { exception_id: params::<Revoked>(message)?.exception_id }
            }
            "Runtime.consoleAPICalled" => Self::ConsoleCalled(params(message)?),
            "Log.entryAdded" => Self::LogAdded(params::<Added>(message)?.entry),
            "Page.javascriptDialogOpening" => Self::DialogOpening(params(message)?),
            "Runtime.bindingCalled" => Self::Reported { payload: params::<Called>(message)?.payload },
            "Target.attachedToTarget" => {
                let Attached { session_id: session, target_info } = params(message)?;
                Self::Attached { session, kind: target_info.r#type }
            }
            "Debugger.scriptParsed" => Self::ScriptParsed(params(message)?),
            "Debugger.paused" => Self::Paused(params(message)?),
            "Input.dragIntercepted" => Self::DragIntercepted { data: params::<Dragged>(message)?.data },
            "Page.domContentEventFired" => Self::Parsed,
            "Page.lifecycleEvent" => {
                let Stage { loader_id: document, name } = params(message)?;
                return Ok((name == "networkIdle").then_some(Self::Quiet { document }));
            }
            "Emulation.virtualTimeBudgetExpired" => Self::BudgetExpired,
            "Inspector.targetCrashed" => Self::Crashed,
            _ => return Ok(None),
        };
        Ok(Some(event))
    }
}

#[derive(Deserialize)]
struct WithParams<T> {
    params: T,
}

fn params<T: DeserializeOwned>(message: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice::<WithParams<T>>(message).map(|message| message.params)
}
