//! What a server says when it does not answer, and which error that is.

use std::time::{Duration, SystemTime};

use mondo_jobs::ports::LlmError;
use reqwest::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value;

/// A wait that a provider names is believed up to this length.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// What a server said in the place of a reply.
#[derive(Debug)]
pub(super) struct Refusal {
    /// HTTP status, or the code that stands for it in a body; 0 where there is none.
    status: u16,
    /// The provider's words; may quote our key.
    pub(super) message: String,
    retry_after: Option<Duration>,
    cause: Cause,
}

/// What the provider's own fields say beyond the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The account has no credit left: waiting a minute does not help, though the status says "too many
    /// requests".
    NoCredit,
    /// A filter disliked this prompt: the key is fine, though the status says "forbidden".
    Moderation,
    Other,
}

impl Refusal {
    /// From a response whose status is no success.
    pub(super) fn of_response(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let mut refusal = match serde_json::from_slice::<Value>(body) {
            Ok(body) => Self::of_error(body.get("error").unwrap_or(&body)),
            Err(_) => Self::of_error(&Value::String(String::from_utf8_lossy(body).into_owned())),
        };
        refusal.status = status;
        refusal.retry_after = retry_after(headers);
        if let Some(target) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) {
            refusal.message =
                format!("redirected to {target}; MONDO_BASE_URL should name that server itself");
        }
        if refusal.message.trim().is_empty() {
            refusal.message = format!("HTTP {status} without a word");
        }
        refusal
    }

    /// From the `error` of a body: a text, or an object with `message`, `code`, `type`, `param`.
    pub(super) fn of_error(error: &Value) -> Self {
        let text = |name: &str| error.get(name).and_then(Value::as_str);
        let mut message = match (error, text("message").or(text("detail"))) {
            (Value::String(text), _) => text.clone(),
            (_, Some(message)) => message.to_owned(),
            (other, None) => other.to_string(),
        };
        if let Some(parameter) = text("param").filter(|parameter| !message.contains(parameter)) {
            message = format!("{message} ({parameter})");
        }
        let code = error.get("code");
        let status = code.and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()).unwrap_or(0);
        let is = |name: &str| text("code") == Some(name) || text("type") == Some(name);
        let cause = if is("insufficient_quota") {
            Cause::NoCredit
        } else if error.pointer("/metadata/flagged_input").is_some() {
            Cause::Moderation
        } else {
            Cause::Other
        };
        Self { status, message, retry_after: None, cause }
    }

    /// The error it is. `message` is what may be shown of the provider's words.
    pub(super) fn into_error(self, responder: String, message: String) -> LlmError {
        match (self.status, self.cause) {
            (_, Cause::NoCredit) | (402, _) => LlmError::Unauthorized { responder, message },
            (401 | 403, cause) if cause != Cause::Moderation => LlmError::Unauthorized { responder, message },
            (429, _) => LlmError::RateLimited { responder, retry_after: self.retry_after },
            // Timeouts and conflicts of the provider's own making pass; every other 3xx and 4xx will be the
            // same again.
            (408 | 409 | 425, _) => LlmError::Unavailable { responder, message },
            (status @ 300..=499, _) => LlmError::Refused { responder, status, message },
            _ => LlmError::Unavailable { responder, message },
        }
    }
}

/// The wait that the headers name: milliseconds, seconds, or until a date by the server's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |text: &str, unit: f64| {
        let seconds = text.parse::<f64>().ok()? * unit;
        Duration::try_from_secs_f64(seconds).ok()
    };
    let until = |text: &str| {
        let now = headers
            .get(DATE)
            .and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok())
            .unwrap_or_else(SystemTime::now);
        httpdate::parse_http_date(text).ok()?.duration_since(now).ok()
    };
    let wait = text("retry-after-ms")
        .and_then(|text| seconds(text, 1e-3))
        .or_else(|| text(RETRY_AFTER.as_str()).and_then(|text| seconds(text, 1.0).or_else(|| until(text))))?;
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;

    fn wait(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        retry_after(
            &headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect(),
        )
    }

    #[test]
    fn a_wait_is_read_in_every_form_that_servers_use() {
        let date = ("date", "Fri, 20 Nov 2026 10:00:00 GMT");
        for (headers, expected) in [
            (vec![("retry-after", "7")], Some(Duration::from_secs(7))),
            (vec![("retry-after", "0.5")], Some(Duration::from_millis(500))),
            (vec![("retry-after-ms", "250"), ("retry-after", "1")], Some(Duration::from_millis(250))),
            (vec![date, ("retry-after", "Fri, 20 Nov 2026 10:00:30 GMT")], Some(Duration::from_secs(30))),
            (vec![date, ("retry-after", "Fri, 20 Nov 2026 09:00:00 GMT")], None),
            (vec![("retry-after", "1e30")], None),
            (vec![("retry-after", "999999999")], Some(RETRY_AFTER_MAX)),
            (vec![("retry-after", "-1")], None),
            (vec![("retry-after", "soon")], None),
            (vec![], None),
        ] {
            assert_eq!(wait(&headers), expected, "{headers:?}");
        }
    }

    fn class(status: u16, body: &Value) -> &'static str {
        Refusal::of_response(status, &HeaderMap::new(), body.to_string().as_bytes())
            .into_error("test/model".to_owned(), String::new())
            .class()
    }

    #[test]
    fn each_status_is_one_error() {
        let body = json!({ "error": { "message": "no" } });
        for (status, expected) in [
            (307, "refused"),
            (400, "refused"),
            (401, "unauthorized"),
            (402, "unauthorized"),
            (403, "unauthorized"),
            (404, "refused"),
            (408, "unavailable"),
            (409, "unavailable"),
            (413, "refused"),
            (422, "refused"),
            (429, "rate_limited"),
            (500, "unavailable"),
            (503, "unavailable"),
            (529, "unavailable"),
        ] {
            assert_eq!(class(status, &body), expected, "{status}");
        }
    }

    #[test]
    fn an_empty_account_is_no_rate_limit_and_a_disliked_prompt_no_bad_key() {
        let broke =
            json!({ "error": { "message": "You exceeded your quota", "code": "insufficient_quota" } });
        assert_eq!(class(429, &broke), "unauthorized");
        let flagged = json!({ "error": { "message": "flagged", "metadata": { "flagged_input": "…" } } });
        assert_eq!(class(403, &flagged), "refused");
    }

    #[test]
    fn the_providers_words_are_found_in_every_shape_of_body() {
        for (body, expected) in [
            (r#"{"error":{"message":"no such model","param":"model"}}"#, "no such model"),
            (
                r#"{"error":{"message":"unsupported value","param":"temperature"}}"#,
                "unsupported value (temperature)",
            ),
            (r#"{"error":"model not found"}"#, "model not found"),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            ("<h1>Bad Gateway</h1>", "<h1>Bad Gateway</h1>"),
            ("", "HTTP 502 without a word"),
        ] {
            assert_eq!(Refusal::of_response(502, &HeaderMap::new(), body.as_bytes()).message, expected);
        }
    }
}
